"""Recall: the records that answer a query best, each with why.

Meaning (vectors), words (stemmed BM25), entities, dates, neighbours in session and causal graph, recency and use are
gathered by `candidates`, weighed by `ranking` and told by `explanation`. A recall counts as a use, and what it gave is
marked, so that it does not come back as news.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from lean_agentic.agentdb.candidates import Query, gather
from lean_agentic.agentdb.embedding import Embedding, checked_texts
from lean_agentic.agentdb.errors import FilterError, StoreMismatchError
from lean_agentic.agentdb.filters import Filter
from lean_agentic.agentdb.hit_explanations import explain
from lean_agentic.agentdb.index_sync import IndexSync
from lean_agentic.agentdb.ranking import Weights
from lean_agentic.agentdb.recall_result import RecallResult, Timings
from lean_agentic.agentdb.recall_trace import RecallTrace
from lean_agentic.agentdb.recalled_marks import RecalledMarks
from lean_agentic.agentdb.store import Store
from lean_agentic.agentdb.vector_index import Vectors, unit_rows

DEFAULT_TENANT = "default"
LEAST_POOL = 50
"""Hits of the vector index, and of the full text, that are looked at."""
POOL_SHARE = 5
"""Where more are wanted: hits looked at for each one wanted."""


class Recall:
    """Recalls from a store through its vector index. Safe to use from several threads.

    Parameters
    ----------
    store : Store
    index : IndexSync
        Of that store.
    embedding : Embedding
        The one that the store's vectors were made with.
    weights : Weights
        What each part of the evidence counts.
    marks : RecalledMarks, optional
        Notes what was recalled; one of the store's by default.

    Raises
    ------
    StoreMismatchError
        The store's vectors are of another embedding.
    """

    def __init__(
        self,
        store: Store,
        index: IndexSync,
        embedding: Embedding,
        *,
        weights: Weights | None = None,
        marks: RecalledMarks | None = None,
    ) -> None:
        made_with = (store.embedding or embedding.name, store.dimensions or embedding.dimensions)
        if made_with != (embedding.name, embedding.dimensions):
            raise StoreMismatchError(
                f"{store.path} holds vectors of {made_with[0]} ({made_with[1]} numbers), not of {embedding.name} "
                f"({embedding.dimensions}): recall with the embedding that they were made with"
            )
        self._store = store
        self._index = index
        self._embedding = embedding
        self.weights = weights or Weights()
        self.marks = marks or RecalledMarks(store)

    def recall(
        self,
        query: str,
        k: int = 10,
        where: Filter | None = None,
        *,
        as_of: float | None = None,
        tenant: str | None = None,
        vector: npt.ArrayLike | None = None,
        note: bool = True,
    ) -> RecallResult:
        """The k records that answer a query best.

        Parameters
        ----------
        query
            May be empty where a vector is given.
        where
            Only records that pass.
        as_of
            Unix seconds: only what had happened, and facts that held, by then; ages count from then.
        tenant
            Whose records; the filter's, or `default`, where not given.
        vector
            (d,) of the query, where the caller has it; the embedding makes it otherwise.
        note
            Count the recall as a use of its records, and mark their texts as recalled.

        Raises
        ------
        FilterError
            The filter contradicts `tenant` or `as_of`, or asks for archived records, which are not recalled.
        EmbeddingError, InvalidVectorError
            The query has no vector, or one that cannot be compared.
        """
        vectors = None if vector is None else np.atleast_2d(np.asarray(vector))
        return self.recall_batch([query], k, where, as_of=as_of, tenant=tenant, vectors=vectors, note=note)[0]

    async def recall_async(self, query: str, k: int = 10, where: Filter | None = None, **options: Any) -> RecallResult:
        """As `recall`, in another thread: the event loop goes on meanwhile."""
        return await asyncio.to_thread(self.recall, query, k, where, **options)

    def recall_batch(
        self,
        queries: Sequence[str],
        k: int = 10,
        where: Filter | None = None,
        *,
        as_of: float | None = None,
        tenant: str | None = None,
        vectors: npt.ArrayLike | None = None,
        note: bool = True,
    ) -> list[RecallResult]:
        """As `recall` for several queries at once, which costs less; `vectors` are (n, d)."""
        if k < 1:
            raise ValueError(f"k must be at least 1, got {k}")
        asked = checked_texts(queries)
        allowed = _allowed(where, as_of, tenant)
        if not asked:
            return []
        watch = _Watch()
        rows = self._vectors(asked, vectors)
        watch.lap("embed")
        now = time.time()
        with self._store.read():
            found = self._answers(asked, rows, k, allowed, now if allowed.as_of is None else allowed.as_of, watch)
        if note:
            self._note(found, now)
        watch.lap("note")
        timings = watch.timings(len(asked))
        return [replace(result, timings=timings) for result in found]

    async def recall_batch_async(
        self, queries: Sequence[str], k: int = 10, where: Filter | None = None, **options: Any
    ) -> list[RecallResult]:
        """As `recall_batch`, in another thread."""
        return await asyncio.to_thread(self.recall_batch, queries, k, where, **options)

    def _vectors(self, queries: list[str], vectors: npt.ArrayLike | None) -> Vectors:
        if vectors is None:
            if not all(query.strip() for query in queries):
                raise ValueError("a query is empty: ask something, or give its vector")
            return self._embedding.embed(queries)
        rows = unit_rows(vectors, self._embedding.dimensions)
        if len(rows) != len(queries):
            raise ValueError(f"{len(rows)} vectors for {len(queries)} queries: give one each")
        return rows

    def _answers(
        self, queries: list[str], rows: Vectors, k: int, where: Filter, now: float, watch: _Watch
    ) -> list[RecallResult]:
        pool = max(LEAST_POOL, POOL_SHARE * k)
        hits = self._index.search(rows, pool, where)
        watch.lap("search")
        results = []
        for text, row, ids, similarities in zip(queries, rows, hits.ids, hits.similarities, strict=True):
            candidates = gather(self._store, Query(text, where, now), ids, similarities, pool, self.weights)
            watch.lap("search")
            trace = RecallTrace(text, k, now, self.weights, candidates.evidence)
            ranking = trace.ranking()
            watch.lap("fuse")
            explained = explain(self._store, candidates, ranking, trace, row, where)
            results.append(RecallResult(text, explained, trace, Timings()))
            watch.lap("explain")
        return results

    def _note(self, results: Sequence[RecallResult], now: float) -> None:
        """Count uses and mark texts, in one transaction."""
        records = {record.id: record for result in results for record in result.records}
        if records:
            with self._store.write():
                self._store.touch(list(records), now)
                self.marks.note(list(records.values()), now)

    def __repr__(self) -> str:
        return f"Recall({self._store!r}, {self._embedding!r})"


def _allowed(where: Filter | None, as_of: float | None, tenant: str | None) -> Filter:
    """The filter with tenant and time in it."""
    where = where or Filter()
    if where.everything or where.archived:
        raise FilterError("archived records are not recalled: find them in the store, or take them back into use")
    for name, given in (("tenant", tenant), ("as_of", as_of)):
        if given is not None and getattr(where, name) not in (None, given):
            raise FilterError(f"{name} {given!r} contradicts the filter's {getattr(where, name)!r}: give one of them")
    return replace(
        where,
        archived=False,
        tenant=tenant or where.tenant or DEFAULT_TENANT,
        as_of=where.as_of if as_of is None else as_of,
    )


class _Watch:
    """Where the time goes."""

    def __init__(self) -> None:
        self._milliseconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        """The time since the last lap was spent on this."""
        now = time.perf_counter()
        self._milliseconds[name] = self._milliseconds.get(name, 0.0) + 1000 * (now - self._last)
        self._last = now

    def timings(self, share: int) -> Timings:
        """One of so many even shares."""
        return Timings(**{name: spent / share for name, spent in self._milliseconds.items()})
