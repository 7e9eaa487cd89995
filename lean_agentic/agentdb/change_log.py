"""What changed for a vector index: the log that triggers write and indexes replay.

`changes` holds one row for each record that ever had a vector, with the number of its latest change. An index that
holds all changes up to its watermark asks for the later ones. Rows of vectors that are gone may be trimmed; an empty
index needs none of them, so that replaying from 0 always builds it.
"""

from __future__ import annotations

import sqlite3
import time
from typing import NamedTuple

from lean_agentic.agentdb.record_tables import last_number

KEPT_SNAPSHOTS = 100
_SINCE = """
    SELECT changes.seq, changes.record_id, vectors.record_id IS NOT NULL AND coalesce(records.archived, 1) = 0
    FROM changes
    LEFT JOIN vectors ON vectors.record_id = changes.record_id
    LEFT JOIN records ON records.id = changes.record_id
    WHERE changes.seq > ? ORDER BY changes.seq LIMIT ?"""


class Change(NamedTuple):
    """The latest change of a record."""

    seq: int
    record_id: int
    live: bool
    """Whether the record has a vector and is in use now; an index removes it otherwise."""


def changes_since(connection: sqlite3.Connection, seq: int, limit: int) -> list[Change]:
    """The first `limit` changes after a sequence number, ascending."""
    return [
        Change(number, record_id, bool(live)) for number, record_id, live in connection.execute(_SINCE, (seq, limit))
    ]


def last_change(connection: sqlite3.Connection) -> int:
    """Number of the last change ever made; 0 before the first."""
    return last_number(connection, "changes")


def oldest_change(connection: sqlite3.Connection) -> int:
    """The first change that the log still has: an index with a watermark below the one before must be built anew."""
    row = connection.execute("SELECT value FROM meta WHERE key = 'trimmed'").fetchone()
    return int(row[0]) + 1 if row else 1


def trim_changes(connection: sqlite3.Connection, upto: int) -> int:
    """Drop the changes up to a number whose vectors are gone; returns how many."""
    upto = min(upto, last_change(connection))
    if upto < oldest_change(connection):
        return 0
    connection.execute("INSERT OR REPLACE INTO meta VALUES ('trimmed', ?)", (str(upto),))
    return connection.execute(
        "DELETE FROM changes WHERE seq <= ? AND record_id NOT IN (SELECT record_id FROM vectors)", (upto,)
    ).rowcount


def note_snapshot(connection: sqlite3.Connection, token: str, seq: int) -> None:
    """Note that an index with this token is saved, which holds the changes up to `seq`.

    A database restored from an older backup lacks the token, although its numbers may have caught up since.
    """
    connection.execute("INSERT INTO snapshots (token, seq, taken) VALUES (?, ?, ?)", (token, seq, time.time()))
    connection.execute("DELETE FROM snapshots WHERE id <= (SELECT max(id) FROM snapshots) - ?", (KEPT_SNAPSHOTS,))


def knows_snapshot(connection: sqlite3.Connection, token: str) -> bool:
    """Whether an index with this token was noted, in this very history of the database."""
    return connection.execute("SELECT 1 FROM snapshots WHERE token = ?", (token,)).fetchone() is not None
