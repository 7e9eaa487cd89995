"""Vectors to measure indexes on: clustered like embeddings of texts, with queries that are held out and exact answers.

Uniform random vectors of many dimensions are all about as far from each other, and queries that are in the index find
themselves: neither tells anything of the recall on real data.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.fft import dct

from lean_agentic.agentdb.vector_index import Ids, Vectors, unit_rows

CLUSTERS = 1500
LATENT = 384
"""Dimensions that vectors differ in; what is longer is turned into more dimensions, as models do: a quarter of the
numbers of a 1536-d embedding tells nearly as much as all."""
DECAY = 0.7
"""Exponent by which the spread falls over them."""
WIDTH = 0.9
"""Spread inside a cluster over the spread of the centres, in the middle."""
CHUNK = 20_000
TIE = 1e-6


@dataclass(frozen=True)
class SearchData:
    """What an index holds, what it is asked, and what is right."""

    name: str
    vectors: Vectors
    """(n, d) unit vectors; the id of row i is i."""
    queries: Vectors
    """(m, d) unit vectors that are not among them."""
    k: int
    worst: npt.NDArray[np.float32]
    """(m,) similarity of the k-th nearest vector to each query."""

    @property
    def ids(self) -> Ids:
        """(n,)"""
        return np.arange(len(self.vectors), dtype=np.int64)

    @property
    def bytes(self) -> int:
        """Of the raw vectors."""
        return int(self.vectors.nbytes)


def clustered_data(count: int, dimensions: int, queries: int, seed: int, k: int = 10) -> SearchData:
    """Made vectors in clusters of different size and width, all dimensions mixed.

    Set so that hnswlib (M=16) finds about as much as among docstrings embedded by MiniLM: recall@10 at ef 64 of .998,
    .993 and .990 among 4,000, 18,000 and 37,000 x 384; there .997, .994 and .991. Like with these, it gets harder the
    more there are.
    """
    rng = np.random.default_rng(seed)
    spread = np.zeros(dimensions, np.float32)
    spread[:LATENT] = np.arange(1, min(dimensions, LATENT) + 1, dtype=np.float32) ** np.float32(-DECAY)
    spread /= np.linalg.norm(spread)
    centres = rng.standard_normal((CLUSTERS, dimensions), np.float32) * spread
    widths = np.float32(WIDTH) * np.exp(0.5 * rng.standard_normal(CLUSTERS, np.float32))
    weights = np.arange(1.0, CLUSTERS + 1) ** -0.8
    members = rng.choice(CLUSTERS, count + queries, p=weights / weights.sum())
    signs = rng.choice(np.array([-1, 1], np.float32), dimensions)
    rows = np.empty((count + queries, dimensions), np.float32)
    for start in range(0, len(rows), CHUNK):
        own = members[start : start + CHUNK]
        noise = rng.standard_normal((len(own), dimensions), np.float32) * spread
        # A cosine transform after random signs turns the space: no dimension is special afterwards.
        turned = dct((centres[own] + widths[own, None] * noise) * signs, norm="ortho")
        rows[start : start + CHUNK] = unit_rows(turned, dimensions)
    return with_truth(f"clustered {count} x {dimensions}", rows[:count], rows[count:], k)


def held_out(name: str, vectors: Vectors, queries: int, seed: int, k: int = 10) -> SearchData:
    """Given (n, d) vectors, such as embeddings of real texts, of which `queries` at random are held out."""
    rows = np.unique(unit_rows(vectors, vectors.shape[1]), axis=0)
    order = np.random.default_rng(seed).permutation(len(rows))
    return with_truth(
        f"{name} {len(rows) - queries} x {rows.shape[1]}", rows[order[queries:]], rows[order[:queries]], k
    )


def with_truth(name: str, vectors: Vectors, queries: Vectors, k: int) -> SearchData:
    """The data with the exact answers, by comparing every query with every vector."""
    worst = np.concatenate([np.partition(block, -k, axis=1)[:, -k] for block in _similarities(vectors, queries)])
    return SearchData(name, vectors, queries, k, worst)


def recall(data: SearchData, answers: list[Ids], rows: Ids | None = None, worst: Vectors | None = None) -> float:
    """Share of the k nearest that the answers hold, by similarities computed from their ids.

    An id counts once, and where it is as similar as the k-th of the truth: of vectors equally near each is right.
    `rows` are the queries' numbers, `worst` the similarities of their k-th nearest where these are not the data's.
    """
    places = np.arange(len(data.queries)) if rows is None else rows
    limits = data.worst[places] if worst is None else worst
    found = 0
    for place, limit, ids in zip(places, limits, answers, strict=True):
        similarities = data.vectors[np.unique(ids)] @ data.queries[place]
        found += min(int(np.count_nonzero(similarities >= limit - TIE)), data.k)
    return found / (data.k * len(places))


def _similarities(vectors: Vectors, queries: Vectors) -> Iterator[Vectors]:
    size = max(1, int(1e8) // (4 * len(vectors)))
    for start in range(0, len(queries), size):
        yield queries[start : start + size] @ vectors.T
