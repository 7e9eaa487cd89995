"""The rule against enumeration, against scipy's bootstrap, and by its error rates on simulated sessions."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from lean_agentic.workbench.comparison_statistics import (
    MIN_SAMPLES,
    SAMPLES,
    StatisticsError,
    Verdict,
    bootstrap_interval,
    judge,
    mann_whitney,
    measurement_text,
    verdict,
)

SESSIONS = 400


def exact_p(a, b):
    """Two-sided Mann-Whitney p by going through every way to split the pooled ranks."""
    ranks = stats.rankdata(np.concatenate([a, b]))
    expected = ranks.sum() / 2
    sums = [sum(chosen) for chosen in itertools.combinations(ranks, len(a))]
    seen = abs(ranks[: len(a)].sum() - expected)
    return np.mean([abs(total - expected) >= seen for total in sums])


def timings(rng, shift=1.0, spread=0.04, outliers=0.05):
    """One side of a session: log-normal, some samples slowed to up to three times by something else."""
    values = shift * rng.lognormal(0, spread, SAMPLES)
    slowed = rng.random(SAMPLES) < outliers
    return np.where(slowed, values * rng.uniform(1, 3, SAMPLES), values)


def verdicts(shift, seed, **noise):
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(SESSIONS):
        a, b = timings(rng, **noise), timings(rng, shift, **noise)
        found.append(verdict(float(np.median(b) / np.median(a)), mann_whitney(a, b)))
    return found


@pytest.mark.parametrize("seed", range(5))
def test_mann_whitney_agrees_with_enumeration(seed):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(0, 1, 6), rng.normal(seed / 2, 1, 6)
    assert mann_whitney(a, b) == pytest.approx(exact_p(a, b))


def test_equal_measurements_are_no_evidence():
    assert judge([5.0] * 30, [5.0] * 30).verdict is Verdict.NO_DIFFERENCE_FOUND
    assert mann_whitney(np.full(30, 5.0), np.full(30, 5.0)) == 1.0


def test_exact_counts_need_no_noise():
    finding = judge([1000] * 30, [1200] * 30)
    assert finding.verdict is Verdict.WORSE
    assert finding.ratio == pytest.approx(1.2)
    assert finding.interval == pytest.approx((1.2, 1.2))


def test_smallest_number_of_samples_can_pass_the_test_and_one_fewer_cannot():
    assert exact_p(np.arange(7.0), np.arange(7.0) + 10) < 0.001
    assert exact_p(np.arange(6.0), np.arange(6.0) + 10) > 0.001
    assert MIN_SAMPLES == 7


def test_interval_agrees_with_scipy():
    rng = np.random.default_rng(3)
    a, b = timings(rng), timings(rng, 1.2)
    theirs = stats.bootstrap(
        (a, b),
        lambda x, y, axis: np.median(y, axis=axis) / np.median(x, axis=axis),
        paired=False,
        method="percentile",
        n_resamples=10_000,
        rng=np.random.default_rng(4),
    ).confidence_interval
    assert bootstrap_interval(a, b, seed=0) == pytest.approx((theirs.low, theirs.high), rel=0.005)


def test_interval_covers_the_true_ratio_about_as_often_as_it_says():
    rng = np.random.default_rng(5)
    covered = 0
    for session in range(SESSIONS):
        a, b = timings(rng, outliers=0), timings(rng, 1.1, outliers=0)
        low, high = bootstrap_interval(a, b, seed=session, resamples=500)
        covered += low <= 1.1 <= high
    # A percentile bootstrap of medians of 30 covers a little less or more than 95%.
    assert 0.91 <= covered / SESSIONS <= 0.99


def test_interval_is_repeatable():
    rng = np.random.default_rng(6)
    a, b = timings(rng), timings(rng)
    assert judge(a, b, seed=1) == judge(a, b, seed=1)
    assert judge(a, b, seed=1).interval != judge(a, b, seed=2).interval


@pytest.mark.parametrize("noise", [{"spread": 0.02}, {"spread": 0.10}, {"spread": 0.04, "outliers": 0.3}])
def test_equal_sides_raise_no_alarm(noise):
    found = verdicts(1.0, seed=7, **noise)
    # p < .001 alone would give .4 in 400; the condition on the medians takes most of those away.
    assert sum(v is not Verdict.NO_DIFFERENCE_FOUND for v in found) <= 1


def test_planted_slowdown_is_always_found():
    assert set(verdicts(1.2, seed=8)) == {Verdict.WORSE}


def test_planted_speedup_is_always_found():
    assert set(verdicts(1 / 1.2, seed=9)) == {Verdict.BETTER}


def test_a_certain_but_small_difference_is_left_alone():
    found = verdicts(1.03, seed=10, spread=0.005)
    assert set(found) == {Verdict.NO_DIFFERENCE_FOUND}


@pytest.mark.parametrize(
    ("ratio", "p_value", "expected"),
    [
        (1.2, 0.0009, Verdict.WORSE),
        (1.2, 0.001, Verdict.NO_DIFFERENCE_FOUND),
        (1.05, 1e-9, Verdict.NO_DIFFERENCE_FOUND),
        (1.0501, 1e-9, Verdict.WORSE),
        (1 / 1.0501, 1e-9, Verdict.BETTER),
        (1.0, 1e-9, Verdict.NO_DIFFERENCE_FOUND),
    ],
)
def test_rule(ratio, p_value, expected):
    assert verdict(ratio, p_value) is expected


measurements = st.lists(st.floats(1e-6, 1e3), min_size=MIN_SAMPLES, max_size=12)
OPPOSITE = {
    Verdict.WORSE: Verdict.BETTER,
    Verdict.BETTER: Verdict.WORSE,
    Verdict.NO_DIFFERENCE_FOUND: Verdict.NO_DIFFERENCE_FOUND,
}


@settings(deadline=None, max_examples=30)
@given(measurements, st.randoms(use_true_random=False))
def test_swapping_the_sides_swaps_the_verdict(a, random):
    b = [value * random.uniform(0.8, 1.3) for value in a]
    assert judge(b, a).verdict is OPPOSITE[judge(a, b).verdict]


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 0.0, -1.0])
def test_measurements_that_are_none_are_refused(bad):
    with pytest.raises(StatisticsError, match="Side B has the measurement"):
        judge([1.0] * 8, [1.0] * 7 + [bad])


def test_too_few_and_unequal_numbers_are_refused():
    with pytest.raises(StatisticsError, match="at least 7"):
        judge([1.0] * 6, [1.0] * 6)
    with pytest.raises(StatisticsError, match="A has 8 measurements and B 9"):
        judge([1.0] * 8, [1.0] * 9)


def test_seconds_are_shown_in_the_prefix_that_fits():
    values = [2.5, 0.0125, 3.1e-5, 4e-9]
    assert [measurement_text(v, "s") for v in values] == ["2.5 s", "12.5 ms", "31 µs", "4 ns"]
    assert measurement_text(123456.0, "instructions") == "1.235e+05 instructions"


def test_finding_fits_one_line():
    text = repr(judge([1.0] * 30, [1.2] * 30))
    assert "worse" in text
    assert "\n" not in text
