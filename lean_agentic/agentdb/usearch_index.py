"""A vector index that keeps vectors in half precision or as bytes, and ranks by the exact ones (extra `usearch`).

A half or a quarter of the memory of float32 vectors. The graph finds a few times more candidates than asked for; their
exact vectors come from wherever the truth is (`Store.vectors`) and decide order and similarity.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lean_agentic.agentdb.errors import CorruptIndexError, MissingExtraError, UnknownRecordError
from lean_agentic.agentdb.exact_search import block_rows, exact_hits, join_hits
from lean_agentic.agentdb.filtered_search import Searcher
from lean_agentic.agentdb.graph_settings import GraphSettings
from lean_agentic.agentdb.id_slots import ABSENT
from lean_agentic.agentdb.keyed_index import KeyedIndex
from lean_agentic.agentdb.search_plan import Costs
from lean_agentic.agentdb.snapshot import Manifest, load_snapshot, save_snapshot
from lean_agentic.agentdb.vector_index import (
    Hits,
    Ids,
    Vectors,
    require_ascending,
    require_batch,
    require_ids,
    require_k,
    require_unit_rows,
)

BACKEND = "usearch"
COSTS = Costs()
BATCH = 16
"""Queries searched, or vectors added, under one hold of the lock."""
SLOT_BYTES = 8 + 24
"""Of a vector, besides what is saved: a pointer to its node and an entry of the table of ids."""
TYPES = {"float16": "f16", "int8": "i8"}

Fetch = Callable[[Ids], Vectors]
"""Exact float32 unit vectors of ids, in their order; UnknownRecordError where one is gone."""


@dataclass(frozen=True, kw_only=True)
class UsearchSettings(GraphSettings):
    """Parameters of a graph over compressed vectors."""

    storage: Literal["float16", "int8"] = "float16"
    oversample: float = 3.0
    """Candidates ranked by their exact vectors, for every hit asked for."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.storage not in TYPES:
            raise ValueError(f"storage is one of {', '.join(TYPES)}, got {self.storage!r}")
        if self.oversample < 1:
            raise ValueError(f"oversample must be at least 1, got {self.oversample}")


