"""Full-text search: BM25 over the stems of the store's texts (SQLite's FTS5, Porter stemmer).

A query may be any text. Its words are quoted, so that nothing in it is taken for an operator; words that say nothing
are left out, and any of the others may match. Where the words are so common that ranking all texts with them would
take long, the rarest of them choose the candidates and all of them rank those.
"""

from __future__ import annotations

import sqlite3
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from lean_agentic.agentdb.filters import Filter, condition, id_list
from lean_agentic.agentdb.store import Store
from lean_agentic.agentdb.tenant_words import is_only_tenant, weighed_by_tenant
from lean_agentic.agentdb.vector_index import Ids

MOST_TERMS = 64
"""Different words of a query that are looked for; a longer one is cut."""
MOST_MATCHES = 5_000
"""Texts that are ranked before common words lose their say in which ones are."""
_CANDIDATES = 4
"""Candidates for each wanted hit, where common words only rank."""
_ENOUGH = 2
"""Texts for each wanted hit that are looked at before the filter, or before they are weighed by tenant."""

_STOP = (
    "a am an and are as at be been being by can could d did didn do does doesn don for from had hadn has hasn have "
    "haven he her his how i if in into is isn it its ll m me my no not of on or our re s she should shouldn so t than "
    "that the their them then there these they this those to us ve was wasn we were weren what when where which who "
    "whom whose why will with won would wouldn you your"
)
STOP_WORDS = frozenset(_STOP.split())


@dataclass(frozen=True)
class TextHits:
    """The texts that match best, best first."""

    ids: Ids
    """(n,)"""
    scores: npt.NDArray[np.float64]
    """(n,) BM25, above 0; the larger, the better."""
    terms: tuple[str, ...]
    """The words of the query that were looked for."""


def text_search(store: Store, query: str, k: int, where: Filter | None = None) -> TextHits:
    """The k records in use whose texts match a query best, among those that pass the filter.

    Weights of words come from all texts of the store, or of the tenant where the filter names one. Fewer than k are
    found where fewer match, none for a query without letters or digits. Ties go to the smaller id.
    """
    terms = query_terms(query)
    if not terms or k < 1:
        return TextHits(np.empty(0, np.int64), np.empty(0), terms)
    with store.read() as connection:
        tenant = None if where is None or is_only_tenant(connection) else where.tenant
        wanted = k if tenant is None else _ENOUGH * k
        found = _by_rare_words(connection, terms, wanted, where)
        if found is None:
            found = _ranked(connection, terms, wanted, where)
        if tenant is not None:
            found = weighed_by_tenant(connection, terms, [record_id for record_id, _ in found], tenant)[:k]
    return TextHits(
        np.array([record_id for record_id, _ in found], np.int64), np.array([score for _, score in found]), terms
    )


def query_terms(query: str) -> tuple[str, ...]:
    """The different words of a query in their order, in lower case, without stop words unless it has only those."""
    words = list(dict.fromkeys(split_words(query.lower())))
    telling = [word for word in words if word not in STOP_WORDS]
    return tuple((telling or words)[:MOST_TERMS])


def split_words(text: str) -> list[str]:
    """Words as the index sees them: letters, digits and marks on them; whatever else separates."""
    words = "".join(letter if _in_word(letter) else " " for letter in text).split()
    # Marks alone are no word.
    return [word for word in words if any(map(str.isalnum, word))]


def matching_terms(store: Store, terms: Sequence[str], ids: Collection[int]) -> Mapping[int, tuple[str, ...]]:
    """Which of the terms each of the records matches; records that match none are left out."""
    found: dict[int, list[str]] = {}
    with store.read() as connection:
        for term in terms:
            # The plus: reading through a word's texts once is faster than looking for each id among them.
            rows = connection.execute(
                "SELECT rowid FROM texts WHERE texts MATCH ? AND +rowid IN (SELECT value FROM json_each(?))",
                (_match([term]), id_list(ids)),
            )
            for (record_id,) in rows:
                found.setdefault(record_id, []).append(term)
    return {record_id: tuple(words) for record_id, words in found.items()}


_Ranked = list[tuple[int, float]]
"""Ids and scores, best first."""


def _by_rare_words(
    connection: sqlite3.Connection, terms: Sequence[str], k: int, where: Filter | None
) -> _Ranked | None:
    """The best of the texts that the rarest terms choose; None where all terms may choose, or those choose too few."""
    chosen = _selective(connection, terms)
    if len(chosen) == len(terms):
        return None
    candidates = _ranked(connection, chosen, _CANDIDATES * k, where)
    if len(candidates) < k:
        return None
    # The plus keeps FTS5 from weighing the words anew for each of the ids.
    sql = f"{_RANKED} WHERE texts MATCH ? AND +rowid IN (SELECT value FROM json_each(?)) {_BEST}"
    return _rows(connection, sql, (_match(terms), id_list([record_id for record_id, _ in candidates]), k))


def _ranked(connection: sqlite3.Connection, terms: Sequence[str], k: int, where: Filter | None) -> _Ranked:
    """The k best texts that pass the filter."""
    if where is None or where.ids is None:
        # Most often the filter lets most through: then it need not look at every text that matches.
        more = _ENOUGH * k
        best = _rows(connection, f"{_RANKED} WHERE texts MATCH ? {_BEST}", (_match(terms), more))
        which = condition(replace(where or Filter(), ids=[record_id for record_id, _ in best]))
        passing = {row[0] for row in connection.execute(f"SELECT id FROM records WHERE {which.sql}", which.parameters)}
        found = [each for each in best if each[0] in passing]
        if len(best) < more or len(found) >= k:
            return found[:k]
    which = condition(where)
    # CROSS JOIN: the full text first, whatever SQLite thinks of the filter.
    sql = f"{_RANKED} CROSS JOIN records ON records.id = texts.rowid WHERE texts MATCH ? AND {which.sql} {_BEST}"
    return _rows(connection, sql, (_match(terms), *which.parameters, k))


_RANKED = "SELECT texts.rowid, bm25(texts) AS badness FROM texts"
_BEST = "ORDER BY badness, texts.rowid LIMIT ?"


def _rows(connection: sqlite3.Connection, sql: str, parameters: Sequence[Any]) -> _Ranked:
    return [(record_id, -badness) for record_id, badness in connection.execute(sql, parameters).fetchall()]


def _selective(connection: sqlite3.Connection, terms: Sequence[str]) -> Sequence[str]:
    """The rarest terms, at least one, that together match no more than MOST_MATCHES texts; all where few texts are."""
    if connection.execute("SELECT count(*) FROM (SELECT 1 FROM records LIMIT ?)", (MOST_MATCHES,)).fetchone()[0] < (
        MOST_MATCHES
    ):
        return terms
    counted = sorted((_matches(connection, term), term) for term in terms)
    total, chosen = 0, []
    for matches, term in counted:
        total += matches
        # A word that no text has must not take the place of the first one that some have.
        if total > MOST_MATCHES and total > matches:
            break
        chosen.append(term)
    return chosen


def _matches(connection: sqlite3.Connection, term: str) -> int:
    found = connection.execute("SELECT count(*) FROM texts WHERE texts MATCH ?", (_match([term]),))
    return int(found.fetchone()[0])


def _match(terms: Sequence[str]) -> str:
    """An FTS5 expression: any of the terms, each quoted (quotes are no part of words)."""
    return " OR ".join(f'"{term}"' for term in terms)


def _in_word(letter: str) -> bool:
    return letter.isalnum() or unicodedata.category(letter)[0] in "MN" or unicodedata.category(letter) == "Co"
