"""Consolidation: what several episodes say becomes one fact that cites them, and weak episodes leave the search.

A run plans the clusters of every tenant with new episodes (`consolidation_plan`), stores the plan, and works it off
cluster by cluster, each in one transaction: the fact is stored, its weak sources are archived, the cluster is ticked
off. Interrupted anywhere, by an exception, Ctrl-C or a kill, the next run goes on with the stored plan. A run without
news does only what time does: episodes that a fact stands for are archived when they have become weak (`decay`). Only
those are: an episode that no fact stands for stays in use, however old, since it is the last trace of itself.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from lean_agentic.agentdb import consolidation_tables as tables
from lean_agentic.agentdb.cluster_work import ChangingError, ClusterWork
from lean_agentic.agentdb.consolidation_plan import plan_groups
from lean_agentic.agentdb.consolidation_policy import ConsolidationPolicy
from lean_agentic.agentdb.consolidation_report import ConsolidationReport
from lean_agentic.agentdb.consolidation_tables import Group
from lean_agentic.agentdb.distilled_facts import Draft, StatementError, Writer
from lean_agentic.agentdb.embedding import Embedding
from lean_agentic.agentdb.index_replay import caught_up
from lean_agentic.agentdb.index_sync import IndexSync
from lean_agentic.agentdb.putting_away import archive_weak, delete_weak, foreseen
from lean_agentic.agentdb.store import Store
from lean_agentic.agentdb.vector_index import VectorIndex
from lean_agentic.agentdb.word_weights import WordWeights

log = logging.getLogger(__name__)


class Stage(StrEnum):
    """What a run is doing."""

    CLUSTERING = "clustering"
    """Counted in episodes, of one tenant at a time."""
    DISTILLING = "distilling"
    """Counted in clusters."""


@dataclass(frozen=True)
class ConsolidationProgress:
    """How far a run is."""

    stage: Stage
    done: int
    total: int


Watcher = Callable[[ConsolidationProgress], None]
"""May raise to end the run: what is done stays, the next run does the rest."""


@dataclass
class _Run:
    """What is counted and kept for the length of one run."""

    work: ClusterWork
    progress: Watcher | None
    report: ConsolidationReport = field(default_factory=ConsolidationReport)
    failures: list[StatementError | ChangingError] = field(default_factory=list)
    failed: set[int] = field(default_factory=set)
    """Numbers of their clusters."""

    def count(self, **more: int) -> None:
        self.report = replace(self.report, **{name: getattr(self.report, name) + n for name, n in more.items()})

    def tell(self, stage: Stage, done: int, total: int) -> None:
        if self.progress is not None:
            self.progress(ConsolidationProgress(stage, done, total))

    def fail(self, group: Group, error: StatementError | ChangingError) -> None:
        log.warning("%s", error)
        self.failed.add(group.number)
        self.failures.append(error)


class Consolidation:
    """Consolidates a store. Safe to use from several threads; runs of several processes share the work.

    Parameters
    ----------
    store : Store
    index : IndexSync or VectorIndex
        Of that store. A bare index is brought abreast of the store before and after each run.
    embedding : Embedding, optional
        Makes the vectors of the facts. None, or precomputed vectors: a fact gets the normalised mean of its episodes.
    policy : ConsolidationPolicy
    write : list of episodes -> str, optional
        Writes the statements, given the medoid first; a language model for instance. Extractive where not given.
        Called outside of transactions, once a cluster, again where its episodes changed meanwhile.
    """

    def __init__(
        self,
        store: Store,
        index: IndexSync | VectorIndex,
        embedding: Embedding | None = None,
        policy: ConsolidationPolicy | None = None,
        *,
        write: Writer | None = None,
    ) -> None:
        self.policy = policy or ConsolidationPolicy()
        self._store = store
        self._index = index
        self._embedding = embedding
        self._write = write
        self._lock = threading.Lock()
        tables.make_tables(store)

    def run(
        self, progress: Watcher | None = None, *, now: float | None = None, dry_run: bool = False
    ) -> ConsolidationReport:
        """Consolidate what is new, and put away what has become weak.

        Parameters
        ----------
        progress
            Called after each batch and each cluster.
        now
            Unix seconds from which ages count; the clock where not given.
        dry_run
            Change nothing and report what would happen; statements are written for it all the same.

        Raises
        ------
        StatementError, ChangingError
            Some clusters could not be consolidated; they wait for the next run, all other work was done.
        """
        started = time.perf_counter()
        moment = time.time() if now is None else now
        work = ClusterWork(self._store, self.policy, self._embedding, self._write, moment, {})
        run = _Run(work, progress, ConsolidationReport(dry_run=dry_run))
        with self._lock:
            run.count(live_before=self._live())
            (self._rehearse if dry_run else self._perform)(run)
        report = replace(run.report, seconds=time.perf_counter() - started)
        if run.failures:
            first = run.failures[0]
            raise type(first)(f"{len(run.failures)} clusters wait for the next run ({report}); the first: {first}")
        return report

    def _perform(self, run: _Run) -> None:
        self._revive(run)
        self._work_off(run)
        index = caught_up(self._index, self._store)
        for tenant in self._tenants():
            self._plan(tenant, index, run)
        self._work_off(run)
        run.count(archived=archive_weak(self._store, self.policy, run.work.now))
        run.count(deleted=delete_weak(self._store, self.policy, run.work.now))
        caught_up(self._index, self._store)
        run.count(live_after=self._live())

    def _rehearse(self, run: _Run) -> None:
        index = caught_up(self._index, self._store)
        with self._store.read() as connection:
            bereft = tables.bereft(connection)
            groups = tables.planned(connection)
        for tenant in self._tenants():
            groups += self._groups(tenant, index, run)[1]
        drafts = self._drafts(groups, run)
        ahead = foreseen(self._store, self.policy, run.work.now, drafts)
        new = [draft for draft in drafts if not draft.fact.id]
        run.count(clusters=len(groups), facts=len(new), extended=len(drafts) - len(new), revived=len(bereft))
        run.count(archived=len(ahead.archived), deleted=len(ahead.deleted))
        back, gone = (int(self._store.has_vector(ids).sum()) for ids in (bereft, ahead.archived))
        with_vector = sum(draft.vector is not None for draft in new)
        run.count(live_after=run.report.live_before + back - gone + with_vector)

    def _drafts(self, groups: Sequence[Group], run: _Run) -> list[Draft]:
        drafts = []
        for done, group in enumerate(groups, 1):
            try:
                draft = run.work.draft(group)
            except StatementError as error:
                run.fail(group, error)
                continue
            if draft is not None:
                drafts.append(draft)
            run.tell(Stage.DISTILLING, done, len(groups))
        return drafts

    def _revive(self, run: _Run) -> None:
        """Take back into use what is the last trace again, because its fact is gone or out of use."""
        with self._store.write() as connection:
            ids = tables.bereft(connection)
            self._store.unarchive(ids)
            tables.note_revived(connection, ids)
        run.count(revived=len(ids))

    def _tenants(self) -> list[str]:
        with self._store.read() as connection:
            return tables.tenants_with_new(connection, self.policy.key)

    def _groups(self, tenant: str, index: VectorIndex | None, run: _Run) -> tuple[list[int], list[Group]]:
        """The new episodes of a tenant, and the groups that they make."""
        with self._store.read() as connection:
            episodes = tables.candidates(connection, tenant, self.policy.key)
            facts = tables.distilled_facts(connection, tenant)
        weights = run.work.weights[tenant] = WordWeights(each.text for each in episodes)
        groups = plan_groups(
            episodes, facts, index, weights, self.policy, lambda done, total: run.tell(Stage.CLUSTERING, done, total)
        )
        return [each.id for each in episodes if each.new], groups

    def _plan(self, tenant: str, index: VectorIndex | None, run: _Run) -> None:
        """Store the plan of a tenant. Groups of which something was forgotten or planned meanwhile are left out."""
        new, groups = self._groups(tenant, index, run)
        with self._store.write() as connection:
            still = tables.open_ids(connection, tenant)
            free = [group for group in groups if still.issuperset(group.members)]
            broken = {each for group in groups if group not in free for each in group.members}
            tables.store_plan(connection, self.policy.key, [each for each in new if each in still - broken], free)

    def _work_off(self, run: _Run) -> None:
        with self._store.read() as connection:
            groups = [group for group in tables.planned(connection) if group.number not in run.failed]
        for done, group in enumerate(groups, 1):
            try:
                outcome = run.work.perform(group)
            except (StatementError, ChangingError) as error:
                run.fail(group, error)
            else:
                run.count(clusters=1, facts=outcome.fact, extended=outcome.extended, archived=outcome.archived)
            run.tell(Stage.DISTILLING, done, len(groups))

    def _live(self) -> int:
        with self._store.read() as connection:
            return tables.live_vectors(connection)

    def __repr__(self) -> str:
        return f"Consolidation({self._store!r}, {self.policy!r})"
