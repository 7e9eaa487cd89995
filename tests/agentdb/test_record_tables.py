"""Ids, details and what records name, as they stand in the tables."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from lean_agentic.agentdb.connections import Connections
from lean_agentic.agentdb.errors import InvalidRecordError, UnknownRecordError
from lean_agentic.agentdb.migrations import migrate
from lean_agentic.agentdb.record_tables import (
    _INSERT_TEXTS,
    insert_records,
    last_number,
    require_records,
    unknown,
    update_record,
)
from lean_agentic.agentdb.records import Episode, Fact


@pytest.fixture
def connection(tmp_path: Path) -> Any:
    connections = Connections(tmp_path / "memory.db")
    migrate(connections)
    with connections.writing() as opened:
        yield opened
        assert opened.execute("PRAGMA foreign_key_check").fetchall() == []
    connections.close()


def rows(connection: sqlite3.Connection, table: str) -> list[tuple[Any, ...]]:
    return connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()


def test_ids_count_on_from_the_last_ever_given(connection: sqlite3.Connection) -> None:
    assert last_number(connection, "records") == 0
    assert insert_records(connection, [Episode("a"), Episode("b")], 1.0) == [1, 2]
    connection.execute("DELETE FROM records")
    assert last_number(connection, "records") == 2
    assert insert_records(connection, [Episode("c")], 1.0) == [3]


def test_details_stand_beside_the_record(connection: sqlite3.Connection) -> None:
    insert_records(connection, [Episode("a", entities=("Ann", "ANN", "Bob"), metadata={"k": 1.0, "l": [2]})], 1.0)
    assert rows(connection, "record_entities") == [(1, "ann", "Ann"), (1, "bob", "Bob")]
    assert rows(connection, "record_metadata") == [(1, "k", "1")]


def test_one_more_record_is_not_looked_for_among_all(connection: sqlite3.Connection) -> None:
    plan = connection.execute(f"EXPLAIN QUERY PLAN {_INSERT_TEXTS}", (1,)).fetchall()
    assert [line[3] for line in plan] == ["SEARCH records USING INTEGER PRIMARY KEY (rowid>?)"]


def test_an_update_replaces_the_details(connection: sqlite3.Connection) -> None:
    insert_records(connection, [Episode("a"), Fact("f", sources=()), Episode("b", time=5.0, entities=("x",))], 1.0)
    assert not update_record(connection, Episode("b", entities=("y",), cites=(1,), id=3), 9.0)
    assert update_record(connection, Episode("c", entities=("y",), cites=(1,), id=3), 9.0)
    assert rows(connection, "record_entities") == [(3, "y", "y")]
    assert rows(connection, "mentions") == [(3, "cites", 0, 1)]
    assert connection.execute("SELECT text, time, stored FROM records WHERE id = 3").fetchall() == [("c", 5.0, 1.0)]


def test_what_is_named_must_be_there(connection: sqlite3.Connection) -> None:
    insert_records(connection, [Episode("a")], 1.0)
    require_records(connection, [])
    require_records(connection, [1, 1])
    with pytest.raises(UnknownRecordError, match=r"\[2, 5\]"):
        require_records(connection, [5, 1, 2])
    with pytest.raises(UnknownRecordError, match=r"\[8\]"):
        insert_records(connection, [Fact("f", sources=(1, 8))], 1.0)
    with pytest.raises(UnknownRecordError, match=r"\[8\]"):
        update_record(connection, Episode("a", cites=(8,), id=1), 1.0)
    with pytest.raises(InvalidRecordError, match="cannot become a fact"):
        update_record(connection, Fact("f", id=1), 1.0)


def test_many_missing_are_counted() -> None:
    assert "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9] and 15 more" in str(unknown(range(25)))
