from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import DBSCAN

from lean_agentic.agentdb.clustering import NOISE, Clustering, density_clusters
from lean_agentic.agentdb.errors import UnknownRecordError
from lean_agentic.agentdb.hnsw_index import HnswIndex
from lean_agentic.agentdb.vector_index import Ids, Vectors, unit_rows
from tests.agentdb.exact_index import ExactIndex
from tests.agentdb.vector_data import clustered


def indexed(ids: Ids, vectors: Vectors) -> ExactIndex:
    index = ExactIndex(vectors.shape[1])
    index.add(ids, vectors)
    return index


def blobs(seed: int, count: int) -> Vectors:
    """Tight and loose groups, and strays."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(6, 5))
    spread = rng.uniform(0.02, 0.6, size=6)
    which = rng.integers(6, size=count)
    return unit_rows(centres[which] + spread[which, None] * rng.normal(size=(count, 5)), 5)


def partition(clustering: Clustering) -> set[frozenset[int]]:
    return {frozenset(cluster.tolist()) for cluster in clustering.clusters()}


@given(st.integers(0, 10**6), st.integers(2, 60), st.floats(0.5, 0.999), st.integers(2, 5))
@settings(max_examples=150, deadline=None)
def test_the_partition_is_that_of_dbscan(seed: int, count: int, similarity: float, min_points: int) -> None:
    vectors = blobs(seed, count)
    cosines = vectors.astype(np.float64) @ vectors.T.astype(np.float64)
    off = ~np.eye(count, dtype=bool)
    if np.abs(cosines[off] - similarity).min() < 1e-6:
        similarity += 3e-6  # not on the border, where rounding decides
    ids = np.arange(count) * 3 + 5
    found = density_clusters(indexed(ids, vectors), ids, similarity=similarity, min_points=min_points, neighbours=count)
    oracle = DBSCAN(eps=1 - similarity, min_samples=min_points, metric="cosine").fit(vectors.astype(np.float64))
    core = np.isin(np.arange(count), oracle.core_sample_indices_)
    assert found.core.tolist() == core.tolist()
    assert ((found.labels == NOISE) == (oracle.labels_ == NOISE)).all()
    pairs = {(a, b) for a, b in zip(oracle.labels_[core].tolist(), found.labels[core].tolist(), strict=True)}
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})
    # DBSCAN gives a border point to whichever cluster comes first; here it goes to its nearest core point.
    for point in np.flatnonzero(~core & (found.labels != NOISE)):
        nearest = np.flatnonzero(core)[np.argmax(cosines[point, core])]
        assert cosines[point, nearest] >= similarity
        assert found.labels[point] == found.labels[nearest]


@given(st.integers(0, 10**6), st.integers(1, 40), st.integers(1, 8), st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_order_makes_no_difference(seed: int, count: int, neighbours: int, random: object) -> None:
    vectors = blobs(seed, count)
    ids = np.arange(count) * 2 + 1
    order = np.array(random.sample(range(count), count))  # type: ignore[attr-defined]
    straight = density_clusters(indexed(ids, vectors), ids, similarity=0.9, neighbours=neighbours)
    shuffled = density_clusters(indexed(ids[order], vectors[order]), ids[order], similarity=0.9, neighbours=neighbours)
    assert straight.ids.tolist() == shuffled.ids.tolist()
    assert straight.labels.tolist() == shuffled.labels.tolist()


def test_labels_are_the_lowest_core_id() -> None:
    vectors = unit_rows([[1, 0], [1, 0.01], [0, 1], [0.01, 1], [1, -1]], 2)
    ids = np.array([9, 4, 7, 2, 1])
    found = density_clusters(indexed(ids, vectors), ids, similarity=0.99)
    assert found.ids.tolist() == [1, 2, 4, 7, 9]
    assert found.labels.tolist() == [NOISE, 2, 4, 2, 4]
    assert partition(found) == {frozenset({2, 7}), frozenset({4, 9})}
    assert repr(found) == "Clustering(5 records, 2 clusters, 1 in none)"


def test_groups_are_kept_apart() -> None:
    vectors = unit_rows(np.ones((4, 3)), 3)
    ids = np.array([4, 3, 2, 1])
    found = density_clusters(indexed(ids, vectors), ids, similarity=0.9, groups=[1, 1, 0, 0])
    assert partition(found) == {frozenset({1, 2}), frozenset({3, 4})}


def test_records_that_are_not_asked_for_make_no_bridge() -> None:
    vectors = unit_rows([[1, 0], [1, 0.5], [1, 1.2]], 2)
    ids = np.array([1, 2, 3])
    index = indexed(ids, vectors)
    assert partition(density_clusters(index, ids, similarity=0.88)) == {frozenset({1, 2, 3})}
    assert partition(density_clusters(index, ids[[0, 2]], similarity=0.88)) == set()


def test_more_duplicates_than_neighbours_are_one_cluster() -> None:
    ids = np.arange(1, 41)
    index = indexed(ids, unit_rows(np.ones((40, 4)), 4))
    assert partition(density_clusters(index, ids, similarity=0.99, neighbours=3)) == {frozenset(range(1, 41))}


def test_nothing_to_cluster() -> None:
    assert density_clusters(ExactIndex(3), [], similarity=0.9).clusters() == []


def test_what_makes_no_sense_is_refused() -> None:
    index = indexed(np.array([1]), unit_rows([[1, 0]], 2))
    with pytest.raises(ValueError, match="min_points"):
        density_clusters(index, [1], similarity=0.9, min_points=0)
    with pytest.raises(ValueError, match="comes 2 times"):
        density_clusters(index, [1, 1], similarity=0.9)
    with pytest.raises(UnknownRecordError, match="2"):
        density_clusters(index, [1, 2], similarity=0.9)


def test_progress_reaches_the_end() -> None:
    ids = np.arange(1, 1201)
    calls: list[tuple[int, int]] = []
    density_clusters(
        indexed(ids, clustered(1200, 4, 0)), ids, similarity=0.99, progress=lambda *each: calls.append(each)
    )
    assert calls == [(512, 1200), (1024, 1200), (1200, 1200)]


@pytest.mark.slow
def test_the_graph_index_finds_planted_clusters() -> None:
    rng = np.random.default_rng(0)
    centres = unit_rows(rng.normal(size=(500, 64)), 64)
    vectors = unit_rows(np.repeat(centres, 20, axis=0) + 0.02 * rng.normal(size=(10_000, 64)), 64)
    ids = np.arange(1, 10_001)
    index = HnswIndex(64)
    index.add(ids, vectors)
    started = time.perf_counter()
    found = partition(density_clusters(index, ids, similarity=0.9, min_points=3))
    print(f"10k x 64 in {time.perf_counter() - started:.1f} s")
    assert found == {frozenset(range(1 + 20 * c, 21 + 20 * c)) for c in range(500)}
