from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from lean_agentic.agentdb.outcome_model import cross_fitted_outcomes, with_action


@pytest.mark.parametrize("binary", [False, True])
def test_planted_outcomes_of_both_arms_are_found(binary: bool) -> None:
    rng = np.random.default_rng(0)
    columns = rng.normal(size=(6000, 2))
    treated = rng.random(6000) < expit(columns[:, 0])
    taken, left = columns @ [1.0, 0.5] + 1.0, columns @ [0.5, -0.5]
    if binary:
        taken, left = expit(taken), expit(left)
        outcome = (rng.random(6000) < np.where(treated, taken, left)).astype(float)
    else:
        outcome = np.where(treated, taken, left) + rng.normal(size=6000)
    first, second = cross_fitted_outcomes([columns], treated, outcome, [np.arange(6000) % 5])
    assert np.abs(first - taken).mean() < 0.05
    assert np.abs(second - left).mean() < 0.05


def test_splits_are_averaged() -> None:
    rng = np.random.default_rng(2)
    columns, treated, outcome = rng.normal(size=(90, 2)), rng.random(90) < 0.5, rng.normal(size=90)
    one, other = np.arange(90) % 5, np.arange(90)[::-1] % 3
    both = cross_fitted_outcomes([columns], treated, outcome, [one, other])
    apart = [cross_fitted_outcomes([columns], treated, outcome, [split]) for split in (one, other)]
    assert both[0] == pytest.approx((apart[0][0] + apart[1][0]) / 2)
    assert both[1] == pytest.approx((apart[0][1] + apart[1][1]) / 2)


def test_the_action_enters_by_itself_and_with_each_covariate() -> None:
    columns = np.array([[1.0, 2.0], [3.0, 4.0]])
    assert with_action(columns, np.array([0.5, -0.5])) == pytest.approx(np.array([[1, 2, 1, 1, 2], [3, 4, -1, -3, -4]]))
