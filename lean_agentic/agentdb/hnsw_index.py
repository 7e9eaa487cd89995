"""The embedded vector index: an hnswlib graph that grows, forgets, filters and persists, searched beside insertions.

Many searches run together; writers take turns and give way to waiting searches between chunks of a few milliseconds.
Answers are never short and never hold a removed id: where the graph finds fewer than k, or a filter lets too few of
its candidates pass, exact search over what is live and allowed answers.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from lean_agentic.agentdb.errors import CorruptIndexError
from lean_agentic.agentdb.exact_search import join_hits
from lean_agentic.agentdb.filtered_search import Searcher
from lean_agentic.agentdb.hnsw_graph import HnswGraph, HnswSettings
from lean_agentic.agentdb.hnsw_search import HnswState
from lean_agentic.agentdb.hnsw_writes import Compaction, GraphWriter
from lean_agentic.agentdb.id_slots import ABSENT, IdSlots
from lean_agentic.agentdb.search_plan import Costs
from lean_agentic.agentdb.snapshot import Manifest, load_snapshot, save_snapshot
from lean_agentic.agentdb.vector_index import (
    Hits,
    Ids,
    Vectors,
    require_advance,
    require_ascending,
    require_batch,
    require_ids,
    require_k,
    require_unit_rows,
    unknown,
)

BACKEND = "hnsw"
COSTS = Costs()
SEARCH_BATCH = 16
"""Queries searched under one hold of the lock."""
COMPACT_LEAST = 2000
"""Dead vectors below which compaction is not worth its while."""


class HnswIndex:
    """A `VectorIndex` over hnswlib."""

    def __init__(
        self,
        dimensions: int,
        settings: HnswSettings | None = None,
        *,
        database: str = "",
        compact_above: float | None = 0.4,
    ) -> None:
        """An empty index, rebuilt in the background when more than `compact_above` of what it holds is dead."""
        settings = settings or HnswSettings()
        self._start(HnswState(HnswGraph(dimensions, settings)), settings, database, compact_above)

    def _start(
        self, state: HnswState, settings: HnswSettings, database: str, compact_above: float | None, watermark: int = 0
    ) -> None:
        self.database = database
        self.compact_above = compact_above
        self._watermark = watermark
        self._settings = settings
        self._state = state
        self._searcher = Searcher(state.candidates, state.exact, COSTS)
        self._writer = GraphWriter(state)
        self._writing = threading.Lock()
        self._compacting = threading.Lock()
        self._compaction: threading.Thread | None = None
        self._closed = threading.Event()

    @property
    def dimensions(self) -> int:
        """Numbers in a vector."""
        return self._state.graph.dimensions

    @property
    def watermark(self) -> int:
        """Sequence number of the last change of the store that the index holds."""
        return self._watermark

    @property
    def settings(self) -> HnswSettings:
        """The parameters of the graph."""
        return self._settings

    @property
    def ef_search(self) -> int:
        """Candidates kept while searching; settable at any time."""
        return self._settings.ef_search

    @ef_search.setter
    def ef_search(self, ef: int) -> None:
        self._settings = replace(self._settings, ef_search=ef)
        with self._state.lock.writing:
            self._state.graph.set_ef(ef)

    @property
    def dead(self) -> int:
        """Removed and replaced vectors that still take memory, until compaction."""
        return self._state.graph.count - self._state.graph.live

    def __len__(self) -> int:
        return self._state.graph.live

    def __contains__(self, record_id: int) -> bool:
        with self._state.lock.reading:
            return record_id in self._state.slots

    def ids(self) -> Ids:
        """All live ids, ascending."""
        with self._state.lock.reading:
            return self._state.slots.items()[0]

    def vectors(self, ids: Ids) -> Vectors:
        """The (n, d) stored vectors of live ids; UnknownRecordError for others."""
        wanted = np.asarray(ids, np.int64)
        with self._state.lock.reading:
            labels = self._state.slots.find(wanted)
            if (labels == ABSENT).any():
                raise unknown(wanted[labels == ABSENT])
            return self._state.graph.gather(labels)

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """Add (n, d) unit vectors, replacing those whose ids are there already. All or none."""
        wanted, rows = require_batch(ids, vectors, self.dimensions)
        with self._writing:
            self._writer.add(wanted, rows)
            self._compact_if_due()

    def remove(self, ids: Ids) -> None:
        """Forget vectors; ids that are not there are ignored."""
        wanted = require_ids(ids)
        with self._writing:
            self._writer.remove(wanted)
            self._compact_if_due()

    def search(self, queries: Vectors, k: int, allowed: Ids | None = None) -> Hits:
        """The k most similar live vectors of each (n, d) unit query, among `allowed` (ascending) where given."""
        require_k(k)
        rows = require_unit_rows(queries, self.dimensions)
        among = None if allowed is None else require_ascending(allowed)
        live, ef = self._state.graph.live, self._settings.ef_search
        size = max(SEARCH_BATCH, 4 * self._settings.threads + 1)
        if len(rows) <= size:
            return self._searcher.search(rows, k, among, live, ef)
        parts = (rows[start : start + size] for start in range(0, len(rows), size))
        return join_hits(self._searcher.search(part, k, among, live, ef) for part in parts)

    def advance(self, watermark: int) -> None:
        """Note that all changes up to this sequence number are in."""
        self._watermark = require_advance(self._watermark, watermark)

    def save(self, folder: Path) -> None:
        """Persist by atomic rename, with checksums, watermark and database. Searches go on, writers wait."""
        with self._writing:
            graph = self._state.graph
            parameters = {**asdict(self._settings), "compact_above": self.compact_above}
            manifest = Manifest(BACKEND, self.dimensions, graph.live, self._watermark, self.database, parameters)
            records = graph.records[: graph.count].astype("<i8")
            save_snapshot(Path(folder), manifest, {"graph": graph.save, "ids": lambda path: records.tofile(path)})

    @classmethod
    def load(cls, folder: Path) -> HnswIndex:
        """What `save` wrote there, with its parameters.

        Raises FileNotFoundError where nothing was saved, CorruptIndexError where it is damaged.
        """
        return load_snapshot(Path(folder), cls._from_files)

    def memory_bytes(self) -> int:
        """Bytes of memory that the index holds."""
        return self._state.graph.memory_bytes() + self._state.slots.nbytes()

    def compact(self) -> None:
        """Build the graph anew from the live vectors alone, which frees the memory of the dead.

        Takes as long as adding them all, and holds them twice meanwhile; searches and writes go on.
        """
        with self._compacting:
            compaction = Compaction(self._state, self._settings, self._closed.is_set)
            compaction.copy_most()
            with self._writing:
                compaction.finish(self.ef_search)

    def close(self) -> None:
        """Stop a compaction that is under way, without its effect."""
        self._closed.set()
        if self._compaction is not None:
            self._compaction.join()

    def _compact_if_due(self) -> None:
        if self.compact_above is None or self._closed.is_set():
            return
        due = self.dead > max(COMPACT_LEAST, self.compact_above * self._state.graph.count)
        if due and (self._compaction is None or not self._compaction.is_alive()):
            self._compaction = threading.Thread(target=self.compact, name="compaction", daemon=True)
            self._compaction.start()

    @classmethod
    def _from_files(cls, manifest: Manifest, files: Mapping[str, Path]) -> HnswIndex:
        if manifest.backend != BACKEND:
            raise CorruptIndexError(f"the folder holds an index of the backend {manifest.backend}, not {BACKEND}")
        parameters = dict(manifest.parameters)
        compact_above = parameters.pop("compact_above")
        settings = HnswSettings(**parameters)
        records = np.fromfile(files["ids"], "<i8").astype(np.int64)
        graph = HnswGraph.load(files["graph"], records, manifest.dimensions, settings)
        labels = graph.live_labels()
        order = np.argsort(records[labels])
        state = HnswState(graph, IdSlots(records[labels][order], labels[order]))
        index = cls.__new__(cls)
        index._start(state, settings, manifest.database, compact_above, manifest.watermark)
        return index
