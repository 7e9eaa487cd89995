"""Vectors in the database: float32, little endian, one row for each record that has one."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lean_agentic.agentdb.errors import UnknownRecordError
from lean_agentic.agentdb.filters import id_list
from lean_agentic.agentdb.vector_index import Vectors

BYTES = 4
_UPSERT = (
    "INSERT INTO vectors (record_id, data) VALUES (?, ?) ON CONFLICT (record_id) DO UPDATE SET data = excluded.data"
)


def put_vectors(connection: sqlite3.Connection, ids: Sequence[int], vectors: Vectors) -> None:
    """Store the (n, d) unit vectors of records, in place of those that they had."""
    rows = np.ascontiguousarray(vectors, "<f4")
    connection.executemany(_UPSERT, ((record_id, row.tobytes()) for record_id, row in zip(ids, rows, strict=True)))


def read_vectors(connection: sqlite3.Connection, ids: Sequence[int], dimensions: int) -> Vectors:
    """The (n, d) vectors of records, in their order. Raises UnknownRecordError, which names those without one."""
    found = dict(_select(connection, "record_id, data", ids))
    if missing := sorted({record_id for record_id in ids if record_id not in found}):
        raise UnknownRecordError(f"no vectors are stored for the records {missing[:10]}")
    joined = b"".join(found[record_id] for record_id in ids)
    return np.frombuffer(joined, "<f4").astype(np.float32).reshape(len(ids), dimensions)


def have_vectors(connection: sqlite3.Connection, ids: Sequence[int]) -> npt.NDArray[np.bool_]:
    """Whether each record has a vector, (n,)."""
    found = {record_id for (record_id,) in _select(connection, "record_id", ids)}
    return np.array([record_id in found for record_id in ids], bool)


def wrong_sizes(connection: sqlite3.Connection, dimensions: int) -> list[str]:
    """A complaint for each vector (the first ten) of another size than `dimensions` numbers."""
    found = connection.execute(
        "SELECT record_id, length(data) FROM vectors WHERE length(data) <> ? LIMIT 10", (BYTES * dimensions,)
    )
    return [f"the vector of record {i} has {size} bytes, not {BYTES * dimensions}" for i, size in found]


def _select(connection: sqlite3.Connection, columns: str, ids: Sequence[int]) -> sqlite3.Cursor:
    return connection.execute(
        f"SELECT {columns} FROM vectors WHERE record_id IN (SELECT value FROM json_each(?))", (id_list(ids),)
    )
