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
READ_AT_ONCE = 1000
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


def vector_faults(connection: sqlite3.Connection, dimensions: int) -> list[str]:
    """A complaint for each vector that has not `dimensions` numbers, or not the length 1 within .1%."""
    found = []
    cursor = connection.execute("SELECT record_id, data FROM vectors")
    while rows := cursor.fetchmany(READ_AT_ONCE):
        sound = [row for row in rows if len(row[1]) == BYTES * dimensions]
        found += [
            f"the vector of record {record_id} has {len(data)} bytes, not {BYTES * dimensions}"
            for record_id, data in rows
            if len(data) != BYTES * dimensions
        ]
        joined = np.frombuffer(b"".join(data for _, data in sound), "<f4").reshape(len(sound), dimensions)
        squares = np.einsum("ij,ij->i", joined, joined, dtype=np.float64)
        for place in np.flatnonzero(~(np.abs(squares - 1) < 2e-3)).tolist():
            length = float(np.sqrt(squares[place]))
            found.append(f"the vector of record {sound[place][0]} has the length {length:.3g}, not 1")
    return found


def _select(connection: sqlite3.Connection, columns: str, ids: Sequence[int]) -> sqlite3.Cursor:
    return connection.execute(
        f"SELECT {columns} FROM vectors WHERE record_id IN (SELECT value FROM json_each(?))", (id_list(ids),)
    )
