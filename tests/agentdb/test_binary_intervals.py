from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, norm

from lean_agentic.agentdb.binary_intervals import newcombe, stratified_wilson, wilson

Z = float(norm.ppf(0.975))


def difference(first: tuple[int, int], second: tuple[int, int]) -> tuple[float, float]:
    one = [np.array([float(value)]) for value in (*first, *second)]
    return newcombe(one[0], one[1], one[2], one[3], np.ones(1), 0.95)


@pytest.mark.parametrize(
    ("first", "second", "low", "high"),
    [
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((6, 7), (2, 7), 0.0582, 0.8062),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.1611, 0.2775),
        ((10, 10), (0, 20), 0.6791, 1.0),
    ],
)
def test_one_stratum_gives_the_figures_that_newcombe_published(
    first: tuple[int, int], second: tuple[int, int], low: float, high: float
) -> None:
    assert difference(first, second) == pytest.approx((low, high), abs=5e-5)


def test_wilson_gives_the_published_interval_and_inverts_the_score_test() -> None:
    low, high = wilson(81, 263, Z)
    assert (float(low), float(high)) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    for edge in (float(low), float(high)):
        assert abs(81 / 263 - edge) / np.sqrt(edge * (1 - edge) / 263) == pytest.approx(Z)


def test_equal_outcomes_do_not_give_a_point() -> None:
    low, high = difference((0, 8), (0, 8))
    assert low == pytest.approx(-high)
    assert high > 0.3


def test_one_stratum_of_the_stratified_interval_is_wilsons() -> None:
    pair = stratified_wilson(np.array([3.0]), np.array([17.0]), np.ones(1), 0.9)
    assert pair == pytest.approx([float(edge) for edge in wilson(3, 17, float(norm.ppf(0.95)))])


def test_two_equal_halves_are_nearly_as_good_as_the_whole() -> None:
    halves = stratified_wilson(np.array([200.0, 200.0]), np.array([500.0, 500.0]), np.array([0.5, 0.5]), 0.95)
    assert halves == pytest.approx([float(edge) for edge in wilson(400, 1000, Z)], abs=1e-3)


def test_the_exact_coverage_of_the_difference_is_near_nominal() -> None:
    n, m, p, q = 30, 25, 0.2, 0.45
    covered = 0.0
    for x in range(n + 1):
        for y in range(m + 1):
            low, high = difference((x, n), (y, m))
            covered += binom.pmf(x, n, p) * binom.pmf(y, m, q) * (low <= p - q <= high)
    assert 0.94 < covered < 0.97
