"""Searches of a graph that others write to meanwhile: plain, filtered, and exact where the graph cannot answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import numpy as np

from lean_agentic.agentdb.exact_search import among, block_rows, exact_hits
from lean_agentic.agentdb.hnsw_graph import HnswGraph, Labels
from lean_agentic.agentdb.id_slots import ABSENT, IdSlots
from lean_agentic.agentdb.readers_writer_lock import ReadersWriterLock
from lean_agentic.agentdb.search_plan import Plan, Route, plan_search, replan
from lean_agentic.agentdb.vector_index import Hits, Ids, Vectors

_NO_IDS = np.empty(0, np.int64)
_NO_SIMILARITIES = np.empty(0, np.float32)


@dataclass
class HnswState:
    """What searches read and writers change, and the lock that both hold to do so."""

    graph: HnswGraph
    slots: IdSlots = field(default_factory=IdSlots)
    """Live ids to their labels in the graph."""
    lock: ReadersWriterLock = field(default_factory=ReadersWriterLock)


def nearest(state: HnswState, queries: Vectors, k: int, ef: int) -> Hits:
    """The k nearest live vectors of each query."""
    with state.lock.reading():
        graph = state.graph
        wanted = min(k, graph.live)
        plan = plan_search(wanted, graph.live, graph.live, ef, len(queries))
        near = graph.nearest(queries, wanted) if plan.route is Route.GRAPH else None
        if near is not None:
            return Hits(list(graph.records[near[0]]), list(near[1]))
    return exact(state, queries, k, None)


def nearest_allowed(state: HnswState, queries: Vectors, k: int, ef: int, allowed: Ids) -> Hits:
    """The k nearest of each query among the live of the ascending `allowed`."""
    hits = Hits([_NO_IDS] * len(queries), [_NO_SIMILARITIES] * len(queries))
    left = np.arange(len(queries))
    plan = plan_search(k, len(allowed), state.graph.live, ef, len(queries))
    while plan.route is Route.GRAPH and len(left):
        found = _filtered(state, queries[left], k, plan, allowed)
        _fill(hits, left, found)
        sizes = np.array([len(ids) for ids in found.ids])
        left = left[sizes < k]
        plan = replan(plan, int(sizes.min()), k, len(allowed), max(len(left), 1))
    if len(left):
        _fill(hits, left, exact(state, queries[left], k, allowed))
    return hits


def exact(state: HnswState, queries: Vectors, k: int, allowed: Ids | None) -> Hits:
    """The k nearest of each query, every live (and allowed) vector compared."""
    with state.lock.reading():
        graph = state.graph
        if allowed is None:
            ids, labels = state.slots.items()
        else:
            labels = state.slots.find(allowed)
            ids, labels = allowed[labels != ABSENT], labels[labels != ABSENT]
        if not graph.in_place:
            # hnswlib's get_items refuses labels that died since.
            return exact_hits(queries, k, _blocks(graph, ids, labels, nullcontext))
    return exact_hits(queries, k, _blocks(graph, ids, labels, state.lock.reading))


def _filtered(state: HnswState, queries: Vectors, k: int, plan: Plan, allowed: Ids) -> Hits:
    with state.lock.reading():
        graph = state.graph
        near = graph.nearest(queries, min(plan.fetch, graph.live)) if graph.live else None
        if near is None:
            return Hits([_NO_IDS] * len(queries), [_NO_SIMILARITIES] * len(queries))
        ids, similarities = graph.records[near[0]], near[1]
    passing = [np.flatnonzero(row)[:k] for row in among(ids, allowed)]
    return Hits(
        [row[kept] for row, kept in zip(ids, passing, strict=True)],
        [row[kept] for row, kept in zip(similarities, passing, strict=True)],
    )


def _blocks(
    graph: HnswGraph, ids: Ids, labels: Labels, hold: Callable[[], AbstractContextManager[None]]
) -> Iterator[tuple[Ids, Vectors]]:
    # Each block is copied under a hold of its own, so that writers need not wait for the whole of a long search.
    size = block_rows(graph.dimensions)
    for start in range(0, len(ids), size):
        with hold():
            block = graph.gather(labels[start : start + size])
        yield ids[start : start + size], block


def _fill(hits: Hits, places: Ids, found: Hits) -> None:
    for place, ids, similarities in zip(places.tolist(), found.ids, found.similarities, strict=True):
        hits.ids[place], hits.similarities[place] = ids, similarities
