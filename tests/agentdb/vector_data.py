"""Clustered unit vectors for tests: what embeddings look like, with queries that are held out."""

from __future__ import annotations

import numpy as np

from lean_agentic.agentdb.vector_index import Hits, Ids, Vectors, unit_rows


def clustered(count: int, dimensions: int, seed: int, clusters: int = 20) -> Vectors:
    """Unit vectors around random centres, (count, dimensions)."""
    rng = np.random.default_rng(seed)
    # The centres belong to the dimension: data and queries of different seeds share them.
    centres = np.random.default_rng(dimensions).standard_normal((clusters, dimensions))
    spread = np.linspace(1.2, 0.05, dimensions)
    return unit_rows(
        centres[rng.integers(clusters, size=count)] + spread * rng.standard_normal((count, dimensions)), dimensions
    )


def brute_force(ids: Ids, vectors: Vectors, queries: Vectors, k: int) -> list[Ids]:
    """The ids of the k most similar vectors of each query, best first: the oracle."""
    similarities = queries.astype(np.float64) @ vectors.astype(np.float64).T
    return [ids[np.argsort(-row, kind="stable")[:k]] for row in similarities]


def recall(hits: Hits, truth: list[Ids]) -> float:
    """Share of the true neighbours that were found."""
    found = sum(len(np.intersect1d(ids, true)) for ids, true in zip(hits.ids, truth, strict=True))
    return found / sum(len(true) for true in truth)
