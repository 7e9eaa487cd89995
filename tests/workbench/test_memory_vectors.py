"""The data that indexes are measured on, and recall that cannot be fooled."""

from __future__ import annotations

import hnswlib
import numpy as np
import pytest

from lean_agentic.workbench.memory_vectors import clustered_data, held_out, recall, with_truth


def test_made_vectors_are_unit_seeded_and_held_out() -> None:
    data = clustered_data(500, 64, 40, seed=1)
    assert data.vectors.shape == (500, 64)
    assert data.queries.shape == (40, 64)
    np.testing.assert_allclose(np.linalg.norm(data.vectors, axis=1), 1, atol=1e-5)
    assert data.worst.max() < 0.9999, "no query is among the vectors"
    again, other = clustered_data(500, 64, 40, seed=1), clustered_data(500, 64, 40, seed=2)
    np.testing.assert_array_equal(data.vectors, again.vectors)
    assert not np.array_equal(data.vectors, other.vectors)


def test_the_truth_is_the_kth_similarity() -> None:
    data = clustered_data(300, 32, 20, seed=1, k=7)
    expected = np.sort(data.queries.astype(float) @ data.vectors.T.astype(float), axis=1)[:, -7]
    np.testing.assert_allclose(data.worst, expected, atol=1e-6)


def test_made_vectors_are_about_as_hard_as_embeddings() -> None:
    """hnswlib finds 98% to 99.9% of them at ef 64, and clearly fewer at 16: neither trivial nor hopeless."""
    data = clustered_data(4000, 384, 300, seed=0)
    index = hnswlib.Index(space="ip", dim=384)
    index.init_index(4000, M=16, ef_construction=200, random_seed=1)
    index.add_items(data.vectors, num_threads=1)
    found = {}
    for ef in (16, 64):
        index.set_ef(ef)
        found[ef] = recall(data, list(index.knn_query(data.queries, k=10, num_threads=1)[0].astype(np.int64)))
    assert 0.985 <= found[64] < 1
    assert found[16] < found[64] - 0.01


def test_recall_of_the_truth_is_one_and_of_others_less() -> None:
    data = clustered_data(300, 32, 20, seed=1)
    truth = [np.argsort(-(data.vectors @ query))[:10] for query in data.queries]
    assert recall(data, truth) == 1
    assert recall(data, [ids[:5] for ids in truth]) == 0.5
    assert recall(data, [np.repeat(ids[:1], 10) for ids in truth]) == 0.1, "an id counts once"
    assert recall(data, [np.argsort(data.vectors @ query)[:10] for query in data.queries]) == 0
    assert recall(data, [ids[:0] for ids in truth]) == 0


def test_vectors_equally_near_are_equally_right() -> None:
    data = clustered_data(50, 32, 1, seed=1)
    doubled = with_truth("", np.concatenate([data.vectors, data.vectors]), data.queries, 10)
    best = np.argsort(-(data.vectors @ data.queries[0]))[:10]
    assert recall(doubled, [np.concatenate([best[:5], best[:5] + 50])]) == 1
    assert recall(doubled, [np.concatenate([best[:5], best[5:]])]) == pytest.approx(0.5)


def test_given_vectors_lose_their_doubles_before_queries_are_held_out() -> None:
    rows = clustered_data(200, 32, 1, seed=1).vectors
    data = held_out("given", np.concatenate([rows, rows[:50]]), 20, seed=3)
    assert data.vectors.shape == (180, 32)
    assert data.queries.shape == (20, 32)
    assert data.name == "given 180 x 32"
    together = np.unique(np.concatenate([data.vectors, data.queries]).round(5), axis=0)
    assert len(together) == 200
