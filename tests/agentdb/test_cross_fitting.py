from __future__ import annotations

import numpy as np
import pytest

from lean_agentic.agentdb.cross_fitting import choose_description, cross_fitted, fold_of_rows
from lean_agentic.agentdb.ridge import fit_ridge


def test_clusters_stay_whole_and_labels_are_spread_evenly() -> None:
    rng = np.random.default_rng(0)
    clusters = rng.integers(0, 60, 300)
    labels = (rng.random(300) < 0.2).astype(float)
    folds = fold_of_rows(labels, clusters, 5, seed=1)
    for cluster in np.unique(clusters):
        assert len(np.unique(folds[clusters == cluster])) == 1
    assert set(folds) == set(range(5))
    assert np.ptp([labels[folds == fold].mean() for fold in range(5)]) < 0.15


def test_rows_on_their_own_are_spread_as_evenly_as_numbers_allow() -> None:
    labels = np.repeat([0.0, 1.0], [83, 17])
    folds = fold_of_rows(labels, np.arange(100), 5, seed=3)
    assert sorted(np.bincount(folds)) == [20] * 5
    assert set(np.bincount(folds[labels == 1])) == {3, 4}
    assert (folds != fold_of_rows(labels, np.arange(100), 5, seed=4)).any()


def test_more_folds_than_clusters_are_refused() -> None:
    with pytest.raises(ValueError, match="3 clusters cannot be spread over 5 folds"):
        fold_of_rows(np.zeros(9), np.repeat([0, 1, 2], 3), 5, seed=0)


def test_each_fit_has_seen_the_other_folds_only() -> None:
    rng = np.random.default_rng(2)
    columns, outcome, folds = rng.normal(size=(40, 2)), rng.normal(size=40), np.arange(40) % 4
    fits = cross_fitted(columns, outcome, False, 1.0, folds)
    for fold, fit in enumerate(fits):
        rest = folds != fold
        assert fit.coefficients == pytest.approx(fit_ridge(columns[rest], outcome[rest], False, (1.0,)).coefficients)


def test_the_description_that_explains_the_outcome_is_chosen() -> None:
    rng = np.random.default_rng(5)
    columns = rng.normal(size=(300, 2))
    squares = np.column_stack([columns, columns**2])
    bent = columns[:, 0] ** 2 + rng.normal(0, 0.1, 300)
    straight = columns[:, 0] + rng.normal(0, 0.1, 300)
    assert choose_description([columns, squares], bent, False)[0] == 1
    assert choose_description([columns, rng.normal(size=(300, 60))], straight, False)[0] == 0
