"""The loop around any graph: as many as there are, whatever the graph answers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lean_agentic.agentdb.exact_search import exact_hits
from lean_agentic.agentdb.filtered_search import Searcher
from lean_agentic.agentdb.search_plan import Costs
from lean_agentic.agentdb.vector_index import Hits, Ids, Vectors
from tests.agentdb.vector_data import brute_force, clustered

DIMENSIONS = 8
VECTORS = clustered(900, DIMENSIONS, 1)
IDS = np.arange(900) * 2
CHEAP_GRAPH = Costs(graph_scale=0.1)


class Graph:
    """Exact answers, of which the graph finds `found` at most; counts who was asked."""

    def __init__(self, found: int = 10**9) -> None:
        self.found = found
        self.graph_queries = self.exact_queries = 0

    def candidates(self, queries: Vectors, count: int) -> Hits:
        self.graph_queries += len(queries)
        return exact_hits(queries, min(count, self.found), [(IDS, VECTORS)])

    def exact(self, queries: Vectors, k: int, allowed: Ids | None) -> Hits:
        self.exact_queries += len(queries)
        kept = np.ones(len(IDS), bool) if allowed is None else np.isin(IDS, allowed)
        return exact_hits(queries, k, [(IDS[kept], VECTORS[kept])])

    def search(self, queries: Vectors, k: int, allowed: Ids | None, costs: Costs = CHEAP_GRAPH) -> Hits:
        return Searcher(self.candidates, self.exact, costs).search(queries, k, allowed, len(IDS), 5)


@given(
    k=st.integers(1, 30),
    share=st.floats(0, 1),
    found=st.integers(1, 60),
    seed=st.integers(0, 1000),
    filtered=st.booleans(),
)
@settings(max_examples=100, deadline=None)
def test_answers_are_never_short(k: int, share: float, found: int, seed: int, filtered: bool) -> None:
    graph = Graph(found)
    allowed = IDS[np.random.default_rng(seed).random(len(IDS)) < share] if filtered else None
    queries = clustered(3, DIMENSIONS, seed)
    hits = graph.search(queries, k, allowed)
    kept = np.ones(len(IDS), bool) if allowed is None else np.isin(IDS, allowed)
    for ids, true in zip(hits.ids, brute_force(IDS[kept], VECTORS[kept], queries, k), strict=True):
        assert sorted(ids) == sorted(true)


def test_only_queries_that_came_short_are_asked_again() -> None:
    graph = Graph()
    near_first = np.argsort(-(VECTORS @ VECTORS[0]))
    # All that is near the one query is shut out; nothing that is near its opposite is.
    allowed = np.sort(IDS[near_first[450:]])
    queries = np.concatenate([VECTORS[:1], -VECTORS[:1]])
    hits = graph.search(queries, 5, allowed)
    assert [len(ids) for ids in hits.ids] == [5, 5]
    assert graph.graph_queries == 2 + 1 or graph.exact_queries == 1


def test_dear_graphs_are_not_asked() -> None:
    graph = Graph()
    graph.search(VECTORS[:2], 5, None, Costs(graph_scale=1e9))
    graph.search(VECTORS[:2], 5, IDS[:800], Costs(graph_scale=1e9))
    assert (graph.graph_queries, graph.exact_queries) == (0, 4)


@pytest.mark.parametrize("allowed", [None, IDS[:3]])
def test_no_queries(allowed: Ids | None) -> None:
    assert Graph().search(VECTORS[:0], 5, allowed).ids == []
