"""Predictions for each row by models that never saw it nor any row of its cluster.

Chernozhukov et al. 2018: with nuisance models fitted on other folds, their overfitting does not leak into the effect.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lean_agentic.agentdb.ridge import RidgeFit, fit_ridge

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def fold_of_rows(labels: Floats, clusters: Ints, folds: int, seed: int) -> Ints:
    """The fold of each row: clusters stay whole, labels are spread evenly.

    Clusters in random order, then sorted by their mean label, are dealt out like cards.

    Parameters
    ----------
    labels, clusters : (n,)

    Raises
    ------
    ValueError
        There are fewer clusters than folds.
    """
    _, index = np.unique(clusters, return_inverse=True)
    sizes = np.bincount(index)
    if len(sizes) < folds:
        raise ValueError(f"{len(sizes)} clusters cannot be spread over {folds} folds")
    shuffled = np.random.default_rng(seed).permutation(len(sizes))
    means = np.bincount(index, labels) / sizes
    order = shuffled[np.argsort(means[shuffled], kind="stable")]
    fold_of_cluster = np.empty(len(sizes), np.int64)
    fold_of_cluster[order] = np.arange(len(sizes)) % folds
    return fold_of_cluster[index]


def choose_description(candidates: Sequence[Floats], outcome: Floats, logistic: bool) -> tuple[int, float]:
    """Of several descriptions of the rows, the one that predicts left-out rows best, and with which penalty.

    Chosen once, on all rows: only coefficients need to be kept from the rows that they are used on.

    Parameters
    ----------
    candidates : each (n, p_i)
    outcome : (n,)
    """
    fits = [fit_ridge(columns, outcome, logistic) for columns in candidates]
    best = min(range(len(fits)), key=lambda index: fits[index].loss)
    return best, fits[best].penalty


def cross_fitted(columns: Floats, outcome: Floats, logistic: bool, penalty: float, folds: Ints) -> list[RidgeFit]:
    """One fit for each fold, in ascending order of folds, made from the rows of all others."""
    return [
        fit_ridge(columns[folds != fold], outcome[folds != fold], logistic, (penalty,)) for fold in np.unique(folds)
    ]
