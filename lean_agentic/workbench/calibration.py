"""How well probabilities rank and how far they can be believed, with what chance alone does to the figures.

The expected calibration error of a finite sample is never 0, not even for a perfect judge: bins scatter. So beside the
error stands what a perfect judge with the same probabilities would show. Intervals resample whole tasks, whose trials
resemble each other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
BINS = 10


@dataclass(frozen=True)
class Calibration:
    """Expected calibration error beside chance."""

    error: float
    perfect: float
    """Mean error of a perfect judge with the same probabilities, labels independent."""
    perfect_high: float
    """Its 95th percentile."""
    p_value: float
    """Share of perfect judges with at least this error."""

    @property
    def excess(self) -> float:
        """What chance does not explain."""
        return self.error - self.perfect


def auc(labels: Floats, scores: Floats) -> float:
    """Area under the ROC curve, ties counting half; NaN without both classes."""
    wins = float(labels.sum())
    losses = len(labels) - wins
    if not wins or not losses:
        return float("nan")
    return float((rankdata(scores)[labels == 1].sum() - wins * (wins + 1) / 2) / (wins * losses))


def auc_within(labels: Floats, scores: Floats, parts: Ints) -> float:
    """AUC over the pairs of a success and a failure of the same part.

    Scores of different folds come from different models; one that learned from fewer successes gives lower chances to
    more of them, which counts against it where folds are compared with each other.
    """
    won = pairs = 0.0
    for part in np.unique(parts):
        inside = parts == part
        count = float(labels[inside].sum()) * float((1 - labels[inside]).sum())
        if count:
            won += count * auc(labels[inside], scores[inside])
            pairs += count
    return won / pairs if pairs else float("nan")


def calibration_error(labels: Floats, chances: Floats, bins: int = BINS) -> float:
    """Mean gap of frequency and probability over bins of equal mass, weighted by size."""
    order = np.argsort(chances, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    return float(sum(len(part) * abs(labels[part].mean() - chances[part].mean()) for part in parts) / len(labels))


def calibration(labels: Floats, chances: Floats, *, bins: int = BINS, draws: int = 400, seed: int = 0) -> Calibration:
    """The calibration error, and what perfect judges with these probabilities show."""
    rng = np.random.default_rng(seed)
    perfect = [
        calibration_error((rng.random(len(chances)) < chances).astype(np.float64), chances, bins) for _ in range(draws)
    ]
    error = calibration_error(labels, chances, bins)
    reached = (1 + sum(each >= error for each in perfect)) / (1 + draws)
    return Calibration(error, float(np.mean(perfect)), float(np.quantile(perfect, 0.95)), reached)


def bootstrap_interval(
    groups: Sequence[str], statistic: Callable[[Ints], float], *, draws: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """95% interval of a statistic of rows, whole groups drawn with replacement.

    Parameters
    ----------
    groups : (n,)
    statistic
        From the drawn rows' numbers (a row may occur more than once) to a number; draws that give NaN are left out.
    """
    rows_of = [np.flatnonzero(np.asarray(groups) == name) for name in sorted(set(groups))]
    rng = np.random.default_rng(seed)
    values = [
        statistic(np.concatenate([rows_of[at] for at in rng.integers(0, len(rows_of), len(rows_of))]))
        for _ in range(draws)
    ]
    finite = np.array(values)[np.isfinite(values)]
    if not len(finite):
        return float("nan"), float("nan")
    low, high = np.quantile(finite, (0.025, 0.975))
    return float(low), float(high)
