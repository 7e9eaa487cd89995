"""A vector index over the Qdrant engine in this process (extra `qdrant`, package qdrant-edge-py).

The engine keeps vectors in memory-mapped files of a folder of its own; int8 copies of them may steer the search, ranked
by the exact ones. It searches new vectors one by one until `optimize` builds their graph, which this index does before
saving and whenever a share of them is new. The engine holds Python's global lock while it builds: no other thread runs
meanwhile (2 ms a vector of 384 numbers).
"""

from __future__ import annotations

import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lean_agentic.agentdb.errors import CorruptIndexError, MissingExtraError
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

BACKEND = "qdrant-edge"
COSTS = Costs()
BATCH = 256
"""Vectors added under one hold of the lock."""
SCROLL = 1000
FEW_NEW = 5000
"""Vectors searched one by one before a graph is worth its while."""
FEW_REMOVED = 500
"""The engine leaves out what is removed while it follows the graph, which then falls apart."""


@dataclass(frozen=True, kw_only=True)
class QdrantEdgeSettings(GraphSettings):
    """Parameters of the engine."""

    int8: bool = False
    """Search over int8 copies, which stay in memory, and rank by the exact vectors, which need not."""
    oversample: float = 2.0
    """With int8: candidates ranked by their exact vectors, for every hit asked for."""
    optimize_above: float = 0.2
    """Share of new or of removed vectors above which the graph is built anew."""


class QdrantEdgeIndex(KeyedIndex[QdrantEdgeSettings]):
    """A `VectorIndex` over qdrant-edge."""

    def __init__(
        self,
        dimensions: int,
        settings: QdrantEdgeSettings | None = None,
        *,
        workspace: Path | None = None,
        database: str = "",
    ) -> None:
        """An empty index whose engine works in `workspace`, which must be empty; in a temporary folder by default."""
        self._settings = settings or QdrantEdgeSettings()
        folder, temporary = _empty_folder(workspace)
        shard = _engine().EdgeShard.create(str(folder), _config(dimensions, self._settings))
        self._start(shard, dimensions, folder, temporary, database, 0)

    def _start(self, shard: Any, dimensions: int, folder: Path, temporary: Any, database: str, watermark: int) -> None:
        self._hold(_all_ids(shard), dimensions, database, watermark)
        self._shard = shard
        self._folder = folder
        self._temporary = temporary
        self._new = len(self) - shard.info().indexed_vectors_count
        self._removed = 0

    def vectors(self, ids: Ids) -> Vectors:
        """The (n, d) stored vectors of live ids; UnknownRecordError for others."""
        wanted = np.asarray(ids, np.int64)
        with self._lock.reading:
            self._require_live(wanted)
            records = self._shard.retrieve(wanted.tolist(), with_payload=False, with_vector=True)
        return np.array([record.vector for record in records], np.float32).reshape(len(wanted), self._dimensions)

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """Add (n, d) unit vectors, replacing those whose ids are there already."""
        wanted, rows = require_batch(ids, vectors, self._dimensions)
        engine = _engine()
        with self._writing:
            for start in range(0, len(wanted), BATCH):
                part = wanted[start : start + BATCH]
                points = [
                    engine.Point(key, row, None)
                    for key, row in zip(part.tolist(), rows[start : start + BATCH], strict=True)
                ]
                with self._lock.writing:
                    self._shard.update(engine.UpdateOperation.upsert_points(points))
                    self._live.put(part, np.zeros(len(part), np.int64))
                self._new += len(part)
            self._optimize_if_due()

    def remove(self, ids: Ids) -> None:
        """Forget vectors; ids that are not there are ignored."""
        wanted = require_ids(ids)
        with self._writing, self._lock.writing:
            known = wanted[self._live.find(wanted) != ABSENT]
            if len(known):
                self._shard.update(_engine().UpdateOperation.delete_points(known.tolist()))
                self._live.remove(known)
            self._removed += len(known)
            due = self._removed > max(FEW_REMOVED, self._settings.optimize_above * len(self))
        if due:
            self.optimize()

    def search(self, queries: Vectors, k: int, allowed: Ids | None = None) -> Hits:
        """The k most similar live vectors of each (n, d) unit query, among `allowed` (ascending) where given."""
        require_k(k)
        rows = require_unit_rows(queries, self._dimensions)
        among = None if allowed is None else require_ascending(allowed)
        searcher = Searcher(self._candidates, self._exact, COSTS)
        return searcher.search(rows, k, among, len(self), self._settings.ef_search)

    def optimize(self) -> None:
        """Build the graph of all vectors, and drop what was removed."""
        with self._writing:
            self._optimize()

    def save(self, folder: Path) -> None:
        """Persist by atomic rename, with checksum, watermark and database, after building the graph."""
        with self._writing:
            self._optimize()
            self._shard.flush()
            parameters = asdict(self._settings)
            manifest = Manifest(BACKEND, self._dimensions, len(self), self._watermark, self.database, parameters)
            save_snapshot(Path(folder), manifest, {"engine": self._pack})

    @classmethod
    def load(cls, folder: Path, *, workspace: Path | None = None) -> QdrantEdgeIndex:
        """What `save` wrote there, copied into `workspace` as in the constructor, with its parameters.

        Raises FileNotFoundError where nothing was saved, CorruptIndexError where it is damaged.
        """
        return load_snapshot(Path(folder), lambda manifest, files: cls._from_files(manifest, files, workspace))

    def memory_bytes(self) -> int:
        """Bytes of the engine's files, which are mapped into memory, and of the tables of ids."""
        files = sum(path.stat().st_blocks * 512 for path in self._folder.rglob("*") if path.is_file())
        return files + 2 * self._live.nbytes()

    def close(self) -> None:
        """Stop the engine; a temporary folder goes."""
        with self._writing, self._lock.writing:
            if self._shard is not None:
                self._shard.close()
                self._shard = None
                if self._temporary is not None:
                    self._temporary.cleanup()

    def _optimize_if_due(self) -> None:
        if self._new > max(FEW_NEW, self._settings.optimize_above * len(self)):
            self._optimize()

    def _optimize(self) -> None:
        with self._lock.writing:
            self._shard.optimize()
            self._new = self._removed = 0

    def _candidates(self, queries: Vectors, count: int) -> Hits:
        engine = _engine()
        quantization = None
        if self._settings.int8:
            quantization = engine.QuantizationSearchParams(rescore=True, oversampling=self._settings.oversample)
        ef = max(count, self._settings.ef_search)
        return self._query(queries, count, None, engine.SearchParams(hnsw_ef=ef, quantization=quantization))

    def _exact(self, queries: Vectors, k: int, allowed: Ids | None) -> Hits:
        engine = _engine()
        only = None
        if allowed is not None:
            only = engine.Filter(must=[engine.HasIdCondition(set(allowed.tolist()))])
        return self._query(queries, k, only, engine.SearchParams(exact=True))

    def _query(self, queries: Vectors, count: int, only: Any, parameters: Any) -> Hits:
        engine = _engine()
        hits = Hits([], [])
        for query in queries:
            request = engine.QueryRequest(
                limit=count, query=engine.Query.Nearest(query), filter=only, params=parameters
            )
            with self._lock.reading:
                points = self._shard.query(request) if count else []
            hits.ids.append(np.array([point.id for point in points], np.int64))
            hits.similarities.append(np.array([point.score for point in points], np.float32))
        return hits

    def _pack(self, path: Path) -> None:
        with tarfile.open(path, "w") as archive:
            archive.add(self._folder, arcname=".")

    @classmethod
    def _from_files(cls, manifest: Manifest, files: Mapping[str, Path], workspace: Path | None) -> QdrantEdgeIndex:
        if manifest.backend != BACKEND:
            raise CorruptIndexError(f"the folder holds an index of the backend {manifest.backend}, not {BACKEND}")
        engine = _engine()
        folder, temporary = _empty_folder(workspace)
        with tarfile.open(files["engine"]) as archive:
            archive.extractall(folder, filter="data")
        index = cls.__new__(cls)
        index._settings = QdrantEdgeSettings(**manifest.parameters)
        shard = engine.EdgeShard.load(str(folder), _config(manifest.dimensions, index._settings))
        index._start(shard, manifest.dimensions, folder, temporary, manifest.database, manifest.watermark)
        if len(index) != manifest.count:
            raise CorruptIndexError(f"{folder} holds {len(index)} vectors, its manifest says {manifest.count}")
        return index


