"""What speaks for which records: the evidence that `ranking` turns into scores.

In: a query, the most similar records, the store. Out: the candidates (the most similar, those whose words match best,
their neighbours in session and causal graph, the newest about entities that the query names) with all that is known
of each. Whatever does not pass the filter, or was forgotten meanwhile, is left out here once and for all.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from lean_agentic.agentdb import entity_match
from lean_agentic.agentdb.entity_match import Mention
from lean_agentic.agentdb.filters import Filter, condition, id_list
from lean_agentic.agentdb.ranking import Evidence, Loans, Weights
from lean_agentic.agentdb.records import LinkKind
from lean_agentic.agentdb.rows import fold
from lean_agentic.agentdb.store import Store
from lean_agentic.agentdb.text_search import text_search
from lean_agentic.agentdb.time_mentions import TimeMention, closeness, time_mentions
from lean_agentic.agentdb.vector_index import Ids

MOST_LINKS = 500
"""Causal links that are followed from the hits of a query, the strongest ones."""
BEFORE, AFTER = "before", "after"
"""How a lender is near its borrower, besides the kinds of links."""


@dataclass(frozen=True)
class Query:
    """What is asked."""

    text: str
    where: Filter
    now: float
    """Unix seconds: what ages and `yesterday` count from."""


@dataclass(frozen=True, eq=False)
class Candidates:
    """Evidence for the ranking, and what explains it."""

    evidence: Evidence
    relations: tuple[str, ...]
    """How each loan's lender is near: it came `before` or `after` in the session, or the kind of link between them."""
    terms: tuple[str, ...]
    """Words of the query that were looked for."""
    mentions: tuple[Mention, ...]
    """Entities that the query names."""
    times: tuple[TimeMention, ...]
    """Dates that the query names."""


def gather(
    store: Store, query: Query, ids: Ids, similarities: npt.NDArray[np.float32], pool: int, weights: Weights
) -> Candidates:
    """The candidates for a query.

    Parameters
    ----------
    ids, similarities
        (n,) the most similar records and their cosines.
    pool
        How many hits of the full text, and newest records about an entity, become candidates.
    """
    with store.read() as connection:
        texts = text_search(store, query.text, pool, query.where)
        mentions = entity_match.mentions(store, query.text, query.where)
        seeds = np.union1d(ids, texts.ids)
        near = _linked(connection, seeds, weights)
        for pair, loan in _neighbours(connection, seeds, weights).items():
            near[pair] = max(near.get(pair, loan), loan)
        every = {*seeds.tolist(), *(borrower for borrower, _ in near)}
        every |= set(entity_match.newest_about(store, mentions, pool, query.where))
        rows = _rows(connection, every, query.where)
        about = entity_match.about(store, mentions, rows)
    place = {record_id: at for at, record_id in enumerate(rows)}
    times = _dates(query, mentions)
    evidence = Evidence(
        ids=np.fromiter(rows, np.int64, len(rows)),
        similarity=_spread(place, ids, similarities, np.nan),
        text=_spread(place, texts.ids, texts.scores, 0.0),
        session=_sessions(rows.values()),
        entities=np.array([sum(mention.weight for mention in about.get(record_id, ())) for record_id in rows], float),
        time=closeness(times, [row.time for row in rows.values()]),
        age=np.array([query.now - row.last(query.now) for row in rows.values()], float),
        uses=np.array([row.uses for row in rows.values()], float),
        loans=_loans(near, place),
    )
    relations = tuple(relation for pair, (_, relation) in near.items() if pair[0] in place and pair[1] in place)
    return Candidates(evidence, relations, texts.terms, tuple(mentions), tuple(times))


@dataclass(frozen=True)
class _Row:
    tenant: str
    session: str
    time: float
    uses: int
    last_time: float | None
    """When it happened last, where several were merged into it."""

    def last(self, now: float) -> float:
        """When it happened last, as known then."""
        return self.last_time if self.last_time is not None and self.time <= self.last_time <= now else self.time


def _rows(connection: sqlite3.Connection, ids: Collection[int], where: Filter) -> dict[int, _Row]:
    """What is needed of the records that pass the filter, by id ascending."""
    allowed = set(ids) if where.ids is None else set(ids) & set(where.ids)
    which = condition(replace(where, ids=sorted(allowed)))
    found = connection.execute(
        "SELECT id, tenant, session, time, access_count, json_extract(metadata, '$.merged.last_time') FROM records "
        f"WHERE {which.sql} ORDER BY id",
        which.parameters,
    )
    return {
        record_id: _Row(tenant, session, time, uses, last if isinstance(last, int | float) else None)
        for record_id, tenant, session, time, uses, last in found
    }


