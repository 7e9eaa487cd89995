"""Which known entities a query names, and which records are about them.

An entity is named where it stands in the query as whole words, whatever the case: `Ann` in "What did Ann say?" and not
in "Annual report"; `New York` beats the `York` in it. What few records are about weighs more (inverse document
frequency). Scripts that write words without blanks between them need their entities set off.
"""

from __future__ import annotations

import json
import math
import re
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from lean_agentic.agentdb.filters import Filter, condition, id_list
from lean_agentic.agentdb.rows import fold
from lean_agentic.agentdb.store import Store

LONGEST = 64
"""Letters of an entity that is looked for."""
MOST_LETTERS = 2000
"""Of a query that are looked at."""
MOST_COUNTED = 500
MOST_RECORDS = 400
"""Entities of more records than this do not bring in their newest ones."""
_BOUNDARY = re.compile(r"(?<=\w)(?=\W)|(?<=\W)(?=\w)|(?<=\W)(?=\W)|^|$")


@dataclass(frozen=True)
class Mention:
    """An entity that a query names."""

    entity: str
    """In the spelling of a record that is about it."""
    folded: str
    records: int
    """How many records that pass the filter are about it; counted up to MOST_COUNTED."""
    weight: float
    """Share of this entity among all that the query names, by inverse document frequency; they sum to 1."""


def mentions(store: Store, query: str, where: Filter | None = None) -> list[Mention]:
    """The entities of records that pass a filter which the query names, in the order of the query."""
    spans = _spans(" ".join(fold(query[:MOST_LETTERS]).split()))
    with store.read() as connection:
        counts = {name: _records(connection, name, where) for name in _entities(connection, list(spans))}
        names = _longest({name: spans[name] for name, count in counts.items() if count})
        total = _total(connection, where) if len(names) > 1 else 1
        spellings = {name: _spelling(connection, name, where) for name in names}
    surprise = {name: math.log(1 + total / counts[name]) for name in names}
    whole = sum(surprise.values())
    return [Mention(spellings[name], name, counts[name], surprise[name] / whole) for name in names]


def about(store: Store, found: Sequence[Mention], ids: Collection[int]) -> Mapping[int, tuple[Mention, ...]]:
    """Which of the mentioned entities each of the records is about; records about none are left out."""
    by_name = {mention.folded: mention for mention in found}
    with store.read() as connection:
        rows = connection.execute(
            "SELECT record_id, folded FROM record_entities WHERE folded IN (SELECT value FROM json_each(?)) "
            "AND record_id IN (SELECT value FROM json_each(?)) ORDER BY record_id, folded",
            (json.dumps(list(by_name)), id_list(ids)),
        ).fetchall()
    names: dict[int, set[str]] = {}
    for record_id, name in rows:
        names.setdefault(record_id, set()).add(name)
    return {
        record_id: tuple(mention for name, mention in by_name.items() if name in mine)
        for record_id, mine in names.items()
    }


def newest_about(store: Store, found: Sequence[Mention], limit: int, where: Filter | None = None) -> list[int]:
    """The newest records that pass a filter and are about any of the mentioned entities, unless those are common."""
    which = condition(where)
    newest: list[tuple[float, int]] = []
    with store.read() as connection:
        for mention in found:
            if mention.records <= MOST_RECORDS:
                sql = f"SELECT records.time, records.id {_ABOUT} AND {which.sql} ORDER BY 1 DESC, 2 DESC LIMIT ?"
                newest += connection.execute(sql, (mention.folded, *which.parameters, limit))
    return [record_id for _, record_id in sorted(set(newest), reverse=True)[:limit]]


def _entities(connection: sqlite3.Connection, names: Sequence[str]) -> list[str]:
    """The names that are entities of any record."""
    rows = connection.execute(
        "SELECT value FROM json_each(?) WHERE EXISTS (SELECT 1 FROM record_entities WHERE folded = value)",
        (json.dumps(names),),
    )
    return [name for (name,) in rows]


# CROSS JOIN: the entity first, whatever SQLite thinks of the filter.
_ABOUT = "FROM record_entities CROSS JOIN records ON records.id = record_entities.record_id WHERE folded = ?"


def _records(connection: sqlite3.Connection, name: str, where: Filter | None) -> int:
    which = condition(where)
    rows = connection.execute(
        f"SELECT count(*) FROM (SELECT 1 {_ABOUT} AND {which.sql} LIMIT ?)", (name, *which.parameters, MOST_COUNTED)
    )
    return int(rows.fetchone()[0])


def _total(connection: sqlite3.Connection, where: Filter | None) -> int:
    """How many records pass a filter, counted up to MOST_COUNTED."""
    which = condition(where)
    sql = f"SELECT count(*) FROM (SELECT 1 FROM records WHERE {which.sql} LIMIT ?)"
    return int(connection.execute(sql, (*which.parameters, MOST_COUNTED)).fetchone()[0])


def _spelling(connection: sqlite3.Connection, name: str, where: Filter | None) -> str:
    which = condition(where)
    rows = connection.execute(f"SELECT entity {_ABOUT} AND {which.sql} LIMIT 1", (name, *which.parameters))
    return str(rows.fetchone()[0])


def _spans(query: str) -> dict[str, list[tuple[int, int]]]:
    """What may be an entity: every stretch between two boundaries of words or punctuation, and where it stands."""
    spans: dict[str, list[tuple[int, int]]] = {}
    for start, end in _stretches(query):
        text = query[start:end]
        if text and text == text.strip():
            spans.setdefault(text, []).append((start, end))
    return spans


def _stretches(query: str) -> Iterator[tuple[int, int]]:
    places = sorted({match.start() for match in _BOUNDARY.finditer(query)})
    for at, start in enumerate(places):
        for end in places[at + 1 :]:
            if end - start > LONGEST:
                break
            yield start, end


def _longest(spans: Mapping[str, list[tuple[int, int]]]) -> list[str]:
    """The names that stand somewhere outside all longer ones, by their first place."""
    first: dict[str, int] = {}
    taken: list[tuple[int, int]] = []
    every = [(start, end, name) for name, places in spans.items() for start, end in places]
    for start, end, name in sorted(every, key=lambda each: (each[0] - each[1], each[0])):
        if not any(start < other_end and other_start < end for other_start, other_end in taken):
            taken.append((start, end))
            first[name] = min(start, first.get(name, start))
    return sorted(first, key=first.__getitem__)
