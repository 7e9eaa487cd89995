"""Exact search over vectors that come in blocks, so that never all of them need be copied at once."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from lean_agentic.agentdb.vector_index import Hits, Ids, Vectors

BLOCK_BYTES = 1 << 20
"""Of a block: stays in the cache between being copied and being compared."""


def block_rows(dimensions: int) -> int:
    """How many vectors make a block."""
    return max(64, BLOCK_BYTES // (4 * dimensions))


def exact_hits(queries: Vectors, k: int, blocks: Iterable[tuple[Ids, Vectors]]) -> Hits:
    """The k most similar of all vectors in the blocks to each query, best first, the lower id first among equals."""
    rows = np.arange(len(queries))[:, None]
    ids: Ids = np.empty((len(queries), 0), np.int64)
    similarities: Vectors = np.empty((len(queries), 0), np.float32)
    for block_ids, vectors in blocks:
        new = queries @ vectors.T
        similarities = np.hstack([similarities, new])
        ids = np.hstack([ids, np.broadcast_to(block_ids, new.shape)])
        if similarities.shape[1] > k:
            kept = np.argpartition(-similarities, k - 1, axis=1)[:, :k]
            ids, similarities = ids[rows, kept], similarities[rows, kept]
    order = np.lexsort((ids, -similarities), axis=1)
    return Hits(list(ids[rows, order]), list(similarities[rows, order]))


def join_hits(parts: Iterable[Hits]) -> Hits:
    """The answers to consecutive parts of a batch as one."""
    joined = Hits([], [])
    for part in parts:
        joined.ids.extend(part.ids)
        joined.similarities.extend(part.similarities)
    return joined


def among(ids: Ids, allowed: Ids) -> npt.NDArray[np.bool_]:
    """Which ids are in `allowed`, which is ascending and not empty."""
    places = np.searchsorted(allowed, ids)
    np.minimum(places, len(allowed) - 1, out=places)
    found: npt.NDArray[np.bool_] = allowed[places] == ids
    return found
