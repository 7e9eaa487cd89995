"""Indexes by name, and vectors moved between them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from qdrant_client import QdrantClient

from lean_agentic.agentdb.backends import BACKENDS, load_index, make_index, migrate
from lean_agentic.agentdb.hnsw_index import HnswIndex
from lean_agentic.agentdb.qdrant_edge_index import QdrantEdgeIndex
from lean_agentic.agentdb.vector_index import Hits, Ids, VectorIndex, Vectors
from tests.agentdb.vector_data import clustered

pytestmark = pytest.mark.filterwarnings("ignore:Local mode performs exact:UserWarning")

DIMENSIONS = 24


def options(backend: str, vectors: Vectors) -> dict[str, object]:
    """What a backend needs, for ids that are the rows of `vectors`."""
    needed: dict[str, dict[str, object]] = {
        "usearch": {"fetch": lambda ids: vectors[ids]},
        "qdrant": {"collection": "moved", "client": QdrantClient(":memory:")},
    }
    return needed.get(backend, {})


def test_options_reach_the_index() -> None:
    index = make_index("hnsw", DIMENSIONS, ef_search=99, neighbours=8, database="mine", compact_above=None)
    assert isinstance(index, HnswIndex)
    assert (index.settings.ef_search, index.settings.neighbours) == (99, 8)
    assert (index.database, index.compact_above) == ("mine", None)


def test_what_is_wrong_is_named() -> None:
    with pytest.raises(ValueError, match="no backend 'annoy': there are hnsw, usearch, qdrant-edge, qdrant"):
        make_index("annoy", DIMENSIONS)
    with pytest.raises(ValueError, match=r"the backend hnsw has no option ef: it has .*ef_search"):
        make_index("hnsw", DIMENSIONS, ef=5)
    with pytest.raises(ValueError, match="the backend usearch needs the option fetch"):
        make_index("usearch", DIMENSIONS)
    with pytest.raises(ValueError, match="needs the option collection"):
        make_index("qdrant", DIMENSIONS, url="http://127.0.0.1:6333")


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_migration_moves_everything_and_verifies_it(backend: str, tmp_path: Path) -> None:
    vectors = clustered(2600, DIMENSIONS, 1)
    ids = np.arange(100, 2600)
    source = make_index("hnsw", DIMENSIONS, database="mine")
    source.add(ids, vectors[ids])
    source.advance(77)
    target = make_index(backend, DIMENSIONS, **options(backend, vectors))
    target.add(np.arange(5), vectors[:5])
    steps: list[tuple[int, int]] = []
    report = migrate(source, target, clustered(50, DIMENSIONS, 2), progress=lambda *step: steps.append(step))
    assert (report.moved, report.removed, report.watermark) == (2500, 5, 77)
    assert report.source_recall >= 0.985
    assert report.target_recall >= 0.985
    assert steps == [(1000, 2500), (2000, 2500), (2500, 2500)]
    assert target.ids().tolist() == ids.tolist()
    assert (target.database, target.watermark) == ("mine", 77)
    np.testing.assert_allclose(target.vectors(ids[:50]), vectors[ids[:50]], atol=1e-6)
    assert "2500 moved" in repr(report)
    again = migrate(source, target, clustered(5, DIMENSIONS, 2))
    assert (again.moved, again.removed) == (2500, 0)
    target.close()


def test_a_saved_index_is_loaded_whatever_it_is(tmp_path: Path) -> None:
    for backend, kind in {"hnsw": HnswIndex, "qdrant-edge": QdrantEdgeIndex}.items():
        index = make_index(backend, DIMENSIONS)
        index.add(np.arange(9), clustered(9, DIMENSIONS, 1))
        index.save(tmp_path / backend)
        again = load_index(tmp_path / backend)
        assert isinstance(again, kind)
        assert len(again) == 9
        for each in (index, again):
            each.close()
    with pytest.raises(FileNotFoundError):
        load_index(tmp_path / "nothing")


class Forgetful(HnswIndex):
    """Loses a vector of each batch."""

    def add(self, ids: Ids, vectors: Vectors) -> None:
        super().add(ids[1:], vectors[1:])


class Wrong(HnswIndex):
    """Answers with what is farthest."""

    def search(self, queries: Vectors, k: int, allowed: Ids | None = None) -> Hits:
        return super().search(-queries, k, allowed)


@pytest.mark.parametrize(("kind", "said"), [(Forgetful, "holds 499 ids, the source 500"), (Wrong, "finds too little")])
def test_a_target_that_does_not_hold_or_find_is_told(kind: type[HnswIndex], said: str) -> None:
    source: VectorIndex = make_index("hnsw", DIMENSIONS)
    source.add(np.arange(500), clustered(500, DIMENSIONS, 1))
    with pytest.raises(RuntimeError, match=said):
        migrate(source, kind(DIMENSIONS), clustered(10, DIMENSIONS, 2))


def test_indexes_of_different_dimensions_do_not_match() -> None:
    with pytest.raises(ValueError, match="vectors of 24 numbers, the target of 8"):
        migrate(make_index("hnsw", DIMENSIONS), make_index("hnsw", 8), clustered(1, DIMENSIONS, 1))
