"""Indexes to be measured side by side: the memory's own, and the libraries by themselves as their users call them.

All on one thread, with the same M and ef_construction, held by one process, so that they share its luck.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import hnswlib
import numpy as np

from lean_agentic.agentdb.hnsw_graph import HnswSettings
from lean_agentic.agentdb.hnsw_index import HnswIndex
from lean_agentic.agentdb.usearch_index import UsearchIndex, UsearchSettings
from lean_agentic.agentdb.vector_index import Ids, Vectors
from lean_agentic.workbench.errors import WorkbenchError

NEIGHBOURS = 16
EF_CONSTRUCTION = 200
BATCH = 1000

Search = Callable[[Vectors, int], Ids]
"""A (1, d) query and k to the ids of about its k nearest."""


@dataclass(frozen=True)
class Built:
    """An index that holds the vectors; the id of row i is i."""

    search: Search
    set_ef: Callable[[int], None]
    close: Callable[[], None]
    index: Any
    """Whatever the library made."""


Build = Callable[[Vectors], Built]


def own(vectors: Vectors) -> Built:
    """`HnswIndex`, through the public interface."""
    index = HnswIndex(
        vectors.shape[1], HnswSettings(neighbours=NEIGHBOURS, ef_construction=EF_CONSTRUCTION), compact_above=None
    )
    for start in range(0, len(vectors), BATCH):
        part = vectors[start : start + BATCH]
        index.add(np.arange(start, start + len(part)), part)

    def set_ef(ef: int) -> None:
        index.ef_search = ef

    return Built(lambda query, k: index.search(query, k).ids[0], set_ef, index.close, index)


def own_half(vectors: Vectors) -> Built:
    """`UsearchIndex` in half precision, ranked by the exact vectors, which are given from memory."""
    settings = UsearchSettings(neighbours=NEIGHBOURS, ef_construction=EF_CONSTRUCTION)
    index = UsearchIndex(vectors.shape[1], lambda ids: vectors[ids], settings)
    for start in range(0, len(vectors), BATCH):
        part = vectors[start : start + BATCH]
        index.add(np.arange(start, start + len(part)), part)

    def set_ef(ef: int) -> None:
        index.ef_search = ef

    return Built(lambda query, k: index.search(query, k).ids[0], set_ef, index.close, index)


def plain_hnswlib(vectors: Vectors) -> Built:
    """hnswlib by itself."""
    index = hnswlib.Index(space="ip", dim=vectors.shape[1])
    index.init_index(len(vectors), M=NEIGHBOURS, ef_construction=EF_CONSTRUCTION, random_seed=100)
    index.set_num_threads(1)
    index.add_items(vectors)
    return Built(lambda query, k: index.knn_query(query, k)[0][0], index.set_ef, lambda: None, index)


def faiss_hnsw(vectors: Vectors) -> Built:
    """IndexHNSWFlat of faiss."""
    try:
        import faiss
    except ImportError as error:
        raise WorkbenchError("to compare with faiss: pip install faiss-cpu") from error
    faiss.omp_set_num_threads(1)
    index = faiss.IndexHNSWFlat(vectors.shape[1], NEIGHBOURS, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = EF_CONSTRUCTION
    index.add(vectors)

    def set_ef(ef: int) -> None:
        index.hnsw.efSearch = ef

    return Built(lambda query, k: index.search(query, k)[1][0], set_ef, lambda: None, index)


def qdrant_edge(vectors: Vectors) -> Built:
    """The Qdrant engine in this process, its graph built by `optimize`."""
    try:
        import qdrant_edge as engine
    except ImportError as error:
        raise WorkbenchError("to compare with Qdrant: pip install qdrant-edge-py") from error
    folder = tempfile.TemporaryDirectory(prefix="qdrant-edge-")
    config = engine.EdgeConfig(
        vectors=engine.EdgeVectorParams(size=vectors.shape[1], distance=engine.Distance.Dot),
        hnsw_config=engine.HnswIndexConfig(NEIGHBOURS, EF_CONSTRUCTION, 100, max_indexing_threads=1),
        optimizers=engine.EdgeOptimizersConfig(indexing_threshold=100, default_segment_number=1),
        max_search_threads=1,
    )
    shard = engine.EdgeShard.create(folder.name, config)
    for start in range(0, len(vectors), BATCH):
        rows = vectors[start : start + BATCH]
        points = [engine.Point(start + place, row, None) for place, row in enumerate(rows)]
        shard.update(engine.UpdateOperation.upsert_points(points))
    shard.optimize()
    parameters = {"ef": 64}

    def search(query: Vectors, k: int) -> Ids:
        request = engine.QueryRequest(
            limit=k, query=engine.Query.Nearest(query[0]), params=engine.SearchParams(hnsw_ef=parameters["ef"])
        )
        return np.array([point.id for point in shard.query(request)], np.int64)

    def close() -> None:
        shard.close()
        folder.cleanup()

    return Built(search, lambda ef: parameters.update(ef=ef), close, shard)


CONTENDERS: Mapping[str, Build] = {
    "lean_agentic hnsw": own,
    "lean_agentic usearch float16": own_half,
    "hnswlib": plain_hnswlib,
    "faiss HNSW": faiss_hnsw,
    "qdrant-edge": qdrant_edge,
}
