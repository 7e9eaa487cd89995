"""Compressed vectors, ranked by the exact ones that are fetched."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from lean_agentic.agentdb.errors import CorruptIndexError, MissingExtraError, UnknownRecordError
from lean_agentic.agentdb.snapshot import Manifest, save_snapshot
from lean_agentic.agentdb.usearch_index import UsearchIndex, UsearchSettings
from tests.agentdb.vector_data import brute_force, clustered, recall

DIMENSIONS = 48


class Truth:
    """Vectors by id, and what was asked for."""

    def __init__(self, vectors: np.ndarray) -> None:
        self.vectors = vectors
        self.fetched = 0
        self.gone: set[int] = set()

    def fetch(self, ids: np.ndarray) -> np.ndarray:
        if self.gone & set(ids.tolist()):
            raise UnknownRecordError("gone")
        self.fetched += len(ids)
        return self.vectors[ids]


def filled(count: int = 2000, **options: object) -> tuple[UsearchIndex, Truth]:
    truth = Truth(clustered(count, DIMENSIONS, 1))
    index = UsearchIndex(DIMENSIONS, truth.fetch, UsearchSettings(**options))  # type: ignore[arg-type]
    index.add(np.arange(count), truth.vectors)
    return index, truth


def test_similarities_are_exact_though_bytes_are_stored() -> None:
    index, truth = filled(storage="int8")
    queries = clustered(20, DIMENSIONS, 2)
    hits = index.search(queries, 10)
    for query, ids, similarities in zip(queries, hits.ids, hits.similarities, strict=True):
        np.testing.assert_allclose(similarities, truth.vectors[ids] @ query, atol=1e-6)
    stored = index._stored(np.arange(100))
    assert np.abs(stored - truth.vectors[:100]).max() > 1e-3, "these are bytes"


def test_ranking_more_candidates_exactly_finds_more() -> None:
    queries = clustered(200, DIMENSIONS, 2)
    recalls = []
    for oversample in (1.0, 4.0):
        index, truth = filled(storage="int8", oversample=oversample)
        recalls.append(recall(index.search(queries, 10), brute_force(np.arange(2000), truth.vectors, queries, 10)))
    assert recalls[1] > recalls[0]
    assert recalls[1] >= 0.99


def test_what_is_gone_from_the_truth_is_left_out() -> None:
    """The store forgets first; until the index hears of it, it must not fail."""
    index, truth = filled(300)
    query = truth.vectors[7][None]
    best = index.search(query, 6).ids[0]
    truth.gone = set(best[:2].tolist())
    assert index.search(query, 4).ids[0].tolist() == best[2:].tolist()
    truth.gone = set(range(300))
    assert len(index.search(query, 4).ids[0]) == 0


@pytest.mark.parametrize(("storage", "most"), [("float16", 0.62), ("int8", 0.37)])
def test_memory_is_a_share_of_the_raw_vectors(storage: str, most: float) -> None:
    truth = Truth(clustered(500, 1536, 1))
    settings = UsearchSettings(storage=storage, ef_construction=20)  # type: ignore[arg-type]
    index = UsearchIndex(1536, truth.fetch, settings)
    index.add(np.arange(500), truth.vectors)
    assert index.memory_bytes() <= most * truth.vectors.nbytes


def test_settings_survive_saving(tmp_path: Path) -> None:
    index, truth = filled(100, storage="int8", neighbours=8, ef_search=33, oversample=2.0)
    index.save(tmp_path)
    again = UsearchIndex.load(tmp_path, truth.fetch)
    assert again.settings == index.settings
    assert (again._graph.expansion_search, again._graph.connectivity) == (33, 8)
    again.ef_search = 70
    assert (again._graph.expansion_search, again.settings.ef_search) == (70, 70)


def test_churn_keeps_its_recall() -> None:
    index, truth = filled(3000)
    index.remove(np.arange(1200))
    truth.vectors[1200:1800] = clustered(600, DIMENSIONS, 5)
    index.add(np.arange(1200, 1800), truth.vectors[1200:1800])
    queries = clustered(100, DIMENSIONS, 2)
    live = np.arange(1200, 3000)
    hits = index.search(queries, 10)
    assert recall(hits, brute_force(live, truth.vectors[live], queries, 10)) >= 0.985
    assert all(len(ids) == 10 and (ids >= 1200).all() for ids in hits.ids)


def test_a_failure_half_way_leaves_the_index_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    index, truth = filled(100)
    put, calls = UsearchIndex._put, []

    def fail_later(self: UsearchIndex, ids: np.ndarray, vectors: np.ndarray) -> None:
        calls.append(1)
        if len(calls) == 3:
            raise MemoryError("no room")
        put(self, ids, vectors)

    monkeypatch.setattr(UsearchIndex, "_put", fail_later)
    with pytest.raises(MemoryError):
        index.add(np.arange(60, 140), clustered(80, DIMENSIONS, 4))
    assert index.ids().tolist() == list(range(100))
    np.testing.assert_allclose(index._stored(np.arange(100)), truth.vectors, atol=2e-3)


def test_what_cannot_work_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="storage is one of float16, int8, got 'float32'"):
        UsearchSettings(storage="float32")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least 1"):
        UsearchSettings(oversample=0.5)
    save_snapshot(tmp_path, Manifest("hnsw", DIMENSIONS, 0, 0), {})
    with pytest.raises(CorruptIndexError, match="backend hnsw, not usearch"):
        UsearchIndex.load(tmp_path, Truth(np.empty(0)).fetch)
    monkeypatch.setitem(sys.modules, "usearch.index", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'lean_agentic\[usearch\]'"):
        UsearchIndex(DIMENSIONS, Truth(np.empty(0)).fetch)
