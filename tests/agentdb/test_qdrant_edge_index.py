"""The engine in the process: its folder, its graph, its bytes."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from lean_agentic.agentdb.errors import CorruptIndexError, MissingExtraError
from lean_agentic.agentdb.qdrant_edge_index import QdrantEdgeIndex, QdrantEdgeSettings
from lean_agentic.agentdb.snapshot import Manifest, save_snapshot
from tests.agentdb.vector_data import brute_force, clustered, recall

DIMENSIONS = 48


def filled(count: int, settings: QdrantEdgeSettings | None = None) -> tuple[QdrantEdgeIndex, np.ndarray]:
    index = QdrantEdgeIndex(DIMENSIONS, settings)
    vectors = clustered(count, DIMENSIONS, 1)
    index.add(np.arange(count), vectors)
    return index, vectors


@pytest.mark.parametrize("int8", [False, True])
def test_the_graph_exists_after_optimize_and_is_searched(int8: bool) -> None:
    index, vectors = filled(3000, QdrantEdgeSettings(int8=int8))
    assert index._shard.info().indexed_vectors_count == 0
    index.optimize()
    assert index._shard.info().indexed_vectors_count == 3000
    queries = clustered(60, DIMENSIONS, 2)
    truth = brute_force(np.arange(3000), vectors, queries, 10)
    hits = index.search(queries, 10)
    assert recall(hits, truth) >= 0.985
    for query, ids, similarities in zip(queries, hits.ids, hits.similarities, strict=True):
        np.testing.assert_allclose(similarities, vectors[ids] @ query, atol=1e-5)
    index.close()


def test_churn_keeps_its_recall() -> None:
    index, vectors = filled(3000)
    index.optimize()
    index.remove(np.arange(1200))
    vectors[1200:1800] = clustered(600, DIMENSIONS, 5)
    index.add(np.arange(1200, 1800), vectors[1200:1800])
    queries, live = clustered(60, DIMENSIONS, 2), np.arange(1200, 3000)
    for optimized in (False, True):
        hits = index.search(queries, 10)
        assert recall(hits, brute_force(live, vectors[live], queries, 10)) >= 0.985, optimized
        assert all(len(ids) == 10 and (ids >= 1200).all() for ids in hits.ids)
        index.optimize()
    index.close()


def test_it_optimizes_itself_when_much_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    index, _ = filled(5001)
    assert index._shard.info().indexed_vectors_count == 5001
    index.close()


def test_it_works_in_a_folder_of_its_own_and_cleans_up(tmp_path: Path) -> None:
    index = QdrantEdgeIndex(DIMENSIONS, workspace=tmp_path / "engine")
    index.add(np.arange(5), clustered(5, DIMENSIONS, 1))
    index.save(tmp_path / "saved")
    index.close()
    assert any((tmp_path / "engine").iterdir())
    with pytest.raises(ValueError, match="is not empty"):
        QdrantEdgeIndex(DIMENSIONS, workspace=tmp_path / "engine")
    again = QdrantEdgeIndex.load(tmp_path / "saved", workspace=tmp_path / "other")
    assert again.ids().tolist() == list(range(5))
    again.close()
    temporary = QdrantEdgeIndex(DIMENSIONS)
    folder = temporary._folder
    assert folder.is_dir()
    temporary.close()
    temporary.close()
    assert not folder.exists()


def test_settings_survive_saving(tmp_path: Path) -> None:
    settings = QdrantEdgeSettings(neighbours=8, ef_search=33, int8=True, oversample=3.0)
    index, _ = filled(50, settings)
    index.save(tmp_path)
    again = QdrantEdgeIndex.load(tmp_path)
    assert again.settings == settings
    again.ef_search = 90
    assert again.settings.ef_search == 90
    for each in (index, again):
        each.close()


def test_memory_counts_the_files_that_are_mapped() -> None:
    index, vectors = filled(4000)
    assert index.memory_bytes() >= vectors.nbytes
    index.close()


def test_what_cannot_work_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_snapshot(tmp_path, Manifest("hnsw", DIMENSIONS, 0, 0), {})
    with pytest.raises(CorruptIndexError, match="backend hnsw, not qdrant-edge"):
        QdrantEdgeIndex.load(tmp_path)
    monkeypatch.setitem(sys.modules, "qdrant_edge", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'lean_agentic\[qdrant\]'"):
        QdrantEdgeIndex(DIMENSIONS)
