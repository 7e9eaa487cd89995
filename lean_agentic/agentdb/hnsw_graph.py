"""One hnswlib graph with the gaps of the library closed: growth, liveness, exact access, `ef` and ids after loading.

Every vector gets the next label (0, 1, ...) and keeps it. A replaced vector is a dead label and a new one: hnswlib's
own update repairs edges in place, at twice the price of an insertion, and leaves vectors that no path leads to.

Not locked: hnswlib allows searches beside searches only, and `hnsw_index` sees to that.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hnswlib
import numpy as np
import numpy.typing as npt

from lean_agentic.agentdb.errors import CorruptIndexError
from lean_agentic.agentdb.graph_settings import GraphSettings
from lean_agentic.agentdb.hnswlib_rows import Rows, rows_in_place
from lean_agentic.agentdb.huge_pages import gather_into_huge_pages, want_huge_pages
from lean_agentic.agentdb.vector_index import Ids, Vectors

Labels = npt.NDArray[np.int64]
Similarities = npt.NDArray[np.float32]

DEAD = -1
GROWTH = 1.25
FIRST_BYTES = 33 << 20
"""Room for vectors at first. From 32 MB on, glibc keeps a block apart and grows it without leaving a hole behind; room
that is not written to takes no memory."""
FIRST_LABELS = 24_576
"""But no more room than for so many: tables by label are written to at once."""
LOCKS_BYTES = 65536 * 40
"""Mutexes that hnswlib makes for any index."""
ROW_OVERHEAD = 40 + 8 + 4 + 2 + 56
"""Bytes a vector besides row and links: a mutex, a pointer, a level, a visited mark, an entry of the label table."""


@dataclass(frozen=True, kw_only=True)
class HnswSettings(GraphSettings):
    """Parameters of an hnswlib graph."""

    seed: int = 100
    """Of the vectors' levels."""