def _engine() -> Any:
    try:
        import qdrant_edge
    except ImportError as error:
        raise MissingExtraError("QdrantEdgeIndex needs qdrant-edge-py: pip install 'lean_agentic[qdrant]'") from error
    return qdrant_edge


def _config(dimensions: int, settings: QdrantEdgeSettings) -> Any:
    engine = _engine()
    quantization = None
    if settings.int8:
        quantization = engine.ScalarQuantizationConfig(engine.ScalarType.Int8, quantile=0.99, always_ram=True)
    return engine.EdgeConfig(
        vectors=engine.EdgeVectorParams(size=dimensions, distance=engine.Distance.Dot),
        hnsw_config=engine.HnswIndexConfig(
            settings.neighbours, settings.ef_construction, 100, max_indexing_threads=settings.threads
        ),
        quantization_config=quantization,
        optimizers=engine.EdgeOptimizersConfig(
            deleted_threshold=0.01, vacuum_min_vector_number=100, default_segment_number=1, indexing_threshold=100
        ),
        max_search_threads=settings.threads,
        # The truth is elsewhere: what is not saved is replayed from there.
        wal_enabled=False,
    )


def _all_ids(shard: Any) -> Iterator[int]:
    engine = _engine()
    offset = None
    while True:
        records, offset = shard.scroll(engine.ScrollRequest(offset=offset, limit=SCROLL, with_payload=False))
        yield from (record.id for record in records)
        if offset is None:
            return


def _empty_folder(workspace: Path | None) -> tuple[Path, tempfile.TemporaryDirectory[str] | None]:
    if workspace is None:
        temporary = tempfile.TemporaryDirectory(prefix="qdrant-edge-")
        return Path(temporary.name), temporary
    folder = Path(workspace)
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise ValueError(f"{folder} is not empty: the engine needs a folder of its own")
    return folder, None
