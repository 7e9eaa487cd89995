"""Measures judges on trajectories by cross-validation that keeps the trials of a task together.

Rows differ in what a judge may see of a held-out task: one trajectory alone; the other trials without their verdicts;
the other trials with them. Nothing of a held-out task is ever fitted on. No setting is chosen by these figures: the
penalty is chosen inside each training part, everything else is fixed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit

from lean_agentic.agentdb.action_roles import role_of
from lean_agentic.agentdb.judge_model import Evidence, JudgeModel, fit_model
from lean_agentic.agentdb.judge_stages import fit_stack, folds_by_group, odds_of
from lean_agentic.agentdb.learned_judge import LearnedJudge
from lean_agentic.agentdb.records import Trajectory, Verdict
from lean_agentic.agentdb.trials_agreement import writes
from lean_agentic.workbench.calibration import auc, auc_within, bootstrap_interval, calibration

Floats = npt.NDArray[np.float64]
BASE_RATE = "success rate of the other tasks"
RULE = "rule: changed nothing"
FEATURES = "logistic regression on features"
ALONE, TRIALS, VERDICTS = "learned: alone", "learned: with trials", "learned: with their verdicts"
MEMORY = "verdicts of the other trials alone"
SEES = {
    BASE_RATE: "nothing",
    RULE: "the trajectory",
    FEATURES: "the trajectory",
    ALONE: "the trajectory, verdicts of similar trajectories of other tasks",
    TRIALS: "and the other trials of its task, unjudged",
    VERDICTS: "and their verdicts",
    MEMORY: "verdicts of the other trials of its task",
}
"""What each judge sees of a held-out task."""


@dataclass(frozen=True)
class Predictions:
    """Probabilities of success by judge, from repeated cross-validation."""

    labels: Floats
    """(n,)"""
    groups: tuple[str, ...]
    folds: npt.NDArray[np.int64]
    """(repeats, n) fold in which each was held out."""
    chances: dict[str, Floats]
    """(repeats, n)"""


def predict(trajectories: Sequence[Trajectory], *, folds: int = 5, repeats: int = 5, seed: int = 0) -> Predictions:
    """Probabilities for every trajectory by judges fitted on the tasks of other folds.

    Parameters
    ----------
    trajectories
        All judged, with a group.
    repeats
        Splits into folds; figures are means over them.
    """
    groups = [trajectory.group for trajectory in trajectories]
    labels = np.array([float(each.verdict is Verdict.SUCCESS) for each in trajectories])
    chances = {name: np.empty((repeats, len(labels))) for name in SEES}
    split = np.array([folds_by_group(groups, folds, seed + repeat) for repeat in range(repeats)])
    for repeat, fold in enumerate(split):
        for each in range(folds):
            held = np.flatnonzero(fold == each)
            learned = [one for one, at in zip(trajectories, fold, strict=True) if at != each]
            for name, values in _judged(learned, trajectories, held, seed).items():
                chances[name][repeat, held] = values
    return Predictions(labels, tuple(groups), split, chances)


def _judged(
    learned: Sequence[Trajectory], trajectories: Sequence[Trajectory], held: npt.NDArray[np.intp], seed: int
) -> dict[str, Floats]:
    model = fit_model(learned, seed=seed)
    tested = [trajectories[at] for at in held]
    rate = float(np.mean([each.verdict is Verdict.SUCCESS for each in learned]))
    return {
        BASE_RATE: np.full(len(held), rate),
        RULE: np.array([0.25 if writes(each) else 0.75 for each in tested]),
        FEATURES: expit(model.first(model.columns.rows(tested, role_of))),
        ALONE: _learned(model, Evidence.ALONE, tested, trajectories),
        TRIALS: _learned(model, Evidence.TRIALS, tested, trajectories),
        VERDICTS: _learned(model, Evidence.VERDICTS, tested, trajectories),
        MEMORY: _remembered(learned, tested, trajectories),
    }


def _learned(
    model: JudgeModel, evidence: Evidence, tested: Sequence[Trajectory], trajectories: Sequence[Trajectory]
) -> Floats:
    judge = LearnedJudge(model, most=evidence)
    return np.array([judge.judge(each, _others(each, trajectories, evidence)).probability for each in tested])


def _others(trajectory: Trajectory, trajectories: Sequence[Trajectory], evidence: Evidence) -> list[Trajectory]:
    """The other trials of the task, stripped of what the judge may not see."""
    if evidence is Evidence.ALONE:
        return []
    others = [each for each in trajectories if each.group == trajectory.group and each is not trajectory]
    return others if evidence is Evidence.VERDICTS else [replace(each, verdict=Verdict.UNKNOWN) for each in others]


def _remembered(
    learned: Sequence[Trajectory], tested: Sequence[Trajectory], trajectories: Sequence[Trajectory]
) -> Floats:
    """Other trials' verdicts as shrunken log odds, calibrated on the tasks learned from."""
    labels = np.array([float(each.verdict is Verdict.SUCCESS) for each in learned])
    fitted = fit_stack(_memory_odds(learned, learned), labels)
    return np.asarray(expit(fitted(_memory_odds(tested, trajectories))))


