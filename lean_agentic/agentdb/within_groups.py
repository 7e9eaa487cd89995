"""Trials of one task compared with each other: whatever tasks differ in cannot enter.

With no covariates that vary within groups this is the mean of the groups' own differences, weighted by
treated x untreated / trials (the fixed-effects estimator). Covariates that do vary are partialled out first, by ridge
regressions within groups that never saw the group (Chernozhukov et al. 2018 for panels). Standard errors are
cluster-robust (CR2) with Bell & McCaffrey's (2002) degrees of freedom, which few or unequal groups need.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import t

from lean_agentic.agentdb.cross_fitting import cross_fitted, fold_of_rows
from lean_agentic.agentdb.ridge import fit_ridge
from lean_agentic.agentdb.stratification import Difference, p_value, tally

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
FOLDS = 5
SHUFFLES = 4999


@dataclass(frozen=True)
class GroupDifferences:
    """Differences between the arms of each informative group; arrays are (g,)."""

    used: Bools
    """(n,) rows in a group that has both arms."""
    differences: Floats
    weights: Floats
    """Inverse variances, up to a factor, for outcomes of one variance: treated x untreated / trials."""
    doubt: float
    """Variance of a single outcome that a binary outcome is given on top of what was seen: that of half a trial which
    differs from the others of its group. Outcomes that never differed do not prove that they never will."""

    def __len__(self) -> int:
        return len(self.differences)


def group_differences(groups: Ints, treated: Bools, outcome: Floats, columns: Floats | None = None) -> GroupDifferences:
    """Compare the arms within each group that has both.

    Parameters
    ----------
    groups : (n,) numbers from 0
    treated, outcome : (n,)
    columns : (n, p)
        Covariates to partial out; what does not vary within groups has no influence.
    """
    share, level = within(groups, treated.astype(np.float64)), within(groups, outcome)
    if columns is not None:
        share, level = _partialled(groups, share, level, columns)
    informative = tally(groups, treated) * tally(groups, ~treated) > 0
    used = informative[groups]
    weights = tally(groups[used], share[used] ** 2, len(informative))[informative]
    products = tally(groups[used], share[used] * level[used], len(informative))[informative]
    return GroupDifferences(used, products / weights, weights, _doubt(groups[used], outcome[used]))


def within(groups: Ints, values: Floats) -> Floats:
    """Values minus the mean of their group; (n,) or (n, p)."""
    sizes = np.bincount(groups)
    if values.ndim == 1:
        return values - (tally(groups, values) / sizes)[groups]
    return np.column_stack([within(groups, column) for column in values.T]) if values.shape[1] else values


def _partialled(groups: Ints, share: Floats, level: Floats, columns: Floats) -> tuple[Floats, Floats]:
    """What covariates that vary within groups do not predict of the action and of the outcome."""
    varied = within(groups, columns)
    spread = varied.std(axis=0)
    varied = varied[:, spread > 1e-9] / spread[spread > 1e-9]
    if not varied.shape[1]:
        return share, level
    folds = fold_of_rows(share, groups, min(FOLDS, len(np.unique(groups))), seed=0)
    residuals = []
    for values in (share, level):
        penalty = fit_ridge(varied, values, logistic=False).penalty
        left = values.copy()
        for fold, fit in enumerate(cross_fitted(varied, values, False, penalty, folds)):
            left[folds == fold] -= varied[folds == fold] @ fit.coefficients[1:]
        residuals.append(left)
    return residuals[0], residuals[1]


def _doubt(groups: Ints, outcome: Floats) -> float:
    degrees = max(len(outcome) - len(np.unique(groups)) - 1, 1)
    return 0.5 / (degrees + 1) if np.isin(outcome, (0.0, 1.0)).all() else 0.0


def within_difference(found: GroupDifferences, level: float) -> tuple[Difference, float]:
    """The weighted mean of the groups' differences, and its degrees of freedom."""
    total = float(found.weights.sum())
    uplift = float(found.weights @ found.differences) / total
    leverage = found.weights / total
    gaps = found.differences - uplift
    robust = float(np.sum(leverage**2 * gaps**2 / (1 - leverage)))
    degrees = _bell_mccaffrey(found.weights)
    error = float(np.sqrt(robust + found.doubt / total))
    half = float(t.ppf((1 + level) / 2, degrees)) * error
    return Difference(uplift, error, uplift - half, uplift + half, p_value(uplift, error, degrees)), degrees


def _bell_mccaffrey(weights: Floats) -> float:
    """Degrees of freedom of the CR2 variance of a weighted mean, where variances are inverse to the weights."""
    total = float(weights.sum())
    diagonal = weights / total**2 / (1 - weights / total)
    squares = weights**2 / total**2 / (1 - weights / total)
    # M = diag(diagonal) - u u' / total with u^2 = squares; degrees are (tr M)^2 / tr(M^2).
    trace = float(np.sum(diagonal) - np.sum(squares) / total)
    trace_of_square = float(
        np.sum(diagonal**2) - 2 * np.sum(diagonal * squares) / total + np.sum(squares) ** 2 / total**2
    )
    return trace**2 / trace_of_square


def permutation_p_value(
    groups: Ints, treated: Bools, outcome: Floats, seed: int = 0, shuffles: int = SHUFFLES
) -> float:
    """Two-sided p-value of no effect on any trial: the action is dealt out anew within each group.

    Exact up to Monte Carlo error whatever the number of groups (Fisher 1935).
    """
    _, index = np.unique(groups, return_inverse=True)
    level = within(index, outcome)
    observed = abs(float(level @ treated))
    order = np.argsort(index, kind="stable")
    taken, values = treated[order].astype(np.float64), level[order]
    keys = np.random.default_rng(seed).random((shuffles, len(order))) + index[order]
    # Ranks of random keys permute rows within their group, since groups occupy disjoint ranges.
    dealt = taken[np.argsort(keys, axis=1)]
    reached = np.abs(dealt @ values) >= observed - 1e-9
    return (1 + int(reached.sum())) / (1 + shuffles)