class HnswGraph:
    """Vectors under labels 0, 1, ..., each of a record or dead."""

    def __init__(self, dimensions: int, settings: HnswSettings, capacity: int = 0) -> None:
        self.dimensions = dimensions
        self.settings = settings
        self._index = _new_index(dimensions, settings)
        capacity = max(capacity, _first_capacity(dimensions))
        self._index.init_index(
            capacity, M=settings.neighbours, ef_construction=settings.ef_construction, random_seed=settings.seed
        )
        self._index.set_ef(settings.ef_search)
        self.records: Ids = np.full(capacity, DEAD, np.int64)
        """Record of each label."""
        self._row_of: npt.NDArray[np.int32] = np.zeros(capacity, np.int32)
        self.count = 0
        """Labels given out."""
        self.live = 0
        self._settled = (0, 0)
        self._view_rows()

    @property
    def in_place(self) -> bool:
        """Whether vectors are read where they are, rather than copied out one number at a time."""
        return self._rows is not None

    def set_ef(self, ef: int) -> None:
        """Candidates kept while searching, from now on."""
        self._index.set_ef(ef)
        self._view_rows()

    def reserve(self, capacity: int) -> None:
        """Make room for this many labels."""
        if capacity <= len(self.records):
            return
        capacity = max(capacity, int(len(self.records) * GROWTH))
        self._index.resize_index(capacity)
        more = capacity - len(self.records)
        self.records = np.concatenate([self.records, np.full(more, DEAD, np.int64)])
        self._row_of = np.concatenate([self._row_of, np.zeros(more, np.int32)])
        self._view_rows()

    def append(self, ids: Ids, vectors: Vectors) -> Labels:
        """Add (n, d) unit vectors of records, for which there must be room; returns their labels."""
        labels = np.arange(self.count, self.count + len(ids), dtype=np.int64)
        before = self._index.element_count
        self.count += len(ids)
        try:
            if len(ids):
                self._index.add_items(vectors, labels)
        except BaseException:
            self._abandon(labels)
            raise
        self.records[labels] = ids
        self.live += len(ids)
        self._note_rows(before)
        return labels

    def kill(self, labels: Labels) -> None:
        """Keep live labels out of all answers from now on."""
        for label in labels.tolist():
            self._index.mark_deleted(label)
        self.records[labels] = DEAD
        self.live -= len(labels)

    def revive(self, labels: Labels, ids: Ids) -> None:
        """Take back the killing of labels."""
        for label in labels.tolist():
            self._index.unmark_deleted(label)
        self.records[labels] = ids
        self.live += len(labels)

    def live_labels(self) -> Labels:
        """All live labels, ascending."""
        return np.flatnonzero(self.records[: self.count] != DEAD)

    def nearest(self, queries: Vectors, k: int) -> tuple[Labels, Similarities] | None:
        """About the k nearest live labels, (n, k), with their similarities; None where the graph finds fewer."""
        try:
            labels, distances = self._index.knn_query(queries, k=k)
        except RuntimeError as error:
            if "contiguous 2D array" in str(error):
                return None
            raise
        return labels.view(np.int64), np.float32(1) - distances

    def gather(self, labels: Labels) -> Vectors:
        """A copy of the vectors of labels, (n, d)."""
        if self._rows is None:
            return np.asarray(self._index.get_items(labels), np.float32).reshape(len(labels), self.dimensions)
        return self._rows.vectors[self._row_of[labels]]

    def save(self, path: Path) -> None:
        """Write hnswlib's own file."""
        self._index.save_index(str(path))

    @classmethod
    def load(cls, path: Path, records: Ids, dimensions: int, settings: HnswSettings) -> HnswGraph:
        """Read a verified file of hnswlib; `records` as they were when it was written."""
        graph = cls.__new__(cls)
        graph.dimensions, graph.settings = dimensions, settings
        graph._index = _new_index(dimensions, settings)
        capacity = max(len(records), _first_capacity(dimensions))
        try:
            graph._index.load_index(str(path), max_elements=capacity)
        except (RuntimeError, MemoryError) as error:
            raise CorruptIndexError(f"hnswlib cannot read {path}: {error}") from error
        graph._check_loaded(path, len(records))
        graph._index.set_ef(settings.ef_search)
        graph._index.set_num_threads(settings.threads)
        graph.records = np.concatenate([records, np.full(capacity - len(records), DEAD, np.int64)])
        graph.count, graph.live = len(records), int(np.count_nonzero(records != DEAD))
        graph._row_of = np.zeros(len(graph.records), np.int32)
        graph._settled = (0, 0)
        graph._view_rows()
        graph._note_rows(0)
        graph.settle()
        return graph

    def memory_bytes(self) -> int:
        """Bytes behind the vectors, links and tables; room not yet written to is not counted."""
        row = 4 * self.dimensions + 4 + 8 * self.settings.neighbours + 8
        # One vector in M has links above the lowest level, 16 bytes of them malloc's.
        upper = (4 + 4 * self.settings.neighbours + 16) / (self.settings.neighbours - 1)
        vectors = int(self.count * (row + upper) + len(self.records) * ROW_OVERHEAD)
        return LOCKS_BYTES + vectors + self.records.nbytes + self._row_of.nbytes

    def _check_loaded(self, path: Path, count: int) -> None:
        found = (self._index.M, self._index.ef_construction)
        expected = (self.settings.neighbours, max(self.settings.ef_construction, self.settings.neighbours))
        # Fewer rows than labels: an insertion failed half-way.
        if found != expected or self._index.element_count > count:
            raise CorruptIndexError(
                f"{path} holds {self._index.element_count} vectors with (M, ef_construction) {found}, "
                f"its manifest says {count} and {expected}: build the index again from the store"
            )

    def settle(self) -> None:
        """Bring the vectors into large memory pages; may run beside searches, not beside `reserve`.

        Worth its while after loading and after growth, which moves them.
        """
        if self._rows is not None and self._settled != (place := (self._rows.address, len(self._rows.labels))):
            gather_into_huge_pages(self._rows.address, self.count * self._rows.row_bytes)
            self._settled = place

    def _view_rows(self) -> None:
        self._rows: Rows | None = rows_in_place(self._index)
        if self._rows is not None:
            want_huge_pages(self._rows.address, len(self._rows.labels) * self._rows.row_bytes)

    def _note_rows(self, first: int) -> None:
        # Several threads take rows in no order; one takes them in that of the labels.
        if self._rows is not None:
            end = self._index.element_count
            self._row_of[self._rows.labels[first:end].astype(np.int64)] = np.arange(first, end)

    def _abandon(self, labels: Labels) -> None:
        # Some of them may be in the graph already.
        for label in labels.tolist():
            with suppress(RuntimeError):
                self._index.mark_deleted(label)


def chunks(labels: Labels, size: int) -> Iterator[Labels]:
    """The labels, `size` at a time."""
    for start in range(0, len(labels), size):
        yield labels[start : start + size]


def _first_capacity(dimensions: int) -> int:
    return min(FIRST_LABELS, -(-FIRST_BYTES // (4 * dimensions + 100)))


def _new_index(dimensions: int, settings: HnswSettings) -> Any:
    index = hnswlib.Index(space="ip", dim=dimensions)
    index.set_num_threads(settings.threads)
    return index
