"""The chance of the action given what was known before it, for rows that the model never saw."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lean_agentic.agentdb.cross_fitting import choose_description, cross_fitted

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def cross_fitted_propensity(
    candidates: Sequence[Floats], treated: npt.NDArray[np.bool_], splits: Sequence[Ints]
) -> Floats:
    """(n,) chances of the action by logistic regression, each row predicted from the other folds.

    Parameters
    ----------
    candidates : each (n, p_i)
        Descriptions of the covariates; leave-one-out likelihood chooses among them.
    treated : (n,)
    splits : each (n,)
        Folds of the rows; predictions are averaged over splits, so that the luck of one does not decide.
    """
    outcome = treated.astype(np.float64)
    index, penalty = choose_description(candidates, outcome, True)
    columns = candidates[index]
    chance = np.zeros(len(treated))
    for folds in splits:
        for fold, fit in enumerate(cross_fitted(columns, outcome, True, penalty, folds)):
            chance[folds == fold] += fit.predict(columns[folds == fold]) / len(splits)
    return chance


def clipping_bound(n: int) -> float:
    """Chances below this bound (or above one minus it) are moved to it: 5 / (sqrt(n) ln n), Gruber et al. 2022.

    A single row then weighs at most sqrt(n) ln n / 5. Never above .1, where few rows would make it so.
    """
    return min(0.1, 5 / (np.sqrt(n) * np.log(n))) if n > 1 else 0.1
