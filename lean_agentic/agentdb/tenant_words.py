"""How much words weigh within one tenant: what is rare in the whole store may be common there, and the other way round.

FTS5 weighs a word by the texts of the whole store that have it. Here a tenant's hits are weighed anew by its own texts
alone: a word's share of BM25 is divided by its weight in the store and multiplied by its weight in the tenant. So what
one tenant is told about depends on what it told alone, but for the mean length of texts.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Sequence

from lean_agentic.agentdb.filters import id_list

MOST_SEEN = 200
"""Texts with a word that are looked at, about, to tell which share of them is the tenant's."""
_LEAST_WEIGHT = 1e-6
"""FTS5's weight of a word that more than half of the texts have."""


def is_only_tenant(connection: sqlite3.Connection) -> bool:
    """Whether all records of the store are of one tenant."""
    found = connection.execute("SELECT (SELECT min(tenant) FROM records), (SELECT max(tenant) FROM records)").fetchone()
    return bool(found[0] == found[1])


def weighed_by_tenant(
    connection: sqlite3.Connection, terms: Sequence[str], ids: Sequence[int], tenant: str
) -> list[tuple[int, float]]:
    """Ids and scores, best first, of a tenant's texts; those that have none of the terms are left out."""
    texts = _count(connection, "SELECT count(*) FROM records WHERE archived = 0")
    own_texts = _count(connection, "SELECT count(*) FROM records WHERE archived = 0 AND tenant = ?", tenant)
    scores: dict[int, float] = {}
    for term in terms:
        match = f'"{term}"'
        having = _count(connection, "SELECT count(*) FROM texts WHERE texts MATCH ?", match)
        # An estimate may be above what there can be.
        own = min(_own(connection, match, having, tenant), own_texts)
        change = _weight(own_texts, own) / _weight(texts, having)
        rows = connection.execute(
            "SELECT rowid, bm25(texts) FROM texts WHERE texts MATCH ? AND +rowid IN (SELECT value FROM json_each(?))",
            (match, id_list(ids)),
        )
        for record_id, badness in rows:
            scores[record_id] = scores.get(record_id, 0.0) - badness * change
    return sorted(scores.items(), key=lambda each: (-each[1], each[0]))


def _own(connection: sqlite3.Connection, match: str, having: int, tenant: str) -> float:
    """How many of the texts that have a word are the tenant's; estimated from a sample where those are many."""
    # The ids are scrambled: tenants may take turns in storing. The same ids are sampled each time.
    seen, own = connection.execute(
        "SELECT count(*), coalesce(sum(records.tenant = ?), 0) FROM "
        "(SELECT rowid FROM texts WHERE texts MATCH ? AND (((rowid % 1048573) * 7919) >> 7) % ? = 0) AS found "
        "CROSS JOIN records ON records.id = found.rowid",
        (tenant, match, -(-having // MOST_SEEN) or 1),
    ).fetchone()
    return float(own) * having / seen if seen else 0.0


def _weight(texts: float, having: float) -> float:
    """BM25's weight of a word that `having` of the texts have, as FTS5 computes it."""
    return max(math.log((texts - having + 0.5) / (having + 0.5)), _LEAST_WEIGHT)


def _count(connection: sqlite3.Connection, sql: str, *parameters: str) -> int:
    return int(connection.execute(sql, parameters).fetchone()[0])
