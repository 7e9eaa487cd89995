from __future__ import annotations

import numpy as np
import pytest

from lean_agentic.agentdb import overlap
from lean_agentic.agentdb.aipw import AipwFit
from lean_agentic.agentdb.effect_estimate import Refusal
from lean_agentic.agentdb.stratification import strata_of
from lean_agentic.agentdb.within_groups import group_differences


def arms(treated: int, untreated: int) -> np.ndarray:
    return np.repeat([True, False], [treated, untreated])


def test_arms_are_checked() -> None:
    varied = np.arange(20.0)
    assert overlap.arms_problem(arms(10, 10), varied) is None
    problem = overlap.arms_problem(arms(20, 0), varied)
    assert problem is not None
    assert problem[0] is Refusal.ONE_ARM
    problem = overlap.arms_problem(arms(4, 16), varied)
    assert problem == (Refusal.TOO_FEW, "4 rows with the action and 16 without; at least 5 of each are needed")
    problem = overlap.arms_problem(arms(10, 10), np.ones(20))
    assert problem is not None
    assert problem[0] is Refusal.CONSTANT_OUTCOME


def test_groups_are_checked() -> None:
    groups = np.repeat(np.arange(10), 2)
    outcome = np.arange(20.0)
    for informative, refusal in ((6, None), (5, Refusal.TOO_FEW), (1, Refusal.NO_OVERLAP)):
        treated = np.array([group < informative and trial for group in range(10) for trial in (False, True)])
        problem = overlap.groups_problem(group_differences(groups, treated, outcome), 10)
        assert (problem and problem[0]) == refusal
    assert problem is not None
    assert "in 1 of 10 groups" in problem[1]


def test_strata_are_checked() -> None:
    labels = np.repeat([0, 1], [4, 6])
    treated = np.array([1, 1, 0, 0, 1, 1, 1, 1, 1, 1], bool)
    problem = overlap.strata_problem(strata_of(labels, treated, np.arange(10.0)))
    assert problem is not None
    assert problem[0] is Refusal.NO_OVERLAP
    assert "only 40%" in problem[1]


def test_models_need_rows_and_clusters() -> None:
    assert overlap.model_problem(arms(20, 20), np.arange(40)) is None
    problem = overlap.model_problem(arms(19, 40), np.arange(59))
    assert problem is not None
    assert problem[0] is Refusal.TOO_FEW
    problem = overlap.model_problem(arms(20, 20), np.repeat(np.arange(10), 4))
    assert problem is not None
    assert "lies in 5 clusters" in problem[1]


def test_certain_actions_leave_no_overlap() -> None:
    treated = arms(50, 50)
    for certain, refused in ((0.1, False), (0.5, True)):
        chance = np.full(100, 0.5)
        chance[: int(100 * certain)] = 0.999
        fit = AipwFit(np.zeros(100), chance, 0.1)
        problem = overlap.propensity_problem(fit, overlap.overlap_of_model(fit, treated))
        assert (problem is not None) == refused


def test_few_rows_that_carry_all_weight_leave_no_overlap() -> None:
    chance = np.full(60, 0.5)
    chance[0] = 0.002
    fit = AipwFit(np.zeros(60), chance, 0.001)
    problem = overlap.propensity_problem(fit, overlap.overlap_of_model(fit, arms(30, 30)))
    assert problem is not None
    assert "effective rows" in problem[1]


def test_an_interval_wider_than_outcomes_differ_says_nothing() -> None:
    binary = np.array([0.0, 1.0])
    assert overlap.interval_problem(-0.4, 0.5, binary) is None
    assert overlap.interval_problem(-0.5, 0.6, binary) is not None
    numbers = np.linspace(0, 100, 1001)
    assert overlap.interval_problem(-40, 50, numbers) is None
    assert overlap.interval_problem(-40, 60, numbers) is not None


def test_the_overlap_of_strata_counts_rows_by_weight() -> None:
    labels = np.repeat([0, 1, 2], 4)
    treated = np.array([1, 0, 0, 0, 1, 1, 0, 0, 1, 1, 1, 1], bool)
    found = overlap.overlap_of_strata(labels, treated, labels < 2)
    assert (found.rows, found.left_out, found.least, found.most) == (8, 4, 0.25, 0.5)
    assert found.effective_treated == pytest.approx((4 + 2 + 2) ** 2 / (16 + 4 + 4))
    assert found.effective_untreated == pytest.approx((3 * 4 / 3 + 2 * 2) ** 2 / (3 * 16 / 9 + 2 * 4))
