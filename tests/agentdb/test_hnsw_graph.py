"""The gaps of hnswlib that the graph closes: growth, liveness, exact access, and what a file of it forgets."""

from __future__ import annotations

from pathlib import Path

import hnswlib
import numpy as np
import pytest

from lean_agentic.agentdb.errors import CorruptIndexError
from lean_agentic.agentdb.hnsw_graph import DEAD, HnswGraph, HnswSettings, chunks
from tests.agentdb.vector_data import brute_force, clustered

DIMENSIONS = 24


def grown(count: int, settings: HnswSettings | None = None) -> tuple[HnswGraph, np.ndarray]:
    graph = HnswGraph(DIMENSIONS, settings or HnswSettings(), 8)
    vectors = clustered(count, DIMENSIONS, 1)
    for start in range(0, count, 100):
        part = vectors[start : start + 100]
        graph.reserve(graph.count + len(part))
        graph.append(np.arange(start, start + len(part)) * 5, part)
    return graph, vectors


@pytest.mark.parametrize("threads", [1, 3])
def test_labels_rows_and_records_stay_together_through_growth(threads: int) -> None:
    graph, vectors = grown(1000, HnswSettings(threads=threads))
    assert graph.in_place
    np.testing.assert_array_equal(graph.gather(np.arange(1000)), vectors)
    np.testing.assert_array_equal(graph.records[:1000], np.arange(1000) * 5)
    assert (graph.count, graph.live) == (1000, 1000)


def test_it_finds_what_hnswlib_by_itself_finds() -> None:
    """Also with `ef` above and below k, which hnswlib raises to k."""
    graph, vectors = grown(1000)
    plain = hnswlib.Index(space="ip", dim=DIMENSIONS)
    plain.init_index(1000, M=16, ef_construction=200, random_seed=100)
    plain.add_items(vectors, np.arange(1000), num_threads=1)
    queries = clustered(20, DIMENSIONS, 2)
    for ef in (5, 64):
        graph.set_ef(ef)
        plain.set_ef(ef)
        near = graph.nearest(queries, 10)
        assert near is not None
        labels, distances = plain.knn_query(queries, k=10)
        np.testing.assert_array_equal(near[0], labels)
        np.testing.assert_array_equal(near[1], 1 - distances)


def test_dead_labels_are_not_found_and_can_be_revived() -> None:
    graph, vectors = grown(300)
    dead = np.arange(0, 300, 2)
    graph.kill(dead)
    near = graph.nearest(vectors[dead], 5)
    assert near is not None
    assert (near[0] % 2 == 1).all()
    assert graph.live == 150
    assert graph.live_labels().tolist() == list(range(1, 300, 2))
    graph.revive(dead, dead * 5)
    near = graph.nearest(vectors[dead], 1)
    assert near is not None
    assert near[0][:, 0].tolist() == dead.tolist()


def test_fewer_than_asked_for_is_said() -> None:
    graph, vectors = grown(50)
    graph.kill(np.arange(40))
    assert graph.nearest(vectors[:2], 20) is None
    assert graph.nearest(vectors[:2], 10) is not None


def test_without_the_view_vectors_come_from_hnswlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lean_agentic.agentdb.hnsw_graph.rows_in_place", lambda index: None)
    graph, vectors = grown(200)
    assert not graph.in_place
    np.testing.assert_array_equal(graph.gather(np.array([7, 3, 199])), vectors[[7, 3, 199]])


def test_a_file_brings_back_vectors_records_and_ef(tmp_path: Path) -> None:
    graph, vectors = grown(500, HnswSettings(ef_search=17))
    graph.kill(np.arange(10))
    graph.save(tmp_path / "file")
    again = HnswGraph.load(tmp_path / "file", graph.records[:500].copy(), DIMENSIONS, graph.settings)
    assert again._index.ef == 17, "hnswlib forgets it"
    assert (again.count, again.live) == (500, 490)
    np.testing.assert_array_equal(again.gather(np.arange(500)), vectors)
    queries = clustered(10, DIMENSIONS, 2)
    near = again.nearest(queries, 5)
    assert near is not None
    for found, true in zip(near[0], brute_force(np.arange(10, 500), vectors[10:], queries, 5), strict=True):
        assert len(np.intersect1d(found, true)) >= 4


def test_a_file_of_other_settings_or_more_vectors_is_refused(tmp_path: Path) -> None:
    graph, _ = grown(100)
    graph.save(tmp_path / "file")
    records = graph.records[:100].copy()
    with pytest.raises(CorruptIndexError, match="its manifest says"):
        HnswGraph.load(tmp_path / "file", records, DIMENSIONS, HnswSettings(neighbours=8))
    with pytest.raises(CorruptIndexError, match="holds 100 vectors"):
        HnswGraph.load(tmp_path / "file", records[:50], DIMENSIONS, HnswSettings())
    (tmp_path / "short").write_bytes((tmp_path / "file").read_bytes()[:200])
    with pytest.raises(CorruptIndexError, match="hnswlib cannot read"):
        HnswGraph.load(tmp_path / "short", records, DIMENSIONS, HnswSettings())


def test_a_failed_insertion_leaves_nothing_that_can_be_found() -> None:
    graph, vectors = grown(100)
    graph.reserve(200)
    room = graph._index.max_elements
    added = graph._index.add_items

    class Breaking:
        """The index, with room for one vector only of those that come."""

        def __getattr__(self, name: str) -> object:
            return getattr(graph_index, name)

        def add_items(self, rows: np.ndarray, labels: np.ndarray) -> None:
            added(rows[:1], labels[:1])
            raise MemoryError("no more")

    graph_index, graph._index = graph._index, Breaking()
    with pytest.raises(MemoryError):
        graph.append(np.array([7000, 7001]), clustered(2, DIMENSIONS, 9))
    graph._index = graph_index
    assert graph.live == 100
    near = graph.nearest(clustered(2, DIMENSIONS, 9), 100)
    assert near is not None
    assert (graph.records[near[0]] != DEAD).all()
    labels = graph.append(np.array([8000, 8001]), vectors[:2] * -1)
    np.testing.assert_array_equal(graph.gather(labels), -vectors[:2])
    assert room == graph._index.max_elements


def test_settings_that_make_no_graph_are_refused() -> None:
    for name, least in {"neighbours": 2, "ef_construction": 1, "ef_search": 1, "threads": 1}.items():
        with pytest.raises(ValueError, match=f"{name} must be at least {least}"):
            HnswSettings(**{name: least - 1})


def test_chunks() -> None:
    assert [part.tolist() for part in chunks(np.arange(5), 2)] == [[0, 1], [2, 3], [4]]
