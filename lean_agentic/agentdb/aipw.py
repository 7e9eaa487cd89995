"""Augmented inverse propensity weighting: doubly robust, cross-fitted, with intervals from influence functions.

Robins, Rotnitzky & Zhao 1994; cross-fitting after Chernozhukov et al. 2018. The estimate is consistent when either the
propensity or the outcome model is right; its standard error is that of the mean of one score a row, clustered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lean_agentic.agentdb.cross_fitting import fold_of_rows
from lean_agentic.agentdb.outcome_model import cross_fitted_outcomes
from lean_agentic.agentdb.propensity import clipping_bound, cross_fitted_propensity

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
REPEATS = 3
"""Splits into folds that predictions are averaged over."""


@dataclass(frozen=True)
class AipwFit:
    """Scores whose mean is the effect."""

    scores: Floats
    """(n,)"""
    chance: Floats
    """(n,) estimated chances of the action before clipping."""
    bound: float
    """Chances were clipped to [bound, 1 - bound]."""

    @property
    def clipped(self) -> Bools:
        """(n,) rows whose chance was moved."""
        return (self.chance < self.bound) | (self.chance > 1 - self.bound)


def fit_aipw(
    candidates: Sequence[Floats], treated: Bools, outcome: Floats, clusters: Ints, folds: int = 5, seed: int = 0
) -> AipwFit:
    """Scores of the effect of a binary action.

    Parameters
    ----------
    candidates : each (n, p_i)
        Descriptions of the covariates to choose from.
    treated, outcome, clusters : (n,)
    folds
        At most the number of clusters.
    """
    splits = [fold_of_rows(treated.astype(np.float64), clusters, folds, seed + repeat) for repeat in range(REPEATS)]
    chance = cross_fitted_propensity(candidates, treated, splits)
    taken, left = cross_fitted_outcomes(candidates, treated, outcome, splits)
    bound = clipping_bound(len(treated))
    kept = np.clip(chance, bound, 1 - bound)
    weight = np.where(treated, _normalised(treated / kept), -_normalised(~treated / (1 - kept)))
    return AipwFit(taken - left + weight * (outcome - np.where(treated, taken, left)), chance, bound)


def _normalised(weights: Floats) -> Floats:
    # Weights that average to one (Hajek) are steadier than ones that do so only in expectation.
    return np.asarray(weights / weights.mean(), np.float64)


def effective_rows(chance: Floats, treated: Bools, bound: float) -> tuple[float, float]:
    """Rows with and without the action, counted by their weights: (sum w)^2 / sum w^2 (Kish 1965)."""
    kept = np.clip(chance, bound, 1 - bound)
    with_action, without = 1 / kept[treated], 1 / (1 - kept[~treated])
    return _kish(with_action), _kish(without)


def _kish(weights: Floats) -> float:
    return float(weights.sum() ** 2 / np.sum(weights**2))


def clustered_standard_error(scores: Floats, clusters: Ints) -> float:
    """Standard error of the mean of scores, rows of a cluster taken together."""
    _, index = np.unique(clusters, return_inverse=True)
    sums = np.bincount(index, scores - scores.mean())
    count = len(sums)
    return float(np.sqrt(count / (count - 1) * np.sum(sums**2)) / len(scores))
