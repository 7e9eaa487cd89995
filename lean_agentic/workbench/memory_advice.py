"""Measures what patterns distilled from some tasks are worth on others: would following them have changed the choice?

For each fold of tasks a bank learns from the other folds and is asked for patterns, task by task. A held-out trajectory
is scored by how far it did what they say. Across tasks that score also tells easy tasks from hard ones; only the pairs
of a success and a failure of the same task, and the choice among the trials of a task, tell whether advice would help.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from lean_agentic.agentdb.contrast import MiningSettings
from lean_agentic.agentdb.embedding import Embedding
from lean_agentic.agentdb.judge_stages import folds_by_group
from lean_agentic.agentdb.pattern_records import move_of
from lean_agentic.agentdb.pattern_search import PatternHit
from lean_agentic.agentdb.reasoning_bank import ReasoningBank
from lean_agentic.agentdb.records import Trajectory, Verdict
from lean_agentic.agentdb.store import Store
from lean_agentic.workbench.calibration import auc, bootstrap_interval

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
WITHIN = "within tasks"
HINTS = "within tasks, half may be chance"
ACROSS = "across tasks"
SETTINGS = {
    WITHIN: MiningSettings(),
    HINTS: MiningSettings(false_discoveries=0.5),
    ACROSS: MiningSettings(within_tasks=False),
}
"""How patterns are mined: as the bank does it, less strictly, and naively, with the difficulty of tasks in it."""


@dataclass(frozen=True)
class Advice:
    """How far held-out trajectories did what retrieved patterns say."""

    labels: Floats
    """(n,)"""
    groups: tuple[str, ...]
    followed: Floats
    """(n,) from -1, against all advice, to 1; NaN where none applied. Mean over repeats."""
    against: Floats
    """(n,) share of repeats in which a trajectory went against advice: where it would have changed the choice."""
    patterns: float
    """In use, a fold."""


def advise(
    trajectories: Sequence[Trajectory],
    settings: MiningSettings,
    embedding: Embedding | None = None,
    *,
    k: int = 5,
    folds: int = 5,
    repeats: int = 3,
    seed: int = 0,
) -> Advice:
    """Score every trajectory by patterns from tasks of other folds.

    Parameters
    ----------
    k
        Patterns asked for.
    """
    groups = [trajectory.group for trajectory in trajectories]
    scores = np.full((repeats, len(groups)), np.nan)
    counts = []
    for repeat in range(repeats):
        fold = folds_by_group(groups, folds, seed + repeat)
        for each in range(folds):
            learned = [one for one, at in zip(trajectories, fold, strict=True) if at != each]
            held = np.flatnonzero(fold == each)
            found, count = _scored(learned, [trajectories[int(at)] for at in held], settings, embedding, k)
            scores[repeat, held] = found
            counts.append(count)
    labels = np.array([float(each.verdict is Verdict.SUCCESS) for each in trajectories])
    applied = np.isfinite(scores)
    mean = np.where(applied.any(axis=0), np.nansum(scores, axis=0) / np.maximum(applied.sum(axis=0), 1), np.nan)
    return Advice(labels, tuple(groups), mean, np.mean(np.nan_to_num(scores) < 0, axis=0), float(np.mean(counts)))


def _scored(
    learned: Sequence[Trajectory],
    held: Sequence[Trajectory],
    settings: MiningSettings,
    embedding: Embedding | None,
    k: int,
) -> tuple[list[float], int]:
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder) / "bank.db") as store:
        bank = ReasoningBank(store, embedding, settings=settings)
        bank.track_all([replace(each, id=0) for each in learned])
        bank.distil()
        hits = {
            task: bank.patterns(held[0].task_type, task, k, count_use=False) for task in {each.task for each in held}
        }
        return [adherence(each, hits[each.task]) for each in held], bank.stats().patterns


def adherence(trajectory: Trajectory, hits: Sequence[PatternHit]) -> float:
    """How far a trajectory did what patterns say, weighted by their scores: -1 to 1, NaN where none applied."""
    said = weight = 0.0
    for hit in hits:
        move = move_of(hit.pattern)
        followed = None if move is None else move.followed(trajectory)
        if followed is not None:
            weight += hit.score
            said += hit.score if followed is not hit.pattern.avoid else -hit.score
    return said / weight if weight else float("nan")


def advice_table(
    trajectories: Sequence[Trajectory], embedding: Embedding | None = None, *, repeats: int = 3, draws: int = 1000
) -> pd.DataFrame:
    """One row a way of mining: what its patterns say of held-out tasks, with intervals over tasks."""
    rows = [
        _row(name, advise(trajectories, settings, embedding, repeats=repeats), draws)
        for name, settings in SETTINGS.items()
    ]
    return pd.DataFrame(rows).set_index("patterns mined")


def _row(name: str, advice: Advice, draws: int) -> dict[str, object]:
    row: dict[str, object] = {
        "patterns mined": name,
        "patterns": advice.patterns,
        "advised": float(np.isfinite(advice.followed).mean()),
        "would change": float(advice.against.mean()),
    }
    for what, measure in MEASURES.items():
        row |= _measured(what, measure, advice, draws)
    return row


def _measured(what: str, measure: Callable[[Drawn], float], advice: Advice, draws: int) -> dict[str, float]:
    low, high = bootstrap_interval(advice.groups, lambda rows: measure(_drawn(advice, rows)), draws=draws)
    seen = measure(_drawn(advice, np.arange(len(advice.labels))))
    return {what: seen, f"{what} low": low, f"{what} high": high}


@dataclass(frozen=True)
class Drawn:
    """Rows of a bootstrap draw; a task drawn twice is two tasks."""

    labels: Floats
    followed: Floats
    """0 where no advice applied: neither for nor against."""
    tasks: Ints


def _drawn(advice: Advice, rows: Ints) -> Drawn:
    times: Counter[int] = Counter()
    seen: dict[tuple[str, int], int] = {}
    tasks = []
    for at in rows.tolist():
        times[at] += 1
        tasks.append(seen.setdefault((advice.groups[at], times[at]), len(seen)))
    return Drawn(advice.labels[rows], np.nan_to_num(advice.followed[rows]), np.array(tasks, np.int64))


def across_tasks(drawn: Drawn) -> float:
    """AUC of adherence for success: tells easy tasks from hard ones too."""
    return auc(drawn.labels, drawn.followed)


def within_tasks(drawn: Drawn) -> float:
    """Share of pairs of a success and a failure of one task in which the success did more of what was advised.

    Ties count half: .5 is what advice without any worth gives.
    """
    won = pairs = 0.0
    for task in np.unique(drawn.tasks):
        inside = drawn.tasks == task
        good = drawn.followed[inside & (drawn.labels == 1)]
        bad = drawn.followed[inside & (drawn.labels == 0)]
        won += float(np.sum((good[:, None] > bad) + 0.5 * (good[:, None] == bad)))
        pairs += len(good) * len(bad)
    return won / pairs if pairs else float("nan")


def gain_of_choice(drawn: Drawn) -> float:
    """Success rate of the trial of each task that did most of what was advised, minus that of a random trial."""
    gains = []
    for task in np.unique(drawn.tasks):
        inside = drawn.tasks == task
        best = drawn.followed[inside] == drawn.followed[inside].max()
        gains.append(drawn.labels[inside][best].mean() - drawn.labels[inside].mean())
    return float(np.mean(gains))


MEASURES: dict[str, Callable[[Drawn], float]] = {
    "auc across tasks": across_tasks,
    "concordance within tasks": within_tasks,
    "gain of choice": gain_of_choice,
}
