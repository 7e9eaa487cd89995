"""Causal links in the database: at most one of a kind between two records in one direction."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Sequence

from lean_agentic.agentdb.filters import id_list
from lean_agentic.agentdb.record_tables import require_records
from lean_agentic.agentdb.records import CausalLink, LinkKind
from lean_agentic.agentdb.rows import link_row, to_link

_COLUMNS = "cause, effect, kind, strength, low, high, evidence"
_UPSERT = f"""
    INSERT INTO links ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (cause, effect, kind) DO UPDATE SET
        strength = excluded.strength, low = excluded.low, high = excluded.high, evidence = excluded.evidence
    RETURNING id"""


def put_links(connection: sqlite3.Connection, links: Sequence[CausalLink]) -> list[int]:
    """Store links, in place of those of the same cause, effect and kind; their ids.

    Raises UnknownRecordError where a record is missing, InvalidRecordError for impossible strengths or evidence.
    """
    rows = [link_row(link) for link in links]
    require_records(connection, {record_id for row in rows for record_id in row[:2]})
    return [connection.execute(_UPSERT, row).fetchone()[0] for row in rows]


def find_links(
    connection: sqlite3.Connection,
    cause: int | Collection[int] | None,
    effect: int | Collection[int] | None,
    kinds: Collection[LinkKind] | None,
    min_strength: float,
) -> list[CausalLink]:
    """The links that all conditions hold for, by id; None is no condition."""
    conditions: list[tuple[str, str]] = []
    for column, ids in (("cause", cause), ("effect", effect)):
        if ids is not None:
            conditions.append((column, id_list(ids if isinstance(ids, Collection) else [ids])))
    if kinds is not None:
        members = [kinds] if isinstance(kinds, str) else kinds
        conditions.append(("kind", json.dumps([LinkKind(kind).value for kind in members])))
    sql = "".join(f" AND {column} IN (SELECT value FROM json_each(?))" for column, _ in conditions)
    found = connection.execute(
        f"SELECT id, {_COLUMNS} FROM links WHERE strength >= ?{sql} ORDER BY id",
        (min_strength, *(values for _, values in conditions)),
    )
    return [to_link(row) for row in found]


def delete_links(connection: sqlite3.Connection, ids: Collection[int]) -> int:
    """Delete links by id; how many there were."""
    return connection.execute(
        "DELETE FROM links WHERE id IN (SELECT value FROM json_each(?))", (id_list(ids),)
    ).rowcount
