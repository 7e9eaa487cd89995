"""Vectors in the database, against what was put in and against the bytes of struct."""

from __future__ import annotations

import sqlite3
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lean_agentic.agentdb.connections import Connections
from lean_agentic.agentdb.errors import UnknownRecordError
from lean_agentic.agentdb.migrations import migrate
from lean_agentic.agentdb.record_tables import insert_records
from lean_agentic.agentdb.vector_table import have_vectors, put_vectors, read_vectors, vector_faults
from tests.agentdb.store_records import episodes, unit_vectors

ROWS = unit_vectors(5)


@pytest.fixture
def connection(tmp_path: Path) -> Any:
    connections = Connections(tmp_path / "memory.db")
    migrate(connections)
    with connections.writing() as opened:
        insert_records(opened, episodes("abcdefg"), 1.0)
        put_vectors(opened, [1, 2, 3, 4, 5], ROWS)
        yield opened
    connections.close()


def test_rows_come_in_the_order_asked_for(connection: sqlite3.Connection) -> None:
    np.testing.assert_array_equal(read_vectors(connection, [5, 1, 5, 3], 4), ROWS[[4, 0, 4, 2]])
    assert read_vectors(connection, [], 4).shape == (0, 4)
    assert read_vectors(connection, [1], 4).dtype == np.float32
    read_vectors(connection, [1], 4)[:] = 0


def test_bytes_are_little_endian_floats(connection: sqlite3.Connection) -> None:
    data = connection.execute("SELECT data FROM vectors WHERE record_id = 2").fetchone()[0]
    assert struct.unpack("<4f", data) == tuple(ROWS[1].tolist())
    put_vectors(connection, [6], ROWS[1:2].astype(">f4")[:, ::-1])
    assert struct.unpack(
        "<4f", connection.execute("SELECT data FROM vectors WHERE record_id = 6").fetchone()[0]
    ) == tuple(ROWS[1, ::-1].tolist())


def test_vectors_are_replaced(connection: sqlite3.Connection) -> None:
    put_vectors(connection, [2, 6], ROWS[:2])
    np.testing.assert_array_equal(read_vectors(connection, [2, 6], 4), ROWS[:2])
    assert connection.execute("SELECT count(*) FROM vectors").fetchone() == (6,)


def test_the_missing_are_named(connection: sqlite3.Connection) -> None:
    with pytest.raises(UnknownRecordError, match=r"\[6, 99\]"):
        read_vectors(connection, [1, 99, 6], 4)
    assert have_vectors(connection, [1, 6, 99, 5]).tolist() == [True, False, False, True]
    assert have_vectors(connection, []).dtype == bool


def test_faults_are_found(connection: sqlite3.Connection) -> None:
    assert vector_faults(connection, 4) == []
    connection.execute("UPDATE vectors SET data = x'00' WHERE record_id = 3")
    connection.execute("UPDATE vectors SET data = ? WHERE record_id = 1", (struct.pack("<4f", 0, 0, 3, 4),))
    connection.execute("UPDATE vectors SET data = ? WHERE record_id = 2", (struct.pack("<4f", 1, 0, 0, float("nan")),))
    assert vector_faults(connection, 4) == [
        "the vector of record 3 has 1 bytes, not 16",
        "the vector of record 1 has the length 5, not 1",
        "the vector of record 2 has the length nan, not 1",
    ]
    assert len(vector_faults(connection, 5)) == 5
