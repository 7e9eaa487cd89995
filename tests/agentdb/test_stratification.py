from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ttest_ind

from lean_agentic.agentdb.stratification import (
    clustered_difference,
    p_value,
    strata_of,
    stratified_difference,
    tally,
)


def test_by_hand() -> None:
    """Two strata: 2 of 3 against 1 of 2, and 1 of 2 against 0 of 3; weights are half and half."""
    labels = np.repeat([0, 1], 5)
    treated = np.array([1, 1, 1, 0, 0, 1, 1, 0, 0, 0], bool)
    outcome = np.array([1, 1, 0, 1, 0, 1, 0, 0, 0, 0.0])
    strata = strata_of(labels, treated, outcome)
    found = stratified_difference(strata, binary=False, level=0.95)
    assert found.uplift == pytest.approx(0.5 * (2 / 3 - 1 / 2) + 0.5 * (1 / 2 - 0))
    within = 0.25 * ((1 / 3) / 3 + (1 / 2) / 2 + (1 / 2) / 2 + 0)
    # The strata's effects, 1/6 and 1/2, differ by less than their noise: nothing is added.
    assert found.standard_error == pytest.approx(np.sqrt(within))


def test_one_stratum_of_numbers_is_welchs_t_test() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(0.5, 1, 14), rng.normal(0, 3, 22)
    treated = np.repeat([True, False], [14, 22])
    strata = strata_of(np.zeros(36, np.int64), treated, np.concatenate([first, second]))
    found = stratified_difference(strata, binary=False, level=0.95)
    peer = ttest_ind(first, second, equal_var=False)
    low, high = peer.confidence_interval(0.95)
    assert (found.low, found.high, found.p_value) == pytest.approx((low, high, peer.pvalue))


def test_strata_without_two_rows_in_each_arm_are_left_out() -> None:
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 2, 2])
    treated = np.array([1, 1, 0, 0, 1, 0, 0, 1, 1], bool)
    strata = strata_of(labels, treated, np.arange(9.0))
    assert strata.used.tolist() == [True] * 4 + [False] * 5
    assert strata.differences == pytest.approx([-2.0])


def test_clusters_of_one_row_give_the_interval_of_rows_and_copies_do_not_help() -> None:
    rng = np.random.default_rng(1)
    labels, treated = rng.integers(0, 3, 90), rng.random(90) < 0.5
    outcome = labels + treated + rng.normal(size=90)
    strata = strata_of(labels, treated, outcome)
    assert strata.used.all()
    single, count = clustered_difference(strata, treated, outcome, np.arange(90), 0.95)
    assert count == 90
    assert single.standard_error == pytest.approx(
        stratified_difference(strata, binary=False, level=0.95).standard_error, rel=0.1
    )
    copies = [np.repeat(values, 5) for values in (labels, treated, outcome)]
    repeated, count = clustered_difference(strata_of(*copies), copies[1], copies[2], np.repeat(np.arange(90), 5), 0.95)
    assert count == 90
    assert repeated.standard_error == pytest.approx(single.standard_error)


def test_equal_outcomes_leave_a_binary_interval_open() -> None:
    treated = np.repeat([True, False], 6)
    strata = strata_of(np.zeros(12, np.int64), treated, np.zeros(12))
    found = stratified_difference(strata, binary=True, level=0.95)
    assert found.low < -0.2
    assert found.high > 0.2
    assert found.p_value == 1


@pytest.mark.parametrize("binary", [True, False])
def test_intervals_cover_a_planted_effect(binary: bool) -> None:
    covered, rejected = [], []
    for seed in range(1500):
        rng = np.random.default_rng(seed)
        labels = rng.integers(0, 5, 150)
        treated = rng.random(150) < np.array([0.15, 0.3, 0.5, 0.6, 0.8])[labels]
        base = np.array([0.05, 0.2, 0.4, 0.6, 0.9])[labels]
        outcome = (rng.random(150) < base).astype(float) if binary else 5 * base + rng.normal(size=150)
        strata = strata_of(labels, treated, outcome)
        found = stratified_difference(strata, binary, 0.95)
        covered.append(found.low <= 0 <= found.high)
        rejected.append(found.p_value <= 0.05)
    assert 0.93 <= np.mean(covered) <= 0.97
    assert np.mean(rejected) <= 0.065


def test_effects_that_differ_between_strata_add_to_the_variance() -> None:
    rng = np.random.default_rng(2)
    estimates, errors = [], []
    for _ in range(800):
        labels = rng.integers(0, 4, 400)
        treated = rng.random(400) < 0.5
        outcome = np.array([-3.0, -1.0, 1.0, 3.0])[labels] * treated + rng.normal(size=400)
        found = stratified_difference(strata_of(labels, treated, outcome), False, 0.95)
        estimates.append(found.uplift)
        errors.append(found.standard_error)
    assert np.mean(errors) == pytest.approx(np.std(estimates), rel=0.08)


def test_no_noise_is_certain_either_way() -> None:
    assert p_value(0.0, 0.0, 5) == 1
    assert p_value(0.1, 0.0, 5) == 0


def test_tally_adds_up_by_label() -> None:
    assert tally(np.array([0, 2, 2]), np.array([1.0, 2.0, 3.0]), 4).tolist() == [1, 0, 5, 0]