def _memory_odds(tested: Sequence[Trajectory], trajectories: Sequence[Trajectory]) -> Floats:
    others = [_others(each, trajectories, Evidence.VERDICTS) for each in tested]
    won = [sum(trial.verdict is Verdict.SUCCESS for trial in trials) for trials in others]
    return odds_of(won, [len(trials) - n for trials, n in zip(others, won, strict=True)])[:, None]


def judge_table(predictions: Predictions, *, draws: int = 500) -> pd.DataFrame:
    """One row a judge: AUC and calibration error with intervals over tasks, and what a perfect judge would show."""
    rows = [_judge_row(name, predictions, draws) for name in predictions.chances]
    return pd.DataFrame(rows).set_index("judge")


def _judge_row(name: str, predictions: Predictions, draws: int) -> dict[str, object]:
    labels, chances = predictions.labels, predictions.chances[name]

    def mean_auc(rows: npt.NDArray[np.int64]) -> float:
        return float(np.mean([auc(labels[rows], each[rows]) for each in chances]))

    everything = np.arange(len(labels))
    within = [auc_within(labels, each, fold) for each, fold in zip(chances, predictions.folds, strict=True)]
    low, high = bootstrap_interval(predictions.groups, mean_auc, draws=draws)
    found = [calibration(labels, each) for each in chances]
    losses = -np.mean(labels * np.log(chances) + (1 - labels) * np.log(1 - chances))
    return {
        "judge": name,
        "sees of a held-out task": SEES[name],
        "auc": mean_auc(everything),
        "auc_low": low,
        "auc_high": high,
        "auc_within_folds": float(np.mean(within)),
        "ece": float(np.mean([each.error for each in found])),
        "ece_of_a_perfect_judge": float(np.mean([each.perfect for each in found])),
        "ece_excess": float(np.mean([each.excess for each in found])),
        "calibration_p": float(np.median([each.p_value for each in found])),
        "log_loss": float(losses),
        "tasks": len(set(predictions.groups)),
        "trajectories": len(labels),
    }


def abstention_table(
    predictions: Predictions, name: str = TRIALS, margins: Sequence[float] = (0.0, 0.1, 0.2, 0.3, 0.4)
) -> pd.DataFrame:
    """How many verdicts a judge gives, and how many are right, when it abstains within a margin of even chances."""
    labels, chances = predictions.labels, predictions.chances[name]
    rows = []
    for margin in margins:
        given = np.abs(chances - 0.5) >= margin
        right = (chances >= 0.5) == labels
        accuracy = float(right[given].mean()) if given.any() else float("nan")
        rows.append({"abstains_within": margin, "coverage": float(given.mean()), "accuracy": accuracy})
    return pd.DataFrame(rows)


def choice_table(predictions: Predictions, *, draws: int = 1000) -> pd.DataFrame:
    """Success rate when each task is answered by the trial that a judge finds best, beside that of a random trial."""
    return pd.DataFrame([_choice_row(name, predictions, draws) for name in (ALONE, TRIALS)]).set_index("judge")


def _choice_row(name: str, predictions: Predictions, draws: int) -> dict[str, object]:
    gains = np.mean([_gains(predictions, each) for each in predictions.chances[name]], axis=0)
    tasks = [str(at) for at in range(len(gains))]
    low, high = bootstrap_interval(tasks, lambda rows: float(gains[rows].mean()), draws=draws)
    return {"judge": name, "gain": float(gains.mean()), "gain_low": low, "gain_high": high, "tasks": len(tasks)}


def _gains(predictions: Predictions, chances: Floats) -> Floats:
    """(tasks,) success of the likeliest trial minus the mean over trials; ties are split."""
    groups = np.asarray(predictions.groups)
    gains = []
    for name in sorted(set(predictions.groups)):
        rows = np.flatnonzero(groups == name)
        best = chances[rows] == chances[rows].max()
        gains.append(predictions.labels[rows][best].mean() - predictions.labels[rows].mean())
    return np.array(gains)
