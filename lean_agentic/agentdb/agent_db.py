"""The memory as one thing: `AgentDB` joins store, vector index, embedding, recall, bank and consolidation.

In: a folder. Out: an object to store to and recall from. The folder holds `memory.db`, which is the truth, and `index`,
which may be deleted at any time.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from lean_agentic.agentdb.backends import load_index, make_index
from lean_agentic.agentdb.consolidation import Consolidation, Watcher
from lean_agentic.agentdb.consolidation_policy import ConsolidationPolicy
from lean_agentic.agentdb.consolidation_report import ConsolidationReport
from lean_agentic.agentdb.distilled_facts import Writer
from lean_agentic.agentdb.embedding import Embedding
from lean_agentic.agentdb.embedding_cache import EmbeddingCache
from lean_agentic.agentdb.filters import Filter
from lean_agentic.agentdb.hnsw_index import HnswIndex
from lean_agentic.agentdb.index_sync import IndexFactory, IndexSync
from lean_agentic.agentdb.judges import Judge
from lean_agentic.agentdb.near_duplicates import DuplicatePolicy, NearDuplicates, Written
from lean_agentic.agentdb.ranking import Weights
from lean_agentic.agentdb.reasoning_bank import ReasoningBank
from lean_agentic.agentdb.recall import DEFAULT_TENANT, Recall
from lean_agentic.agentdb.recall_result import RecallResult
from lean_agentic.agentdb.recalled_marks import RecalledMarks, RecalledPolicy
from lean_agentic.agentdb.records import Episode, Fact, Kind, Record
from lean_agentic.agentdb.snapshot import peek
from lean_agentic.agentdb.store import Store
from lean_agentic.agentdb.vector_index import VectorIndex

DATABASE, INDEX, CACHE = "memory.db", "index", "embeddings.db"


@dataclass(frozen=True)
class MemoryStats:
    """What a memory holds."""

    live: dict[str, int]
    """Records in use, by kind."""
    archived: int
    links: int
    vectors: int
    """In the index."""
    index_bytes: int

    def __repr__(self) -> str:
        kinds = ", ".join(f"{count} {kind}s" for kind, count in self.live.items() if count)
        return f"<memory: {kinds or 'nothing'} in use, {self.archived} archived, {self.links} links>"


class AgentDB:
    """A memory in a folder. Safe to use from several threads, and the folder from several processes.

    Parameters
    ----------
    folder : path
        Made when missing.
    embedding : Embedding, optional
        Turns text into vectors. The real MiniLM by default, with a cache of what it embedded in the folder.
    backend : str
        Vector index: `hnsw`, `usearch`, `qdrant-edge` or `qdrant` (see `backends`).
    duplicates : DuplicatePolicy
        What happens to a record that nearly repeats a stored one.
    recalled : RecalledPolicy
        What happens to a record that repeats what was recalled.
    weights : Weights, optional
        What each part of the evidence counts in a recall.
    judge : Judge, optional
        Of the bank.
    tenant : str
        Whose memory this handle is: what is stored without a tenant belongs to it, and recall sees no other.
    index_options
        Of the backend: `ef_search=128`, `precision="int8"`, ...

    Raises
    ------
    MissingExtraError
        The default embedding, or the backend, is not installed; the message says how to.
    StoreMismatchError
        The folder's memory was made with another embedding.

    Examples
    --------
    >>> with AgentDB("memory") as db:  # doctest: +SKIP
    ...     db.store(Episode("the build is slow", "cache the wheels", "twice as fast"))
    ...     print(db.recall("how can the build be made faster?")[0].explanation.reason)
    """

    def __init__(
        self,
        folder: Path | str,
        *,
        embedding: Embedding | None = None,
        backend: str = "hnsw",
        duplicates: DuplicatePolicy | str = DuplicatePolicy.MERGE,
        recalled: RecalledPolicy | str = RecalledPolicy.REFUSE,
        weights: Weights | None = None,
        judge: Judge | None = None,
        tenant: str = DEFAULT_TENANT,
        **index_options: Any,
    ) -> None:
        self.folder = Path(folder)
        self.tenant = tenant
        self.embedding = embedding or _default_embedding(self.folder)
        self.truth = Store(self.folder / DATABASE, dimensions=self.embedding.dimensions, embedding=self.embedding.name)
        try:
            factory = _factory(backend, self.truth, index_options)
            self.index = IndexSync(self.truth, factory, self.folder / INDEX)
            self._marks = RecalledMarks(self.truth, recalled)
            self._duplicates = NearDuplicates(self.truth, self.index, duplicates)
            self._recall = Recall(self.truth, self.index, self.embedding, weights=weights, marks=self._marks)
        except BaseException:
            self.truth.close()
            raise
        self._judge = judge

    # -- writing

    def store(self, record: Episode | Fact, vector: npt.ArrayLike | None = None) -> Written:
        """Store an episode or a fact; what became of it. See `store_all`."""
        return self.store_all([record], None if vector is None else np.atleast_2d(np.asarray(vector)))[0]

    def store_all(self, records: Sequence[Episode | Fact], vectors: npt.ArrayLike | None = None) -> list[Written]:
        """Store several, all or none; what became of each, in order. Durable when it returns.

        Parameters
        ----------
        vectors
            (n, d), where the caller has them; the embedding makes them otherwise.

        Raises
        ------
        RecalledTextError
            A record repeats what was recalled, and the policy refuses it.
        InvalidVectorError
            A vector has another size, no direction, or holds NaN or infinity.
        """
        now = time.time()
        checked: list[Record] = self._marks.check([self._owned(record) for record in records], now)
        if vectors is None and checked:
            vectors = self.embedding.embed([record.text for record in checked])
        return self._duplicates.write(checked, vectors, now)

    def forget(self, where: Filter | Sequence[int], *, thorough: bool = False) -> int:
        """Delete records everywhere, as `Store.forget`; how many. `Filter(everything=True)` empties the memory.

        Parameters
        ----------
        thorough
            Also write the files anew, so that no byte of text or vector is left in them: takes as long as building the
            index.
        """
        forgotten = self.truth.forget(where, thorough=thorough)
        if thorough:
            self.index.rebuild()
        else:
            self.index.catch_up()
        self.index.save()
        return forgotten

    # -- reading

    def recall(self, query: str, k: int = 10, where: Filter | None = None, **options: Any) -> RecallResult:
        """The k records that answer a query best, each with why; `options` are those of `Recall.recall`."""
        return self._recall.recall(query, k, where, **self._with_tenant(where, options))

    async def recall_async(self, query: str, k: int = 10, where: Filter | None = None, **options: Any) -> RecallResult:
        """As `recall`, in another thread."""
        return await self._recall.recall_async(query, k, where, **self._with_tenant(where, options))

    def recall_batch(
        self, queries: Sequence[str], k: int = 10, where: Filter | None = None, **options: Any
    ) -> list[RecallResult]:
        """As `recall` for several queries at once, which costs less."""
        return self._recall.recall_batch(queries, k, where, **self._with_tenant(where, options))

    def get(self, ids: Sequence[int]) -> list[Record]:
        """Records by id, in order; UnknownRecordError names those that are missing."""
        return self.truth.get(ids)

    def find(self, where: Filter | None = None, **options: Any) -> list[Record]:
        """Records that pass a filter, by time; `options` are those of `Store.find`."""
        return self.truth.find(where, **options)

    @cached_property
    def bank(self) -> ReasoningBank:
        """The reasoning bank in this memory."""
        return ReasoningBank(self.truth, self.embedding, judge=self._judge, tenant=self.tenant)

    # -- care

    def consolidation(self, policy: ConsolidationPolicy | None = None, *, write: Writer | None = None) -> Consolidation:
        """What turns similar episodes into facts and puts weak ones away; also for a `ConsolidationWorker`."""
        return Consolidation(self.truth, self.index, self.embedding, policy, write=write)

    def consolidate(
        self, policy: ConsolidationPolicy | None = None, *, progress: Watcher | None = None, dry_run: bool = False
    ) -> ConsolidationReport:
        """Consolidate once, now. A second run without news changes nothing."""
        return self.consolidation(policy).run(progress, dry_run=dry_run)

    def stats(self) -> MemoryStats:
        """What the memory holds, counted now."""
        self.index.catch_up()
        index: VectorIndex | None = self.index.index
        return MemoryStats(
            {kind.value: self.truth.count(Filter(kinds=[kind])) for kind in Kind},
            self.truth.count(Filter(archived=True)),
            len(self.truth.links()),
            0 if index is None else len(index),
            0 if index is None else index.memory_bytes(),
        )

    def check(self) -> list[str]:
        """What is wrong with the memory's files; empty when all is well."""
        return self.truth.check()

    def close(self) -> None:
        """Save the index and let go of the files."""
        self.index.close()
        self.truth.close()
        if isinstance(self.embedding, EmbeddingCache):
            self.embedding.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"AgentDB({str(self.folder)!r}, tenant={self.tenant!r}, embedding={self.embedding.name!r})"

    def _owned(self, record: Record) -> Record:
        return record if record.tenant != DEFAULT_TENANT else replace(record, tenant=self.tenant)

    def _with_tenant(self, where: Filter | None, options: dict[str, Any]) -> dict[str, Any]:
        named = where is not None and where.tenant is not None
        return options if named or options.get("tenant") is not None else {**options, "tenant": self.tenant}


def _default_embedding(folder: Path) -> Embedding:
    from lean_agentic.agentdb.minilm import MiniLM  # onnxruntime is loaded by who needs it

    folder.mkdir(parents=True, exist_ok=True)
    return EmbeddingCache(MiniLM(), path=folder / CACHE)


def _factory(backend: str, store: Store, options: dict[str, Any]) -> IndexFactory:
    fetch = {"fetch": store.vectors} if backend == "usearch" else {}
    make_index(backend, 2, **options, **fetch).close()  # says at once what is wrong with the options

    def load(folder: Path) -> VectorIndex:
        saved = peek(folder).backend
        if saved != backend:
            raise FileNotFoundError(f"{folder} holds an index of {saved}, not of {backend}")
        index = load_index(folder, **fetch)
        if isinstance(index, HnswIndex) and "ef_search" in options:
            index.ef_search = options["ef_search"]  # what was saved keeps that of its time
        return index

    return IndexFactory(lambda dimensions: make_index(backend, dimensions, **options, **fetch), load)
