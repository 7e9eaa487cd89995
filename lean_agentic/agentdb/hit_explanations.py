"""The best candidates of a ranking as hits: their records, and what explains each."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np

from lean_agentic.agentdb import entity_match
from lean_agentic.agentdb.candidates import Candidates
from lean_agentic.agentdb.explanation import CausalStep, Lender, RecallExplanation
from lean_agentic.agentdb.filters import Filter, condition, id_list
from lean_agentic.agentdb.ranking import PARTS, Part, Ranking
from lean_agentic.agentdb.recall_result import RecallHit
from lean_agentic.agentdb.recall_trace import RecallTrace
from lean_agentic.agentdb.recalled_marks import marked
from lean_agentic.agentdb.records import Episode, LinkKind
from lean_agentic.agentdb.store import Store
from lean_agentic.agentdb.text_search import matching_terms
from lean_agentic.agentdb.vector_index import Vectors

LONGEST_CHAIN = 4
"""Links of a causal chain."""


def explain(
    store: Store, candidates: Candidates, ranking: Ranking, trace: RecallTrace, vector: Vectors, where: Filter
) -> tuple[RecallHit, ...]:
    """The k best candidates with their explanations; `vector` is the (d,) query."""
    evidence = candidates.evidence
    best = [int(place) for place in ranking.order[: trace.k]]
    ids = [int(evidence.ids[place]) for place in best]
    with store.read() as connection:
        records = store.get(ids)
        words = matching_terms(store, candidates.terms, ids)
        about = entity_match.about(store, candidates.mentions, ids)
        similarities = _similarities(store, ids, vector)
        chains = causal_chains(connection, ids, where)
    hits = []
    for rank, (place, record) in enumerate(zip(best, records, strict=True), 1):
        contributions = dict(zip(PARTS, ranking.contributions[place].tolist(), strict=True))
        why = RecallExplanation(
            record=record.id,
            rank=rank,
            score=float(ranking.scores[place]),
            contributions=contributions,
            similarity=similarities.get(record.id),
            bm25=float(evidence.text[place]),
            words=words.get(record.id, ()),
            entities=tuple(mention.entity for mention in about.get(record.id, ())),
            dates=tuple(mention.text for mention in candidates.times) if contributions[Part.TIME] else (),
            lenders=_lenders(candidates, ranking, place),
            chain=chains.get(record.id, ()),
            trace=trace,
        )
        # mypy takes the record for the union, which `marked` is generic over.
        hits.append(RecallHit(marked(cast(Episode, record)), why.score, why))
    return tuple(hits)


def causal_chains(
    connection: sqlite3.Connection, ids: Sequence[int], where: Filter
) -> Mapping[int, tuple[CausalStep, ...]]:
    """The strongest links that lead to each record, from the first cause on; records without causes are left out.

    Each step goes to the strongest cause that is not later, of the same tenant and time; never twice to one record.
    """
    chains: dict[int, list[CausalStep]] = {record_id: [] for record_id in ids}
    ends = {record_id: record_id for record_id in ids}
    for _ in range(LONGEST_CHAIN):
        steps = _strongest_causes(connection, set(ends.values()), where)
        for record_id, end in list(ends.items()):
            step = steps.get(end)
            if step is None or step.cause in (record_id, *(each.cause for each in chains[record_id])):
                del ends[record_id]
            else:
                chains[record_id].insert(0, step)
                ends[record_id] = step.cause
    return {record_id: tuple(steps) for record_id, steps in chains.items() if steps}


def _strongest_causes(connection: sqlite3.Connection, effects: set[int], where: Filter) -> dict[int, CausalStep]:
    """The strongest link to each effect."""
    which = condition(Filter(tenant=where.tenant, as_of=where.as_of, archived=None))
    rows = connection.execute(
        "SELECT links.cause, links.effect, links.kind, links.strength FROM links "
        "CROSS JOIN records ON records.id = links.cause CROSS JOIN records AS later ON later.id = links.effect "
        "WHERE links.effect IN (SELECT value FROM json_each(?)) AND records.time <= later.time "
        f"AND {which.sql} ORDER BY links.strength, links.id DESC",
        (id_list(effects), *which.parameters),
    )
    # The last one of each effect stays: the strongest, of equals the oldest.
    return {effect: CausalStep(cause, effect, LinkKind(kind), strength) for cause, effect, kind, strength in rows}


def _similarities(store: Store, ids: Sequence[int], vector: Vectors) -> Mapping[int, float]:
    """Cosine to the query of each record that has a vector."""
    having = [record_id for record_id, has in zip(ids, store.has_vector(ids), strict=True) if has]
    if not having:
        return {}
    return dict(zip(having, (store.vectors(having) @ vector).tolist(), strict=True))


def _lenders(candidates: Candidates, ranking: Ranking, place: int) -> tuple[Lender, ...]:
    """Who lends to the candidate at a place, the most generous first."""
    loans = candidates.evidence.loans
    mine = np.flatnonzero((loans.borrower == place) & (ranking.lent > 0))
    ids = candidates.evidence.ids[loans.lender]
    ordered = sorted(mine.tolist(), key=lambda at: (-ranking.lent[at], ids[at]))
    return tuple(Lender(int(ids[at]), candidates.relations[at], float(ranking.lent[at])) for at in ordered)
