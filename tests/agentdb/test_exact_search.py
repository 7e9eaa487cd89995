"""Exact search in blocks against one big product."""

from __future__ import annotations

import numpy as np
import pytest

from lean_agentic.agentdb.exact_search import among, block_rows, exact_hits, join_hits
from lean_agentic.agentdb.vector_index import Hits
from tests.agentdb.vector_data import brute_force, clustered


@pytest.mark.parametrize("block", [1, 7, 100, 1000])
@pytest.mark.parametrize("k", [1, 10, 2000])
def test_blocks_of_any_size_give_the_same(block: int, k: int) -> None:
    vectors, queries = clustered(500, 16, 1), clustered(9, 16, 2)
    ids = np.arange(500) * 2 + 5
    blocks = ((ids[start : start + block], vectors[start : start + block]) for start in range(0, 500, block))
    hits = exact_hits(queries, k, blocks)
    for found, true in zip(hits.ids, brute_force(ids, vectors, queries, k), strict=True):
        assert sorted(found) == sorted(true)
    for found, row, query in zip(hits.ids, hits.similarities, queries, strict=True):
        np.testing.assert_allclose(row, vectors[(found - 5) // 2] @ query, atol=1e-6)
        assert (np.diff(row) <= 0).all()


def test_equals_come_in_order_of_their_ids() -> None:
    vectors = np.tile(clustered(1, 16, 1), (6, 1))
    ids = np.array([9, 2, 7, 1, 5, 3])
    assert exact_hits(vectors[:1], 6, [(ids, vectors)]).ids[0].tolist() == [1, 2, 3, 5, 7, 9]


def test_no_blocks_no_hits() -> None:
    hits = exact_hits(clustered(2, 16, 1), 5, [])
    assert [len(row) for row in hits.ids] == [0, 0]


def test_blocks_fit_the_cache() -> None:
    assert block_rows(1536) * 1536 * 4 <= 1 << 20
    assert block_rows(10**6) == 64


def test_among_and_join() -> None:
    allowed = np.array([2, 5, 9])
    assert among(np.array([[1, 2], [9, 10]]), allowed).tolist() == [[False, True], [True, False]]
    one, two = Hits([np.array([1])], [np.float32([0.5])]), Hits([np.array([2])], [np.float32([0.25])])
    assert [row.tolist() for row in join_hits([one, two]).ids] == [[1], [2]]
