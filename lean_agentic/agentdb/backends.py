"""Which vector index: by name and options, with clear errors; and moving vectors from one to another.

index = make_index("hnsw", 384, ef_search=128)
report = migrate(index, make_index("qdrant-edge", 384), queries)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from lean_agentic.agentdb.exact_search import exact_hits
from lean_agentic.agentdb.hnsw_graph import HnswSettings
from lean_agentic.agentdb.hnsw_index import HnswIndex
from lean_agentic.agentdb.qdrant_calls import Patience
from lean_agentic.agentdb.qdrant_edge_index import QdrantEdgeIndex, QdrantEdgeSettings
from lean_agentic.agentdb.qdrant_server_index import QdrantServerIndex, QdrantServerSettings
from lean_agentic.agentdb.snapshot import peek
from lean_agentic.agentdb.usearch_index import UsearchIndex, UsearchSettings
from lean_agentic.agentdb.vector_index import Hits, Ids, VectorIndex, Vectors, require_unit_rows

BATCH = 1000
"""Vectors moved at a time."""


@dataclass(frozen=True)
class Backend:
    """How an index of one kind is made."""

    kind: type[Any]
    settings: type[Any]
    own_options: tuple[str, ...] = ()
    """Options of the index itself rather than of its settings."""
    required: tuple[str, ...] = ()


BACKENDS: Mapping[str, Backend] = {
    "hnsw": Backend(HnswIndex, HnswSettings, ("database", "compact_above")),
    "usearch": Backend(UsearchIndex, UsearchSettings, ("fetch", "database"), ("fetch",)),
    "qdrant-edge": Backend(QdrantEdgeIndex, QdrantEdgeSettings, ("workspace", "database")),
    "qdrant": Backend(
        QdrantServerIndex,
        QdrantServerSettings,
        ("collection", "url", "api_key", "client", "payloads", "database"),
        ("collection",),
    ),
}


def make_index(backend: str, dimensions: int, **options: Any) -> VectorIndex:
    """An empty index (`qdrant`: on its collection, which may hold vectors).

    Options are the fields of the backend's settings and the keyword arguments of its index. Raises ValueError that
    names what there is, for an unknown backend or option, and MissingExtraError without its package.
    """
    kind = _backend(backend)
    names = {each.name for each in fields(kind.settings)}
    unknown = options.keys() - names - set(kind.own_options)
    if unknown:
        raise ValueError(
            f"the backend {backend} has no option {', '.join(sorted(unknown))}: "
            f"it has {', '.join(sorted(names | set(kind.own_options)))}"
        )
    missing = set(kind.required) - options.keys()
    if missing:
        raise ValueError(f"the backend {backend} needs the option {', '.join(sorted(missing))}")
    settings = kind.settings(**{name: options[name] for name in names & options.keys()})
    own = {name: options[name] for name in options.keys() - names}
    index: VectorIndex = kind.kind(dimensions, settings=settings, **own)
    return index


def load_index(folder: Path, **options: Any) -> VectorIndex:
    """The index saved in a folder, of whatever backend; `options` as its `load` takes them (usearch: fetch).

    Raises FileNotFoundError where nothing was saved, CorruptIndexError where it is damaged.
    """
    index: VectorIndex = _backend(peek(Path(folder)).backend).kind.load(Path(folder), **options)
    return index


@dataclass(frozen=True)
class MigrationReport:
    """What was moved, and how well both indexes find it."""

    moved: int
    removed: int
    """Vectors of the target that the source does not hold."""
    k: int
    source_recall: float
    """Share of the true k nearest of the sample queries that the source finds; the truth is exact search."""
    target_recall: float
    watermark: int
    """Of both."""

    def __repr__(self) -> str:
        return (
            f"MigrationReport({self.moved} moved, {self.removed} removed, recall@{self.k} "
            f"{self.source_recall:.4f} before, {self.target_recall:.4f} after, watermark {self.watermark})"
        )


def migrate(
    source: VectorIndex,
    target: VectorIndex,
    queries: Vectors,
    *,
    k: int = 10,
    least_recall: float = 0.95,
    batch: int = BATCH,
    progress: Callable[[int, int], None] | None = None,
) -> MigrationReport:
    """Make `target` hold what `source` holds, and verify it: ids, and recall of sample (n, d) unit queries.

    Nothing must write to either meanwhile. May be repeated after an interruption. Raises ValueError for indexes of
    different dimensions, RuntimeError where ids differ afterwards or the target's recall is under `least_recall`.
    """
    if source.dimensions != target.dimensions:
        raise ValueError(f"the source has vectors of {source.dimensions} numbers, the target of {target.dimensions}")
    sample = require_unit_rows(queries, source.dimensions)
    ids = source.ids()
    extra = np.setdiff1d(target.ids(), ids)
    target.remove(extra)
    for start in range(0, len(ids), batch):
        part = ids[start : start + batch]
        target.add(part, source.vectors(part))
        if progress is not None:
            progress(min(start + batch, len(ids)), len(ids))
    if not np.array_equal(target.ids(), ids):
        raise RuntimeError(f"the target holds {len(target)} ids, the source {len(ids)}: was one written to meanwhile?")
    target.database = source.database
    target.advance(source.watermark)
    truth = _exact(source, ids, sample, k, batch)
    report = MigrationReport(
        len(ids),
        len(extra),
        k,
        _recall(source.search(sample, k), truth),
        _recall(target.search(sample, k), truth),
        target.watermark,
    )
    if report.target_recall < least_recall:
        raise RuntimeError(f"the target finds too little, {report}: raise its ef_search or oversample")
    return report


def _backend(name: str) -> Backend:
    if name not in BACKENDS:
        raise ValueError(f"no backend {name!r}: there are {', '.join(BACKENDS)}")
    return BACKENDS[name]


def _exact(source: VectorIndex, ids: Ids, queries: Vectors, k: int, batch: int) -> Hits:
    parts = (ids[start : start + batch] for start in range(0, len(ids), batch))
    return exact_hits(queries, k, ((part, source.vectors(part)) for part in parts))


def _recall(hits: Hits, truth: Hits) -> float:
    found = sum(len(np.intersect1d(one, true)) for one, true in zip(hits.ids, truth.ids, strict=True))
    return found / max(sum(len(true) for true in truth.ids), 1)


__all__ = ["BACKENDS", "Backend", "MigrationReport", "Patience", "load_index", "make_index", "migrate"]
