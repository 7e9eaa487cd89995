"""Writing records into their tables, inside a transaction that the caller holds."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from lean_agentic.agentdb.errors import InvalidRecordError, UnknownRecordError
from lean_agentic.agentdb.filters import id_list
from lean_agentic.agentdb.records import Record
from lean_agentic.agentdb.rows import COLUMNS, Row, kind_of, to_row

_INSERT = f"INSERT INTO records ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"
_INSERT_TEXTS = "INSERT INTO texts (rowid, text) SELECT id, text FROM records WHERE id >= ? AND +archived = 0"
"""The plus keeps SQLite from going through all records in use."""
_KEPT = ("id", "stored")
_UPDATED = tuple(column for column in COLUMNS if column not in _KEPT)
_UPDATE = f"UPDATE records SET {', '.join(f'{column} = ?' for column in _UPDATED)} WHERE id = ?"
_DETAILS = ("record_entities", "record_metadata")


def insert_records(connection: sqlite3.Connection, records: Sequence[Record], now: float) -> list[int]:
    """Insert new records; their ids, in order.

    Raises InvalidRecordError, and UnknownRecordError where they name records that are not there.
    """
    if stored := [record.id for record in records if getattr(record, "id", 0)]:
        raise InvalidRecordError(f"the records {stored[:5]} have ids, so they are stored already: update them instead")
    # The write transaction keeps others from taking these ids.
    first = last_number(connection, "records") + 1
    rows = [to_row(record, first + place, now) for place, record in enumerate(records)]
    _require_known(connection, rows)
    connection.executemany(_INSERT, (row.columns for row in rows))
    connection.execute(_INSERT_TEXTS, (first,))
    _insert_details(connection, rows)
    return [row.columns[0] for row in rows]


def update_record(connection: sqlite3.Connection, record: Record, now: float) -> bool:
    """Replace the record with the same id; without a time it keeps its own. Returns whether its text is another.

    Raises UnknownRecordError where there is none, InvalidRecordError where it is of another kind.
    """
    found = connection.execute("SELECT kind, time, text FROM records WHERE id = ?", (record.id,)).fetchone()
    if found is None:
        raise unknown([record.id])
    if found[0] != kind_of(record):
        raise InvalidRecordError(f"record {record.id} is a {found[0]}, it cannot become a {kind_of(record)}: add one")
    row = to_row(replace(record, time=found[1]) if record.time is None else record, record.id, now)
    _require_known(connection, [row])
    values = dict(zip(COLUMNS, row.columns, strict=True))
    connection.execute(_UPDATE, (*(values[column] for column in _UPDATED), record.id))
    for table in (*_DETAILS, "mentions"):
        connection.execute(f"DELETE FROM {table} WHERE record_id = ?", (record.id,))
    _insert_details(connection, [row])
    return bool(values["text"] != found[2])


def require_records(connection: sqlite3.Connection, ids: Collection[int]) -> None:
    """Raises UnknownRecordError, which names the missing, unless all are there."""
    missing = connection.execute(
        "SELECT value FROM json_each(?) WHERE value NOT IN (SELECT id FROM records)", (id_list(ids),)
    ).fetchall()
    if missing:
        raise unknown([record_id for (record_id,) in missing])


def unknown(ids: Iterable[int]) -> UnknownRecordError:
    """The error for ids that no record has."""
    missing = sorted(set(ids))
    more = f" and {len(missing) - 10} more" if len(missing) > 10 else ""
    return UnknownRecordError(f"no records have the ids {missing[:10]}{more}: never stored, or forgotten since")


def last_number(connection: sqlite3.Connection, table: str) -> int:
    """The last id that a table gave out, whether its row is still there or not; 0 before the first."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,)).fetchone()
    return int(row[0]) if row else 0


def _insert_details(connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
    connection.executemany(
        "INSERT OR IGNORE INTO record_entities (record_id, folded, entity) VALUES (?, ?, ?)",
        ((row.columns[0], *entity) for row in rows for entity in row.entities),
    )
    connection.executemany(
        "INSERT INTO record_metadata (record_id, key, value) VALUES (?, ?, ?)",
        ((row.columns[0], *item) for row in rows for item in row.metadata),
    )
    connection.executemany(
        "INSERT INTO mentions (record_id, role, position, target) VALUES (?, ?, ?, ?)",
        ((row.columns[0], *mention) for row in rows for mention in row.mentions),
    )


def _require_known(connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
    if named := {target for row in rows for _, _, target in row.mentions}:
        require_records(connection, named)
