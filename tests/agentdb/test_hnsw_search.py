"""Exact search and candidates of a state that is written to."""

from __future__ import annotations

import numpy as np

from lean_agentic.agentdb.hnsw_graph import HnswGraph, HnswSettings
from lean_agentic.agentdb.hnsw_search import HnswState
from lean_agentic.agentdb.hnsw_writes import GraphWriter
from tests.agentdb.vector_data import brute_force, clustered, recall

DIMENSIONS = 24


def state_of(count: int) -> tuple[HnswState, np.ndarray]:
    state = HnswState(HnswGraph(DIMENSIONS, HnswSettings()))
    vectors = clustered(count, DIMENSIONS, 1)
    GraphWriter(state).add(np.arange(count) * 3, vectors)
    return state, vectors


def test_exact_search_is_exact_among_all_and_among_some() -> None:
    state, vectors = state_of(2000)
    ids, queries = np.arange(2000) * 3, clustered(10, DIMENSIONS, 2)
    assert recall(state.exact(queries, 10, None), brute_force(ids, vectors, queries, 10)) == 1
    some = ids[::7]
    assert recall(state.exact(queries, 10, some), brute_force(some, vectors[::7], queries, 10)) == 1
    assert [len(row) for row in state.exact(queries, 10, np.array([1, 2, 4])).ids] == [0] * 10


def test_candidates_carry_ids_and_similarities() -> None:
    state, vectors = state_of(2000)
    hits = state.candidates(vectors[[5, 50]], 3)
    assert [int(ids[0]) for ids in hits.ids] == [15, 150]
    np.testing.assert_allclose([row[0] for row in hits.similarities], 1, atol=1e-6)


def test_more_candidates_than_there_are_is_all_of_them() -> None:
    state, vectors = state_of(40)
    assert sorted(state.candidates(vectors[:1], 100).ids[0]) == (np.arange(40) * 3).tolist()
    empty = HnswState(HnswGraph(DIMENSIONS, HnswSettings()))
    assert [len(ids) for ids in empty.candidates(vectors[:2], 5).ids] == [0, 0]


def test_an_exact_search_that_began_before_a_removal_may_end_after_it() -> None:
    """It holds the lock for a block at a time: what it reads meanwhile is whole, old or new."""
    state, vectors = state_of(3000)
    ids, labels = state.slots.items()
    GraphWriter(state).remove(ids[:1000])
    np.testing.assert_array_equal(state.graph.gather(labels[:1000]), vectors[:1000])
