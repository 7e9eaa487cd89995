"""What a learned judge learns: two regressions, and the trajectories it learned from.

The first is a logistic regression on what one trajectory shows (`judge_columns`). The second weighs, by a small
logistic regression fitted on predictions for tasks the first had not seen, its log odds beside those of the nearest
trajectories of other tasks, the agreement with other trials of the same task (which needs no verdicts), and those
trials' verdicts where they have some. The second is the calibration too: its few weights shrink what the first
overstates (stacking, Wolpert 1992; Platt 1999). All folds keep the trials of a task together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from lean_agentic.agentdb import judge_stages as stages
from lean_agentic.agentdb.action_roles import RoleOf, role_of
from lean_agentic.agentdb.judge_columns import Columns, settle_columns
from lean_agentic.agentdb.judge_stages import LogOdds
from lean_agentic.agentdb.judges import JudgeError, success_probability
from lean_agentic.agentdb.records import Trajectory, Verdict
from lean_agentic.agentdb.trials_agreement import agreement

Floats = npt.NDArray[np.float64]
LEAST_GROUPS = 4
"""Tasks needed to learn from, so that each is predicted from several others."""


class Evidence(StrEnum):
    """What a judgement rests on."""

    ALONE = "alone"
    """The trajectory, and those of other tasks."""
    TRIALS = "trials"
    """Other trials of the same task as well, without their verdicts."""
    VERDICTS = "verdicts"
    """And those of their verdicts that are known."""


@dataclass(frozen=True)
class JudgeModel:
    """What a judge has learned; plain arrays and names."""

    columns: Columns
    first: LogOdds
    stacks: Mapping[Evidence, LogOdds]
    """Of the evidence that there was enough of to learn from."""
    known: Floats
    """(m, p) the rows learned from, on the scale of the first stage."""
    labels: Floats
    """(m,) 1 for success."""
    groups: tuple[str, ...]
    """Task of each, as `task_key` names it."""
    penalty: float


def task_key(trajectory: Trajectory, place: int) -> str:
    """What the trials of one task share; a trajectory without a group is a task of its own, told by its place."""
    if not trajectory.group:
        return f"{trajectory.task_type}\0\0{trajectory.id or place}"
    return f"{trajectory.task_type}\0{trajectory.group}"


def evidence_row(
    trajectory: Trajectory, trials: Sequence[Trajectory], evidence: Evidence, roles: RoleOf = role_of
) -> Floats:
    """The columns of the second stage that other trials give: agreement, and log odds by their verdicts."""
    if evidence is Evidence.ALONE:
        return np.empty(0)
    agreeing = agreement(trajectory, trials, roles)
    if evidence is Evidence.TRIALS:
        return np.array(agreeing)
    chances = [chance for trial in trials if (chance := success_probability(trial)) is not None]
    return np.array([*agreeing, float(stages.odds_of(sum(chances), len(chances) - sum(chances)))])


def fit_model(trajectories: Sequence[Trajectory], roles: RoleOf = role_of, seed: int = 0) -> JudgeModel:
    """Fit both stages on the trajectories that have a verdict; their order does not matter.

    Raises JudgeError where there are too few tasks, or only successes, or only failures.
    """
    judged = sorted((each for each in trajectories if each.verdict is not Verdict.UNKNOWN), key=_place)
    groups = [task_key(trajectory, place) for place, trajectory in enumerate(judged)]
    labels = np.array([float(each.verdict is Verdict.SUCCESS) for each in judged])
    _require_enough(groups, labels)
    columns = settle_columns(judged, groups, roles)
    rows = columns.rows(judged, roles)
    fold = stages.folds_by_group(groups, min(stages.MOST_FOLDS, len(set(groups))), seed)
    penalty, unseen = stages.choose_penalty(rows, labels, fold)
    first = stages.fit_log_odds(rows, labels, penalty)
    known = first.standard(rows)
    own = np.column_stack([unseen, stages.nearby_odds(known, groups, known, labels, groups)])
    stacks = _fit_stacks(judged, groups, own, labels, roles)
    return JudgeModel(columns, first, stacks, known, labels, tuple(groups), penalty)


def _fit_stacks(
    judged: Sequence[Trajectory], groups: Sequence[str], own: Floats, labels: Floats, roles: RoleOf
) -> dict[Evidence, LogOdds]:
    stacks = {Evidence.ALONE: stages.fit_stack(own, labels)}
    trials = _other_trials(judged, groups)
    with_trials = [place for place, others in enumerate(trials) if others]
    enough = len({groups[place] for place in with_trials}) >= LEAST_GROUPS and np.ptp(labels[with_trials]) > 0
    for evidence in (Evidence.TRIALS, Evidence.VERDICTS) if enough else ():
        extra = [evidence_row(judged[place], trials[place], evidence, roles) for place in with_trials]
        stacks[evidence] = stages.fit_stack(np.column_stack([own[with_trials], np.array(extra)]), labels[with_trials])
    return stacks


def _other_trials(judged: Sequence[Trajectory], groups: Sequence[str]) -> list[list[Trajectory]]:
    members: dict[str, list[int]] = {}
    for place, group in enumerate(groups):
        members.setdefault(group, []).append(place)
    return [[judged[other] for other in members[group] if other != place] for place, group in enumerate(groups)]


def own_evidence(model: JudgeModel, rows: Floats, groups: Sequence[str]) -> Floats:
    """(n, 2) log odds of the first stage, and by nearby trajectories of other tasks."""
    near = stages.nearby_odds(model.first.standard(rows), groups, model.known, model.labels, model.groups)
    return np.column_stack([model.first(rows), near])


def _require_enough(groups: Sequence[str], labels: Floats) -> None:
    tasks = len(set(groups))
    if tasks < LEAST_GROUPS or labels.min(initial=1) == labels.max(initial=0):
        raise JudgeError(
            f"a judge learns from successes and failures of at least {LEAST_GROUPS} tasks; got {int(labels.sum())} "
            f"successes and {int(len(labels) - labels.sum())} failures of {tasks} tasks: judge more by rule or by hand"
        )


def _place(trajectory: Trajectory) -> tuple[str, str, int, str]:
    # A fixed order makes the fit the same, to the last bit, whatever the order of what is passed.
    return trajectory.task_type, trajectory.group, trajectory.id, repr(trajectory.steps)
