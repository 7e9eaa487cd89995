"""Forgetting: deletion that reaches every table, the full text, the vectors, and the bytes of the file.

Deleting a record cascades to its vector, entities, metadata, links and mentions by others. A record that was made from
others (a fact by its sources, a pattern by its trajectories, any record by its provenance) and has none of them left
is forgotten with them, since it says what they said; one that has some left stays and no longer names the forgotten.
An episode that cites a forgotten one stays: it happened all the same.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from dataclasses import dataclass, replace

from lean_agentic.agentdb.errors import FilterError
from lean_agentic.agentdb.filters import Condition, Filter, condition, id_list
from lean_agentic.agentdb.rows import Role


@dataclass(frozen=True)
class Forgetting:
    """What forgetting reaches."""

    asked: tuple[int, ...]
    """Ids of the records that were asked for."""
    derived: tuple[int, ...]
    """Ids of those made from them alone, which go too."""
    weakened: tuple[int, ...]
    """Ids of those that named some of them and stay."""

    @property
    def records(self) -> int:
        """How many records go."""
        return len(self.asked) + len(self.derived)


def plan_forgetting(connection: sqlite3.Connection, where: Filter | Collection[int]) -> Forgetting:
    """What `forget` would reach. Fills the temporary table `forgotten` of the connection.

    Raises FilterError for a filter that matches everything without saying so.
    """
    which = _which(where)
    connection.execute("CREATE TEMP TABLE IF NOT EXISTS forgotten (id INTEGER PRIMARY KEY)")
    connection.execute("DELETE FROM temp.forgotten")
    connection.execute(
        f"INSERT INTO temp.forgotten SELECT id FROM main.records AS records WHERE {which.sql}", which.parameters
    )
    asked = _ids(connection, "SELECT id FROM temp.forgotten ORDER BY id")
    while connection.execute(_ORPHANS).rowcount:
        pass
    everything = _ids(connection, "SELECT id FROM temp.forgotten ORDER BY id")
    weakened = _ids(connection, _WEAKENED)
    return Forgetting(asked, tuple(sorted(set(everything) - set(asked))), weakened)


def forget(connection: sqlite3.Connection, where: Filter | Collection[int]) -> Forgetting:
    """Delete the records and whatever is derived from them alone, inside the caller's write transaction.

    The caller empties the write-ahead log afterwards. Raises FilterError like `plan_forgetting`.
    """
    plan = plan_forgetting(connection, where)
    if plan.records:
        connection.execute("DELETE FROM records WHERE id IN (SELECT id FROM temp.forgotten)")
        # Deleted words stay in the segments of the full-text index until those are merged.
        connection.execute("INSERT INTO texts (texts) VALUES ('optimize')")
    connection.execute("DELETE FROM temp.forgotten")
    return plan


_MADE_FROM = f"role <> '{Role.CITES}'"
_ORPHANS = f"""
    INSERT INTO temp.forgotten
    SELECT DISTINCT record_id FROM mentions
    WHERE target IN (SELECT id FROM temp.forgotten) AND {_MADE_FROM}
        AND record_id NOT IN (SELECT id FROM temp.forgotten)
        AND NOT EXISTS (
            SELECT 1 FROM mentions AS others
            WHERE others.record_id = mentions.record_id AND others.{_MADE_FROM}
                AND others.target NOT IN (SELECT id FROM temp.forgotten))"""
_WEAKENED = """
    SELECT DISTINCT record_id FROM mentions
    WHERE target IN (SELECT id FROM temp.forgotten) AND record_id NOT IN (SELECT id FROM temp.forgotten)
    ORDER BY record_id"""


def _which(where: Filter | Collection[int]) -> Condition:
    if not isinstance(where, Filter):
        return Condition("records.id IN (SELECT value FROM json_each(?))", (id_list(where),))
    if not where.restricts and not where.everything and not where.archived:
        raise FilterError("this filter matches every record: to forget all of them, say Filter(everything=True)")
    # What is to be forgotten is forgotten in the archive too.
    return condition(where if where.everything or where.archived else replace(where, archived=None))


def _ids(connection: sqlite3.Connection, sql: str) -> tuple[int, ...]:
    return tuple(record_id for (record_id,) in connection.execute(sql))
