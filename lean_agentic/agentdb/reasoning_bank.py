"""The reasoning bank: trajectories go in and are judged, patterns of what works come out.

After ReasoningBank (Ouyang et al. 2025): successes and failures both teach, and items are found again by likeness of
the tasks behind them. Here patterns come from contrasts that are tested, not from a model's reading of one trajectory;
a model may judge and may rephrase, and is never needed.

Any other part of the system can hand it records: `bank.append(record)` and `bank(record)` take anything that looks like
a trajectory.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from lean_agentic.agentdb.action_roles import RoleOf, role_of
from lean_agentic.agentdb.bank_stats import BankStats, DistillationReport, TaskTypeChange, stats_of
from lean_agentic.agentdb.contrast import MiningSettings
from lean_agentic.agentdb.distillation import Distilled, Rephrase, distil_patterns
from lean_agentic.agentdb.embedding import Embedding
from lean_agentic.agentdb.errors import AgentDBError, UnknownRecordError
from lean_agentic.agentdb.filters import Filter
from lean_agentic.agentdb.foreign_records import as_trajectory
from lean_agentic.agentdb.judges import Judge, JudgeError, Judgement, with_judgement
from lean_agentic.agentdb.learned_judge import LearnedJudge
from lean_agentic.agentdb.pattern_search import NEAREST, PatternHit, rank
from lean_agentic.agentdb.pattern_table import newest_behind, pattern_heads
from lean_agentic.agentdb.records import Kind, Pattern, Trajectory, Verdict
from lean_agentic.agentdb.store import Store
from lean_agentic.agentdb.trials_contrast import TrialsContrast, contrast_trials
from lean_agentic.agentdb.vector_index import Vectors

JUDGED_BY = "judged by"
REASON = "reason"
MOST_COMPARED = 50
"""Tasks behind a pattern, the newest, that a situation is compared with."""
ATTEMPTS = 10

T = TypeVar("T", Trajectory, Pattern)


class ReasoningBank:
    """A bank in a store.

    Parameters
    ----------
    embedding
        Finds patterns by likeness of tasks as well; without it, by task type and conditions alone.
    judge
        Judges where `judge` is not told otherwise.
    rephrase
        A lane that may put the content of new patterns in better words.
    roles
        Tells which actions read, talk, hand over and write.
    """

    def __init__(
        self,
        store: Store,
        embedding: Embedding | None = None,
        *,
        judge: Judge | None = None,
        settings: MiningSettings | None = None,
        tenant: str = "default",
        rephrase: Rephrase | None = None,
        roles: RoleOf = role_of,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.store = store
        self.embedding = embedding
        self.settings = settings or MiningSettings()
        self.tenant = tenant
        self._judge = judge
        self._rephrase = rephrase
        self._roles = roles
        self._clock = clock

    def track(self, record: Any) -> int:
        """Keep a trajectory, or anything that looks like one; its id.

        Raises
        ------
        ForeignRecordError
            The record cannot be read as a trajectory.
        """
        return self.track_all([record])[0]

    def track_all(self, records: Sequence[Any]) -> list[int]:
        """Keep several trajectories, all or none; their ids, in order."""
        trajectories = [as_trajectory(record, self.tenant) for record in records]
        return self.store.add(trajectories, self._embedded([each.text for each in trajectories]))

    def append(self, record: Any) -> None:
        """As `track`: a bank takes the place of a list."""
        self.track(record)

    def __call__(self, record: Any) -> None:
        """As `track`: a bank takes the place of a callback."""
        self.track(record)

    def judge(self, trajectory_id: int, by: Judge | Verdict | str | bool | None = None) -> Judgement:
        """Judge a trajectory and keep the verdict; a judge that abstains changes nothing.

        Parameters
        ----------
        by
            A verdict, or a judge; the bank's own where not given. A judge is shown the other trials of the task.

        Raises
        ------
        UnknownRecordError
            No trajectory has this id.
        JudgeError
            There is neither a verdict nor a judge, or the judge fails.
        """
        trajectory = self._trajectory(trajectory_id)
        judgement, name = self._judged(trajectory, by)
        if not judgement.abstained:
            with self.store.write():
                current = with_judgement(self._trajectory(trajectory_id), judgement)
                told = {**current.metadata, JUDGED_BY: name, REASON: judgement.reason}
                self.store.update(replace(current, metadata=told))
        return judgement

    def fit_judge(self, task_type: str | None = None, **settings: Any) -> LearnedJudge:
        """A judge fitted on the bank's judged trajectories; those that a learned judge has judged teach nothing.

        `settings` go to `LearnedJudge.fit`. Raises JudgeError where there is too little to learn from.
        """
        learned = LearnedJudge.__name__
        teaching = [each for each in self.trajectories(task_type) if each.metadata.get(JUDGED_BY) != learned]
        return LearnedJudge.fit(teaching, roles=self._roles, **settings)

    def trajectories(self, task_type: str | None = None) -> list[Trajectory]:
        """All trajectories of the tenant, the oldest first; archived ones too, which are evidence all the same."""
        return self._found(Trajectory, task_type, archived=None)

    def contrast(self, task_type: str, group: str) -> TrialsContrast:
        """What separates the trials of one task; see `contrast_trials`."""
        return contrast_trials([each for each in self.trajectories(task_type) if each.group == group], self._roles)

    def distil(self, task_type: str | None = None) -> DistillationReport:
        """Bring the patterns of one task type, or of all, abreast of the evidence.

        Run again without news it changes nothing. Safe beside other threads and processes that do the same.
        """
        names = [task_type] if task_type is not None else self._task_types()
        return DistillationReport(tuple(self._distil_one(name) for name in names))

    def patterns(
        self, task_type: str, situation: Mapping[str, Any] | str = "", k: int = 5, *, count_use: bool = True
    ) -> list[PatternHit]:
        """The k patterns of a task type that fit a situation best, the best first; retired ones never.

        Parameters
        ----------
        situation
            What is known: a mapping, against which conditions are checked and whose `task` is compared as text; or
            just the task in words.
        count_use
            Whether the hits count as used, which keeps them from being pruned.
        """
        if k < 1:
            raise ValueError(f"k must be at least 1, not {k}")
        state = {"task": situation} if isinstance(situation, str) else dict(situation)
        with self.store.read() as connection:
            heads = pattern_heads(connection, self.tenant, task_type)
            text = state.get("task")
            similar = self._similarities(connection, heads, text) if isinstance(text, str) and text else {}
            hits = rank(heads, state, similar, k)
            whole = self.store.get([hit.pattern.id for hit in hits])
        if count_use and hits:
            self.store.touch([hit.pattern.id for hit in hits], self._clock())
        return [replace(hit, pattern=each) for hit, each in zip(hits, whole, strict=True) if isinstance(each, Pattern)]

    def stats(self) -> BankStats:
        """What the bank holds, by task type."""
        return stats_of(self.trajectories(), self._found(Pattern, None, archived=None))

    def _judged(self, trajectory: Trajectory, by: Judge | Verdict | str | bool | None) -> tuple[Judgement, str]:
        by = self._judge if by is None else by
        if by is None:
            raise JudgeError("there is no verdict and this bank has no judge: give one, or make the bank with one")
        if isinstance(by, bool | str):
            verdict = Verdict(by) if isinstance(by, str) else Verdict.SUCCESS if by else Verdict.FAILURE
            chances = {Verdict.SUCCESS: 1.0, Verdict.FAILURE: 0.0, Verdict.UNKNOWN: 0.5}
            return Judgement(verdict, chances[verdict], "given"), "caller"
        return by.judge(trajectory, self._other_trials(trajectory)), type(by).__name__

    def _other_trials(self, trajectory: Trajectory) -> list[Trajectory]:
        if not trajectory.group:
            return []
        same = self.trajectories(trajectory.task_type)
        return [each for each in same if each.group == trajectory.group and each.id != trajectory.id]

    def _distil_one(self, task_type: str) -> TaskTypeChange:
        for _ in range(ATTEMPTS):
            known = self._found(Pattern, task_type, archived=None)
            distilled = distil_patterns(
                self.trajectories(task_type),
                known,
                self.settings,
                similarity=self._text_similarity if self.embedding else None,
                rephrase=self._rephrase,
                roles=self._roles,
            )
            vectors = self._embedded([pattern.text for pattern in distilled.added])
            added = self._written(task_type, known, distilled, vectors)
            if added is not None:
                return _change(task_type, distilled, added)
        raise AgentDBError(f"the patterns of {task_type} were changed by others {ATTEMPTS} times meanwhile: try again")

    def _written(
        self, task_type: str, known: Sequence[Pattern], distilled: Distilled, vectors: Vectors | None
    ) -> list[int] | None:
        """Ids of the new patterns once all is written; None, and nothing written, where others changed them meanwhile.

        Models are asked before the transaction and not in it, so that nobody waits for them.
        """
        with self.store.write():
            current = {pattern.id: pattern for pattern in self._found(Pattern, task_type, archived=None)}
            if [_evidence(each) for each in current.values()] != [_evidence(each) for each in known]:
                return None
            for pattern in distilled.changed:
                used = current[pattern.id]
                self.store.update(replace(pattern, access_count=used.access_count, last_access=used.last_access))
            return self.store.add(distilled.added, vectors)

    def _embedded(self, texts: Sequence[str]) -> Vectors | None:
        return None if self.embedding is None or not texts else self.embedding.embed(texts)

    def _text_similarity(self, texts: Sequence[str]) -> npt.NDArray[np.floating]:
        vectors = self._embedded(texts)
        assert vectors is not None
        return vectors @ vectors.T

    def _similarities(self, connection: sqlite3.Connection, heads: Sequence[Pattern], text: str) -> dict[int, float]:
        """Mean cosine similarity of the text to the likest tasks behind each pattern, or to the pattern's own words."""
        query = self._embedded([text])
        if query is None:
            return {}
        behind = newest_behind(connection, [pattern.id for pattern in heads], MOST_COMPARED)
        wanted = {pattern: ids or [pattern] for pattern, ids in behind.items()}
        ids = sorted({each for some in wanted.values() for each in some})
        ids = [each for each, has in zip(ids, self.store.has_vector(ids), strict=True) if has]
        similar = dict(zip(ids, self.store.vectors(ids) @ query[0], strict=True)) if ids else {}
        best = {
            pattern: sorted((similar[each] for each in some if each in similar), reverse=True)[:NEAREST]
            for pattern, some in wanted.items()
        }
        return {pattern: float(np.mean(values)) for pattern, values in best.items() if values}

    def _trajectory(self, trajectory_id: int) -> Trajectory:
        (record,) = self.store.get([trajectory_id])
        if not isinstance(record, Trajectory) or record.tenant != self.tenant:
            raise UnknownRecordError(f"record {trajectory_id} is no trajectory of tenant {self.tenant!r}")
        return record

    def _found(self, kind: type[T], task_type: str | None, archived: bool | None) -> list[T]:
        kinds = (Kind.TRAJECTORY if kind is Trajectory else Kind.PATTERN,)
        where = Filter(kinds=kinds, tenant=self.tenant, task_type=task_type, archived=archived)
        return [record for record in self.store.find(where, order="id") if isinstance(record, kind)]

    def _task_types(self) -> list[str]:
        with self.store.read() as connection:
            rows = connection.execute(
                "SELECT DISTINCT task_type FROM records WHERE tenant = ? AND task_type IS NOT NULL ORDER BY task_type",
                (self.tenant,),
            ).fetchall()
        return [name for (name,) in rows]


def _evidence(pattern: Pattern) -> Pattern:
    """The pattern without how often it was used, which no distillation rests on."""
    return replace(pattern, access_count=0, last_access=None)


def _change(task_type: str, distilled: Distilled, added: Sequence[int]) -> TaskTypeChange:
    return TaskTypeChange(
        task_type,
        distilled.tested,
        tuple(added),
        tuple(pattern.id for pattern in distilled.changed),
        distilled.retired,
        distilled.revived,
        distilled.merged,
        distilled.unchanged,
    )
