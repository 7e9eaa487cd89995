from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from lean_agentic.agentdb.propensity import clipping_bound, cross_fitted_propensity


def test_planted_chances_are_found() -> None:
    rng = np.random.default_rng(0)
    columns = rng.normal(size=(4000, 3))
    chance = expit(columns @ [1.0, -0.5, 0.0] - 0.5)
    treated = rng.random(4000) < chance
    found = cross_fitted_propensity([columns], treated, [np.arange(4000) % 5])
    assert np.abs(found - chance).mean() < 0.02


def test_a_row_never_sees_itself() -> None:
    rng = np.random.default_rng(1)
    columns = rng.normal(size=(400, 3))
    treated = rng.random(400) < expit(columns[:, 0])
    folds = np.arange(400) % 5
    before = cross_fitted_propensity([columns], treated, [folds])
    flipped = treated.copy()
    flipped[0] = ~flipped[0]
    after = cross_fitted_propensity([columns], flipped, [folds])
    assert after[folds == 0] == pytest.approx(before[folds == 0], abs=1e-12)
    assert not np.allclose(after[folds != 0], before[folds != 0], rtol=0, atol=1e-4)


def test_the_bound_is_the_published_one_and_never_above_a_tenth() -> None:
    assert clipping_bound(1000) == pytest.approx(5 / (np.sqrt(1000) * np.log(1000)))
    assert clipping_bound(50) == 0.1
    assert clipping_bound(1) == 0.1
