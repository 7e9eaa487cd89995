"""A vector index on a Qdrant server, for those who outgrow one machine (extra `qdrant`, package qdrant-client).

One collection, sharded over the server's nodes, holds the vectors and, where asked for, payloads with indexes of their
own. Nothing is kept in this process, so that several may use one collection; the watermark and the database that it
belongs to are the collection's metadata.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lean_agentic.agentdb.errors import CorruptIndexError
from lean_agentic.agentdb.filtered_search import Searcher
from lean_agentic.agentdb.qdrant_calls import Patience, QdrantCalls, connect, qdrant
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

BACKEND = "qdrant"
COSTS = Costs(exact_copy=1.0, exact_compare=1.0)
SCROLL = 1000
API_KEY = "QDRANT_API_KEY"
"""Environment variable with the key, where none is given: keys are never saved."""

Payloads = Callable[[Ids], Sequence[Mapping[str, Any]]]
"""What to keep beside the vectors of ids, in their order: tenant, kind, time, ..."""


@dataclass(frozen=True)
class QdrantServerSettings:
    """How the collection is made and called; an existing one keeps its own shards, replicas and graph."""

    shards: int = 1
    replicas: int = 1
    neighbours: int = 16
    """Links of a vector."""
    ef_construction: int = 200
    """Candidates kept while a vector is linked."""
    ef_search: int = 64
    """Candidates kept while searching."""
    int8: bool = False
    """Search over int8 copies in memory, rank by the exact vectors, which may stay on disk."""
    oversample: float = 2.0
    """With int8: candidates ranked by their exact vectors, for every hit asked for."""
    payload_indexes: Mapping[str, str] = field(default_factory=dict)
    """Fields of the payloads to index, and their type: keyword, integer, float, bool, datetime, text, uuid."""
    batch: int = 256
    """Vectors in one call."""
    patience: Patience = field(default_factory=Patience)


class QdrantServerIndex:
    """A `VectorIndex` over a collection of a Qdrant server.

    A write of several batches that fails half-way may be partly in: write it again, it replaces itself.
    """

    def __init__(
        self,
        dimensions: int,
        collection: str,
        *,
        url: str = "",
        api_key: str | None = None,
        client: Any = None,
        settings: QdrantServerSettings | None = None,
        payloads: Payloads | None = None,
        database: str = "",
    ) -> None:
        """The index in `collection`, made where it does not exist.

        The server is at `url`, or behind a `QdrantClient`. Raises ValueError where the collection holds vectors of
        another size, or belongs to another database.
        """
        if bool(url) == (client is not None):
            raise ValueError("give the url of a Qdrant server, or a client, and not both")
        self._settings = settings or QdrantServerSettings()
        self._url = url
        self._collection = collection
        self._payloads = payloads
        self._dimensions = dimensions
        patience = self._settings.patience
        self._calls = QdrantCalls(client or connect(url, api_key or os.environ.get(API_KEY), patience), patience)
        if not self._call("collection_exists"):
            self._create()
        self.database, self._watermark = self._attach(database)
        self._size = len(self)

    @property
    def dimensions(self) -> int:
        """Numbers in a vector."""
        return self._dimensions

    @property
    def watermark(self) -> int:
        """Sequence number of the last change of the store that the index holds."""
        return self._watermark

    def __len__(self) -> int:
        self._size = int(self._call("count", exact=True).count)
        return self._size

    def __contains__(self, record_id: int) -> bool:
        return bool(self._call("retrieve", [record_id], with_payload=False))

    def ids(self) -> Ids:
        """All live ids, ascending."""
        found: list[int] = []
        offset = None
        while True:
            records, offset = self._call("scroll", limit=SCROLL, offset=offset, with_payload=False)
            found += [record.id for record in records]
            if offset is None:
                return np.array(sorted(found), np.int64)

    def vectors(self, ids: Ids) -> Vectors:
        """The (n, d) stored vectors of live ids; UnknownRecordError for others."""
        wanted = np.asarray(ids, np.int64)
        records = self._call("retrieve", wanted.tolist(), with_payload=False, with_vectors=True)
        by_id = {record.id: record.vector for record in records}
        missing = [key for key in wanted.tolist() if key not in by_id]
        if missing:
            raise unknown(np.array(missing))
        return np.array([by_id[key] for key in wanted.tolist()], np.float32).reshape(len(wanted), self._dimensions)

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """Add (n, d) unit vectors, replacing those whose ids are there already."""
        wanted, rows = require_batch(ids, vectors, self._dimensions)
        payloads = None if self._payloads is None else [dict(each) for each in self._payloads(wanted)]
        for start in range(0, len(wanted), self._settings.batch):
            part = slice(start, start + self._settings.batch)
            points = qdrant().models.Batch(
                ids=wanted[part].tolist(), vectors=rows[part].tolist(), payloads=payloads and payloads[part]
            )
            self._call("upsert", points, wait=True)
        self._size += len(wanted)

    def remove(self, ids: Ids) -> None:
        """Forget vectors; ids that are not there are ignored."""
        wanted = require_ids(ids)
        for start in range(0, len(wanted), SCROLL):
            points = qdrant().models.PointIdsList(points=wanted[start : start + SCROLL].tolist())
            self._call("delete", points, wait=True)

    def search(self, queries: Vectors, k: int, allowed: Ids | None = None) -> Hits:
        """The k most similar live vectors of each (n, d) unit query, among `allowed` (ascending) where given."""
        require_k(k)
        rows = require_unit_rows(queries, self._dimensions)
        among = None if allowed is None else require_ascending(allowed)
        # Others may have added since the collection was counted: what is short is asked for again, exactly.
        live = max(self._size, k + 1)
        searcher = Searcher(self._candidates, self._exact, COSTS)
        return searcher.search(rows, k, among, live, self._settings.ef_search)

    def search_where(self, queries: Vectors, k: int, where: Mapping[str, str | int | bool]) -> Hits:
        """The k most similar of each query among those whose payloads hold these values, filtered by the server."""
        require_k(k)
        models = qdrant().models
        must = [models.FieldCondition(key=name, match=models.MatchValue(value=value)) for name, value in where.items()]
        return self._query(
            require_unit_rows(queries, self._dimensions), k, models.Filter(must=must), self._approximate(k)
        )

    def advance(self, watermark: int) -> None:
        """Note that all changes up to this sequence number are in."""
        self._watermark = require_advance(self._watermark, watermark)

    def save(self, folder: Path) -> None:
        """Note watermark and database in the collection, and in `folder` where that is; the vectors stay there."""
        self._call("update_collection", metadata={"database": self.database, "watermark": self._watermark})
        parameters = {"url": self._url, "collection": self._collection, "settings": asdict(self._settings)}
        manifest = Manifest(BACKEND, self._dimensions, len(self), self._watermark, self.database, parameters)
        save_snapshot(Path(folder), manifest, {})

    @classmethod
    def load(
        cls, folder: Path, *, api_key: str | None = None, client: Any = None, payloads: Payloads | None = None
    ) -> QdrantServerIndex:
        """The index that `save` noted there.

        Raises FileNotFoundError where nothing was saved, CorruptIndexError where the note is damaged or the server no
        longer holds what it says.
        """
        return load_snapshot(Path(folder), lambda manifest, _: cls._from_manifest(manifest, api_key, client, payloads))

    def memory_bytes(self) -> int:
        """None in this process: see the server's own telemetry."""
        return 0

    def drop(self) -> None:
        """Delete the collection with all that it holds."""
        self._call("delete_collection")

    def close(self) -> None:
        """Close the connection made for this index; a client that was given stays open."""
        if self._url:
            self._calls.client.close()

    def _call(self, method: str, *arguments: Any, **named: Any) -> Any:
        return self._calls(method, self._collection, *arguments, **named)

    def _create(self) -> None:
        models, settings = qdrant().models, self._settings
        quantization = None
        if settings.int8:
            scalar = models.ScalarQuantizationConfig(type=models.ScalarType.INT8, quantile=0.99, always_ram=True)
            quantization = models.ScalarQuantization(scalar=scalar)
        self._call(
            "create_collection",
            vectors_config=models.VectorParams(size=self._dimensions, distance=models.Distance.DOT),
            hnsw_config=models.HnswConfigDiff(m=settings.neighbours, ef_construct=settings.ef_construction),
            shard_number=settings.shards,
            replication_factor=settings.replicas,
            quantization_config=quantization,
        )
        for name, kind in settings.payload_indexes.items():
            self._call("create_payload_index", name, field_schema=models.PayloadSchemaType(kind))

    def _attach(self, database: str) -> tuple[str, int]:
        config = self._call("get_collection").config
        size = config.params.vectors.size
        if size != self._dimensions:
            raise ValueError(
                f"the collection {self._collection} holds vectors of {size} numbers, not {self._dimensions}"
            )
        noted = config.metadata or {}
        owner = noted.get("database", "")
        # What follows a colon tells one save from another.
        if database and owner and owner.partition(":")[0] != database.partition(":")[0]:
            raise ValueError(f"the collection {self._collection} belongs to the database {owner}: choose another name")
        return database or owner, int(noted.get("watermark", 0))

    def _approximate(self, count: int) -> Any:
        models = qdrant().models
        quantization = None
        if self._settings.int8:
            quantization = models.QuantizationSearchParams(rescore=True, oversampling=self._settings.oversample)
        return models.SearchParams(hnsw_ef=max(count, self._settings.ef_search), quantization=quantization)

    def _candidates(self, queries: Vectors, count: int) -> Hits:
        return self._query(queries, count, None, self._approximate(count))

    def _exact(self, queries: Vectors, k: int, allowed: Ids | None) -> Hits:
        models = qdrant().models
        only = None if allowed is None else models.Filter(must=[models.HasIdCondition(has_id=allowed.tolist())])
        return self._query(queries, k, only, models.SearchParams(exact=True))

    def _query(self, queries: Vectors, count: int, only: Any, parameters: Any) -> Hits:
        models = qdrant().models
        requests = [
            models.QueryRequest(query=query.tolist(), limit=count, filter=only, params=parameters) for query in queries
        ]
        answers = self._call("query_batch_points", requests) if requests else []
        return Hits(
            [np.array([point.id for point in answer.points], np.int64) for answer in answers],
            [np.array([point.score for point in answer.points], np.float32) for answer in answers],
        )

    @classmethod
    def _from_manifest(
        cls, manifest: Manifest, api_key: str | None, client: Any, payloads: Payloads | None
    ) -> QdrantServerIndex:
        if manifest.backend != BACKEND:
            raise CorruptIndexError(f"the folder holds an index of the backend {manifest.backend}, not {BACKEND}")
        parameters = dict(manifest.parameters)
        settings = dict(parameters["settings"])
        settings["patience"] = Patience(**settings["patience"])
        index = cls(
            manifest.dimensions,
            parameters["collection"],
            url="" if client is not None else parameters["url"],
            api_key=api_key,
            client=client,
            settings=QdrantServerSettings(**settings),
            payloads=payloads,
        )
        held = (index.database, index.watermark, len(index))
        if held[0] != manifest.database or held[1] < manifest.watermark or (manifest.count and not held[2]):
            raise CorruptIndexError(
                f"the collection {parameters['collection']} holds (database, watermark, vectors) {held}, the note says "
                f"{(manifest.database, manifest.watermark, manifest.count)}: build the index again from the store"
            )
        return index
