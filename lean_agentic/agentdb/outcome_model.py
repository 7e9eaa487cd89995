"""The expected outcome with and without the action, for rows that the model never saw."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lean_agentic.agentdb.cross_fitting import choose_description, cross_fitted

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
BothArms = tuple[Floats, Floats]


def cross_fitted_outcomes(
    candidates: Sequence[Floats], treated: npt.NDArray[np.bool_], outcome: Floats, splits: Sequence[Ints]
) -> BothArms:
    """(n,) expected outcomes had the action been taken, and had it not.

    One regression holds the covariates, the action and their products, so that the arms share what they have in common
    and the penalty keeps a small arm from going its own way. Logistic where the outcome is 0 or 1, linear otherwise.
    Parameters as those of `propensity.cross_fitted_propensity`.
    """
    logistic = bool(np.isin(outcome, (0.0, 1.0)).all())
    share = float(treated.mean())
    arm = treated.astype(np.float64) - share
    observed = [with_action(columns, arm) for columns in candidates]
    index, penalty = choose_description(observed, outcome, logistic)
    taken = with_action(candidates[index], np.full(len(treated), 1 - share))
    left = with_action(candidates[index], np.full(len(treated), -share))
    first, second = np.zeros(len(treated)), np.zeros(len(treated))
    for folds in splits:
        for fold, fit in enumerate(cross_fitted(observed[index], outcome, logistic, penalty, folds)):
            held_out = folds == fold
            first[held_out] += fit.predict(taken[held_out]) / len(splits)
            second[held_out] += fit.predict(left[held_out]) / len(splits)
    return first, second


def with_action(columns: Floats, arm: Floats) -> Floats:
    """Covariates, the action on the scale of a standardised column, and their products: (n, 2 p + 1)."""
    spread = 2 * arm[:, None]
    return np.column_stack([columns, spread, columns * spread])