_Near = dict[tuple[int, int], tuple[float, str]]
"""(borrower, lender) to share and relation."""


def _neighbours(connection: sqlite3.Connection, seeds: Ids, weights: Weights) -> _Near:
    """What the seeds lend to the records around them in their sessions."""
    # The seed comes after those before it, and lends to them as such.
    places = [(weights.after, "<", "DESC", AFTER), (weights.before, ">", "ASC", BEFORE)]
    columns, lent = [], []
    for shares, comparison, order, relation in places:
        for offset, share in enumerate(shares):
            if share:
                columns.append(_AT.format(comparison=comparison, order=order, offset=offset))
                lent.append((share, relation))
    if not columns:
        return {}
    rows = connection.execute(
        f"SELECT mine.id, {', '.join(columns)} FROM records AS mine "
        "WHERE mine.session <> '' AND mine.id IN (SELECT value FROM json_each(?))",
        (id_list(seeds.tolist()),),
    )
    return {
        (borrower, seed): loan
        for seed, *borrowers in rows
        for borrower, loan in zip(borrowers, lent, strict=True)
        if borrower is not None
    }


# After consolidation a session holds episodes and the facts that took the place of others.
_NEAR = """
    SELECT near.id AS id, near.time AS time FROM records AS near
    WHERE near.session = mine.session AND near.session <> '' AND near.tenant = mine.tenant AND near.archived = 0
        AND (near.kind = mine.kind OR near.kind IN ('episode', 'fact') AND mine.kind IN ('episode', 'fact'))
        AND {place} ORDER BY near.time {order}, near.id {order} LIMIT {offset} + 1"""
# Two searches in the index: a long session may have one time, and looking through all of it would take long.
_AT = f"""(
    SELECT id FROM (
        SELECT * FROM ({_NEAR.replace("{place}", "near.time = mine.time AND near.id {comparison} mine.id")})
        UNION ALL SELECT * FROM ({_NEAR.replace("{place}", "near.time {comparison} mine.time")}))
    ORDER BY time {{order}}, id {{order}} LIMIT 1 OFFSET {{offset}})"""


def _linked(connection: sqlite3.Connection, seeds: Ids, weights: Weights) -> _Near:
    """What the seeds lend along causal links; those between neighbours of a session are counted there."""
    near: _Near = {}
    for lender, borrower, weight in (("cause", "effect", weights.cause), ("effect", "cause", weights.effect)):
        rows = connection.execute(
            f"SELECT {borrower}, {lender}, strength, kind FROM links "
            f"WHERE {lender} IN (SELECT value FROM json_each(?)) AND kind <> ? AND strength > 0 "
            "ORDER BY strength DESC, id LIMIT ?",
            (id_list(seeds.tolist()), LinkKind.SEQUENCE, MOST_LINKS),
        )
        for to, by, strength, kind in rows:
            share = weight * strength
            if share > near.get((to, by), (0.0, ""))[0]:
                near[to, by] = (share, kind)
    return near


def _loans(near: _Near, place: Mapping[int, int]) -> Loans:
    """The loans between candidates, as places among them."""
    kept = [(place[to], place[by], share) for (to, by), (share, _) in near.items() if to in place and by in place]
    borrowers, lenders, shares = zip(*kept, strict=True) if kept else ((), (), ())
    return Loans(np.array(borrowers, np.int64), np.array(lenders, np.int64), np.array(shares, float))


def _spread(
    place: Mapping[int, int], ids: Ids, values: Sequence[float] | npt.NDArray[np.floating], missing: float
) -> npt.NDArray[np.float64]:
    """The values at the places of their records."""
    spread = np.full(len(place), missing)
    for record_id, value in zip(ids.tolist(), values, strict=True):
        if record_id in place:
            spread[place[record_id]] = value
    return spread


def _sessions(rows: Collection[_Row]) -> npt.NDArray[np.int64]:
    """A number for each session, by its first candidate; -1 without one."""
    numbers: dict[tuple[str, str], int] = {}
    return np.array(
        [numbers.setdefault((row.tenant, row.session), len(numbers)) if row.session else -1 for row in rows], np.int64
    )


def _dates(query: Query, mentions: Sequence[Mention]) -> list[TimeMention]:
    """The dates that the query names, without those that are names of entities, such as April."""
    names = {mention.folded for mention in mentions}
    return [mention for mention in time_mentions(query.text, query.now) if fold(mention.text) not in names]
