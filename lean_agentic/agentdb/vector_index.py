"""The protocol of a vector index: a cache of the vectors in the store, never the truth.

Vectors are unit length (cosine similarity is their dot product); `unit_rows` makes and checks them. Ids are those of
the records. An index knows the sequence number up to which it holds the store's changes (its watermark), so that what
it missed can be replayed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from lean_agentic.agentdb.errors import InvalidVectorError, UnknownRecordError

Vectors = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Hits:
    """Answers to a batch of queries, best first; row i belongs to query i."""

    ids: list[Ids]
    similarities: list[npt.NDArray[np.float32]]
    """Cosine similarities, -1 to 1."""


class VectorIndex(Protocol):
    """What every backend does. All methods are safe to call from several threads at once."""

    @property
    def dimensions(self) -> int:
        """Numbers in a vector."""

    database: str
    """Random id of the store that it was built from, kept by `save`; empty until set."""

    @property
    def watermark(self) -> int:
        """Sequence number of the last change of the store that the index holds."""

    def __len__(self) -> int:
        """Live vectors."""

    def __contains__(self, record_id: int) -> bool:
        """Whether a live vector has this id."""

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """Add (n, d) unit vectors, replacing those whose ids are there already. All or none."""

    def remove(self, ids: Ids) -> None:
        """Forget vectors; ids that are not there are ignored."""

    def vectors(self, ids: Ids) -> Vectors:
        """The (n, d) stored vectors of live ids; UnknownRecordError for others."""

    def ids(self) -> Ids:
        """All live ids, ascending."""

    def search(self, queries: Vectors, k: int, allowed: Ids | None = None) -> Hits:
        """The k most similar live vectors of each (n, d) unit query, among `allowed` (ascending) where given.

        Never fewer than k where k exist, never an id that was removed before the call.
        """

    def advance(self, watermark: int) -> None:
        """Note that all changes up to this sequence number are in."""

    def save(self, folder: Path) -> None:
        """Persist by atomic rename, with checksum, watermark and database.

        Every backend has a class method `load(folder)`: FileNotFoundError where nothing was saved, CorruptIndexError
        where what was saved is damaged.
        """

    def memory_bytes(self) -> int:
        """Bytes of memory that the index holds (an estimate from its own structures)."""

    def close(self) -> None:
        """Release files and connections."""


def unit_rows(vectors: npt.ArrayLike, dimensions: int) -> Vectors:
    """The rows as unit float32 vectors, (n, dimensions); one vector becomes one row.

    Raises InvalidVectorError where a row has another size, holds NaN or infinity, or has no direction.
    """
    rows = np.atleast_2d(np.asarray(vectors, np.float32))
    if rows.ndim != 2 or rows.shape[1] != dimensions:
        raise InvalidVectorError(
            f"expected vectors of {dimensions} numbers, got an array of shape {np.shape(vectors)}: "
            "embed with the model that the memory was made with, or make a new memory"
        )
    finite = np.isfinite(rows).all(axis=1)
    if not finite.all():
        raise InvalidVectorError(
            f"vector {int(np.argmin(finite))} holds NaN or infinity: its similarity to others has no meaning"
        )
    lengths = np.linalg.norm(rows.astype(np.float64), axis=1)
    if not lengths.all():
        raise InvalidVectorError(f"vector {int(np.argmin(lengths))} is zero: it has no direction to compare")
    return np.ascontiguousarray(rows / lengths[:, None], dtype=np.float32)


def require_ids(ids: npt.ArrayLike) -> Ids:
    """The ids as int64, (n,). Raises ValueError for other shapes, negative ids and ids that come twice."""
    array = np.asarray(ids)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise ValueError(f"expected a one-dimensional array of integer ids, got {array.dtype} of shape {array.shape}")
    array = array.astype(np.int64)
    if array.size and array.min() < 0:
        raise ValueError(f"ids are 0 and up, got {array.min()}")
    if len(np.unique(array)) < len(array):
        values, counts = np.unique(array, return_counts=True)
        raise ValueError(f"id {values[counts.argmax()]} comes {counts.max()} times in one call: give it once")
    return array


def require_unit_rows(vectors: npt.ArrayLike, dimensions: int) -> Vectors:
    """The rows as they are, (n, dimensions) float32. Raises InvalidVectorError unless each has length 1 within .1%."""
    rows = np.ascontiguousarray(vectors, np.float32)
    if rows.ndim == 2 and rows.shape[1] == dimensions and _have_unit_length(rows):
        return rows
    unit_rows(rows, dimensions)
    raise InvalidVectorError(
        f"expected (n, {dimensions}) vectors of length 1, got an array of shape {rows.shape} with lengths from "
        f"{np.linalg.norm(np.atleast_2d(rows), axis=1).min():.3g}: pass them through unit_rows first"
    )


def _have_unit_length(rows: Vectors) -> bool:
    # Every search comes by here with one row: vector operations on the result would take longer than the product.
    if len(rows) == 1:
        return bool(abs(rows[0].dot(rows[0]) - 1) < 2e-3)
    return bool(np.all(np.abs(np.einsum("ij,ij->i", rows, rows) - 1) < 2e-3))


def require_k(k: int) -> None:
    """Raises ValueError unless at least one hit is asked for."""
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")


def require_batch(ids: npt.ArrayLike, vectors: npt.ArrayLike, dimensions: int) -> tuple[Ids, Vectors]:
    """Ids and the unit vectors that belong to them, checked."""
    wanted, rows = require_ids(ids), require_unit_rows(vectors, dimensions)
    if len(wanted) != len(rows):
        raise ValueError(f"{len(wanted)} ids for {len(rows)} vectors: give one id for each")
    return wanted, rows


def require_ascending(ids: npt.ArrayLike) -> Ids:
    """Ids that ascend, none twice, as int64 (n,); ValueError for others."""
    array = np.asarray(ids)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu") or (array[1:] <= array[:-1]).any():
        raise ValueError("allowed ids must be integers that ascend, none twice: pass them through numpy.unique")
    return array.astype(np.int64, copy=False)


def require_advance(watermark: int, new: int) -> int:
    """The new watermark; ValueError where it goes back."""
    if new < watermark:
        raise ValueError(f"the index already holds the changes up to {watermark}, got {new}")
    return new


def unknown(ids: Ids) -> UnknownRecordError:
    """The error for ids without a vector, naming the first."""
    return UnknownRecordError(f"the index holds no vectors of the records {ids[:5].tolist()}: add them first")