class UsearchIndex(KeyedIndex[UsearchSettings]):
    """A `VectorIndex` over usearch."""

    def __init__(
        self, dimensions: int, fetch: Fetch, settings: UsearchSettings | None = None, *, database: str = ""
    ) -> None:
        self._settings = settings or UsearchSettings()
        self._start(_new_graph(dimensions, self._settings), dimensions, fetch, database, 0)

    def _start(self, graph: Any, dimensions: int, fetch: Fetch, database: str, watermark: int) -> None:
        self._hold((int(key) for key in graph.keys[:]) if len(graph) else (), dimensions, database, watermark)
        self._fetch = fetch
        self._graph = graph
        self._searcher = Searcher(self._candidates, self._exact, COSTS)

    def _set_ef(self, ef: int) -> None:
        with self._lock.writing:
            self._graph.expansion_search = ef

    def vectors(self, ids: Ids) -> Vectors:
        """The exact (n, d) vectors of live ids, fetched; UnknownRecordError for others."""
        wanted = np.asarray(ids, np.int64)
        with self._lock.reading:
            self._require_live(wanted)
        return self._fetch(wanted)

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """Add (n, d) unit vectors, replacing those whose ids are there already. All or none."""
        wanted, rows = require_batch(ids, vectors, self._dimensions)
        replaced: list[tuple[Ids, Vectors]] = []
        start = 0
        with self._writing:
            try:
                for start in range(0, len(wanted), BATCH):
                    part = wanted[start : start + BATCH]
                    with self._lock.writing:
                        replaced.append(self._drop(part))
                        self._put(part, rows[start : start + BATCH])
            except BaseException:
                with self._lock.writing:
                    self._drop(wanted[: start + BATCH])
                    for known, old in replaced:
                        self._put(known, old)
                raise

    def remove(self, ids: Ids) -> None:
        """Forget vectors; ids that are not there are ignored."""
        wanted = require_ids(ids)
        with self._writing, self._lock.writing:
            self._drop(wanted)

    def search(self, queries: Vectors, k: int, allowed: Ids | None = None) -> Hits:
        """The k most similar live vectors of each (n, d) unit query, among `allowed` (ascending) where given."""
        require_k(k)
        rows = require_unit_rows(queries, self._dimensions)
        among = None if allowed is None else require_ascending(allowed)
        live, ef = len(self), self._settings.ef_search
        found = math.ceil(k * self._settings.oversample)
        parts = [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]
        return join_hits(self._ranked(part, self._searcher.search(part, found, among, live, ef), k) for part in parts)

    def save(self, folder: Path) -> None:
        """Persist by atomic rename, with checksum, watermark and database. Searches go on, writers wait."""
        with self._writing:
            parameters = asdict(self._settings)
            manifest = Manifest(BACKEND, self._dimensions, len(self), self._watermark, self.database, parameters)
            save_snapshot(Path(folder), manifest, {"graph": lambda path: self._graph.save(str(path))})

    @classmethod
    def load(cls, folder: Path, fetch: Fetch) -> UsearchIndex:
        """What `save` wrote there, with its parameters.

        Raises FileNotFoundError where nothing was saved, CorruptIndexError where it is damaged.
        """
        return load_snapshot(Path(folder), lambda manifest, files: cls._from_files(manifest, files, fetch))

    def memory_bytes(self) -> int:
        """Bytes of memory that the index holds; the exact vectors are not its own."""
        return int(self._graph.serialized_length) + len(self) * SLOT_BYTES + self._live.nbytes()

    def close(self) -> None:
        """Nothing to release."""

    def _put(self, ids: Ids, vectors: Vectors) -> None:
        if len(ids):
            self._graph.add(ids.astype(np.uint64), vectors, threads=self._settings.threads)
            self._live.put(ids, np.zeros(len(ids), np.int64))

    def _drop(self, ids: Ids) -> tuple[Ids, Vectors]:
        # Returns what was there, as stored, so that it can be put back.
        known = ids[self._live.find(ids) != ABSENT]
        old = self._stored(known)
        if len(known):
            self._graph.remove(known.astype(np.uint64), threads=1)
            self._live.remove(known)
        return known, old

    def _stored(self, ids: Ids) -> Vectors:
        if not len(ids):
            return np.empty((0, self._dimensions), np.float32)
        return np.array(self._graph.get(ids.astype(np.uint64), dtype="f32"), np.float32)

    def _candidates(self, queries: Vectors, count: int) -> Hits:
        with self._lock.reading:
            count = min(count, len(self._live))
            # usearch warns of nothing and finds nothing where it is empty.
            matches = self._graph.search(queries, max(count, 1), threads=self._settings.threads)
            keys, distances = np.atleast_2d(matches.keys), np.atleast_2d(matches.distances)
            counts = getattr(matches, "counts", [keys.shape[1]])
        ids, similarities = keys.astype(np.int64), np.float32(1) - distances
        return Hits(
            [row[:found] for row, found in zip(ids, counts, strict=True)],
            [row[:found] for row, found in zip(similarities, counts, strict=True)],
        )

    def _exact(self, queries: Vectors, k: int, allowed: Ids | None) -> Hits:
        with self._lock.reading:
            ids = self._live.items()[0] if allowed is None else allowed[self._live.find(allowed) != ABSENT]
        return exact_hits(queries, k, self._blocks(ids))

    def _blocks(self, ids: Ids) -> Iterator[tuple[Ids, Vectors]]:
        size = block_rows(self._dimensions)
        for start in range(0, len(ids), size):
            part = ids[start : start + size]
            with self._lock.reading:
                part = part[self._live.find(part) != ABSENT]
                block = self._stored(part)
            yield part, block

    def _ranked(self, queries: Vectors, found: Hits, k: int) -> Hits:
        wanted = np.unique(np.concatenate(found.ids)) if found.ids else np.empty(0, np.int64)
        exact_ids, exact = self._fetch_known(wanted)
        ranked = Hits([], [])
        for query, ids in zip(queries, found.ids, strict=True):
            ids = ids[np.isin(ids, exact_ids)]
            similarities = exact[np.searchsorted(exact_ids, ids)] @ query
            best = np.lexsort((ids, -similarities))[:k]
            ranked.ids.append(ids[best])
            ranked.similarities.append(similarities[best])
        return ranked

    def _fetch_known(self, ids: Ids) -> tuple[Ids, Vectors]:
        try:
            return ids, self._fetch(ids) if len(ids) else self._stored(ids)
        except UnknownRecordError:
            if len(ids) == 1:
                return ids[:0], self._stored(ids[:0])
        # Some are gone from the truth, and the index will hear of it: halves find out which.
        halves = [self._fetch_known(half) for half in np.array_split(ids, 2)]
        return np.concatenate([half[0] for half in halves]), np.concatenate([half[1] for half in halves])

    @classmethod
    def _from_files(cls, manifest: Manifest, files: Mapping[str, Path], fetch: Fetch) -> UsearchIndex:
        if manifest.backend != BACKEND:
            raise CorruptIndexError(f"the folder holds an index of the backend {manifest.backend}, not {BACKEND}")
        index = cls.__new__(cls)
        index._settings = UsearchSettings(**manifest.parameters)
        graph = _new_graph(manifest.dimensions, index._settings)
        graph.load(str(files["graph"]))
        if len(graph) != manifest.count:
            raise CorruptIndexError(f"{files['graph']} holds {len(graph)} vectors, its manifest says {manifest.count}")
        index._start(graph, manifest.dimensions, fetch, manifest.database, manifest.watermark)
        return index


def _new_graph(dimensions: int, settings: UsearchSettings) -> Any:
    try:
        from usearch.index import Index
    except ImportError as error:
        raise MissingExtraError("UsearchIndex needs usearch: pip install 'lean_agentic[usearch]'") from error
    return Index(
        ndim=dimensions,
        metric="cos",
        dtype=TYPES[settings.storage],
        connectivity=settings.neighbours,
        expansion_add=settings.ef_construction,
        expansion_search=settings.ef_search,
    )
