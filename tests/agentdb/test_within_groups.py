from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest
from scipy.special import expit

from lean_agentic.agentdb.within_groups import (
    _bell_mccaffrey,
    group_differences,
    permutation_p_value,
    within,
    within_difference,
)


def trials(groups: int, size: int, effect: float, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Trials of tasks whose hidden ease moves both the action and a binary outcome."""
    rng = np.random.default_rng(seed)
    ease = rng.normal(size=groups) * 1.5
    index = np.repeat(np.arange(groups), size)
    treated = rng.random(len(index)) < expit(ease)[index]
    outcome = rng.random(len(index)) < 0.05 + 0.75 * expit(1.5 * ease)[index] + effect * treated
    return index, treated, outcome.astype(float)


def test_the_uplift_is_that_of_least_squares_with_a_dummy_for_each_group() -> None:
    groups, treated, outcome = trials(30, 5, 0.1, 0)
    dummies = (groups[:, None] == np.arange(30)).astype(float)
    coefficients = np.linalg.lstsq(np.column_stack([treated, dummies]), outcome, rcond=None)[0]
    found, _ = within_difference(group_differences(groups, treated, outcome), 0.95)
    assert found.uplift == pytest.approx(coefficients[0])


def test_groups_with_one_arm_say_nothing() -> None:
    groups = np.array([0, 0, 1, 1, 2, 2])
    treated = np.array([1, 0, 1, 1, 0, 0], bool)
    found = group_differences(groups, treated, np.array([1, 0, 1, 0, 1, 0.0]))
    assert found.used.tolist() == [True, True, False, False, False, False]
    assert (found.differences.tolist(), found.weights.tolist()) == ([1.0], [0.5])


def test_degrees_of_freedom_are_those_of_the_matrix_formula() -> None:
    """Bell & McCaffrey 2002 for a weighted mean, written out with matrices."""
    weights = np.array([0.5, 0.75, 1.0, 3.0, 0.2])
    total = weights.sum()
    annihilator = np.eye(5) - np.outer(np.ones(5), weights / total)
    columns = [annihilator[s] * weights[s] / total / np.sqrt(1 - weights[s] / total) for s in range(5)]
    middle = np.array(columns) @ np.diag(1 / weights) @ np.array(columns).T
    eigenvalues = np.linalg.eigvalsh(middle)
    assert _bell_mccaffrey(weights) == pytest.approx(eigenvalues.sum() ** 2 / np.sum(eigenvalues**2))
    assert _bell_mccaffrey(np.ones(9)) == pytest.approx(8)


def test_the_permutation_p_value_is_that_of_all_permutations() -> None:
    groups = np.repeat([0, 1, 2], 4)
    treated = np.array([1, 1, 0, 0, 1, 0, 0, 0, 1, 1, 1, 0], bool)
    outcome = np.array([1, 1, 0, 0, 1, 0, 1, 0, 1, 1, 0, 0.0])
    level = within(groups, outcome)
    observed = abs(level[treated].sum())
    choices = [
        [
            level[np.flatnonzero(groups == g)[list(which)]].sum()
            for which in combinations(range(4), treated[groups == g].sum())
        ]
        for g in range(3)
    ]
    exact = np.mean([abs(sum(dealt)) >= observed - 1e-9 for dealt in product(*choices)])
    assert permutation_p_value(groups, treated, outcome, shuffles=20_000) == pytest.approx(exact, abs=0.01)


def test_labels_of_groups_may_be_any_numbers() -> None:
    groups, treated, outcome = trials(8, 4, 0.0, 3)
    assert permutation_p_value(groups * 7 + 3, treated, outcome) == permutation_p_value(groups, treated, outcome)


def test_covariates_that_vary_within_groups_are_partialled_out() -> None:
    rng = np.random.default_rng(4)
    groups = np.repeat(np.arange(200), 5)
    x = rng.normal(size=1000)
    treated = rng.random(1000) < expit(1.5 * x)
    outcome = rng.normal(size=200)[groups] * 3 + 2 * x + 1.0 * treated + rng.normal(size=1000)
    raw, _ = within_difference(group_differences(groups, treated, outcome), 0.95)
    adjusted, _ = within_difference(group_differences(groups, treated, outcome, x[:, None]), 0.95)
    assert raw.uplift > 2
    assert adjusted.low < 1.0 < adjusted.high
    assert adjusted.high - adjusted.low < 0.4


def test_covariates_of_the_group_change_nothing() -> None:
    groups, treated, outcome = trials(30, 5, 0.1, 5)
    constant = np.random.default_rng(0).normal(size=30)[groups][:, None]
    plain = group_differences(groups, treated, outcome)
    assert group_differences(groups, treated, outcome, constant).differences == pytest.approx(plain.differences)


@pytest.mark.parametrize(("groups", "size"), [(25, 4), (60, 4), (20, 10)])
@pytest.mark.parametrize("effect", [0.0, 0.15])
def test_intervals_cover_a_planted_effect_that_hidden_ease_confounds(groups: int, size: int, effect: float) -> None:
    covered, rejected, naive = [], [], []
    for seed in range(700):
        index, treated, outcome = trials(groups, size, effect, seed)
        found = group_differences(index, treated, outcome)
        difference, _ = within_difference(found, 0.95)
        covered.append(difference.low <= effect <= difference.high)
        rejected.append(difference.p_value <= 0.05)
        naive.append(outcome[treated].mean() - outcome[~treated].mean() - effect)
    assert np.mean(naive) > 0.2
    assert 0.93 <= np.mean(covered) <= 0.98
    if effect == 0:
        assert np.mean(rejected) <= 0.07


def test_outcomes_that_never_differ_within_groups_do_not_give_a_point() -> None:
    groups = np.repeat(np.arange(10), 4)
    treated = np.tile([True, False, False, False], 10)
    found, _ = within_difference(group_differences(groups, treated, (groups % 2).astype(float)), 0.95)
    assert found.uplift == 0
    assert 0.05 < found.high < 0.3
    assert found.p_value == 1
