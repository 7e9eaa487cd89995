"""Exact stratification: rows with equal covariates compared with each other, without any model.

The uplift is the mean over strata of the difference between arms, weighted by rows. Without clusters its variance is
Neyman's, strata being fixed categories, plus what their differences add; intervals are Welch's, and where the outcome
is binary never narrower than Newcombe's. With clusters both come from influence functions summed over clusters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import norm, t

from lean_agentic.agentdb.binary_intervals import newcombe

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
LEAST_IN_CELL = 2
"""Rows that each arm of a stratum must have, for its variance to be known."""


@dataclass(frozen=True)
class Difference:
    """An adjusted difference with its uncertainty."""

    uplift: float
    standard_error: float
    low: float
    high: float
    p_value: float


@dataclass(frozen=True)
class Strata:
    """Counts and moments of both arms in each stratum that has both; arrays are (s,)."""

    used: Bools
    """(n,) rows in a stratum that has both arms."""
    index: Ints
    """(rows used,) stratum of each."""
    treated: Floats
    untreated: Floats
    mean_treated: Floats
    mean_untreated: Floats
    variance_treated: Floats
    """Of single rows, with n - 1 in the denominator."""
    variance_untreated: Floats

    @property
    def weights(self) -> Floats:
        """Share of the rows used."""
        rows = self.treated + self.untreated
        return np.asarray(rows / rows.sum(), np.float64)

    @property
    def differences(self) -> Floats:
        """Mean with the action minus mean without it."""
        return self.mean_treated - self.mean_untreated


def tally(labels: Ints, values: Floats | Bools, count: int = 0) -> Floats:
    """Sums of values by label, for labels 0 to at least `count` - 1."""
    return np.asarray(np.bincount(labels, values, count), np.float64)


def strata_of(labels: Ints, treated: Bools, outcome: Floats) -> Strata:
    """Strata with at least two rows in each arm; labels are (n,) numbers from 0."""
    with_action = tally(labels, treated)
    without = tally(labels, ~treated)
    both = (with_action >= LEAST_IN_CELL) & (without >= LEAST_IN_CELL)
    used = both[labels]
    index = (np.cumsum(both) - 1)[labels[used]]
    first, first_variance = _moments(index, treated[used], outcome[used], with_action[both])
    second, second_variance = _moments(index, ~treated[used], outcome[used], without[both])
    return Strata(used, index, with_action[both], without[both], first, second, first_variance, second_variance)


def _moments(index: Ints, arm: Bools, outcome: Floats, counts: Floats) -> tuple[Floats, Floats]:
    mean = tally(index[arm], outcome[arm], len(counts)) / counts
    squares = tally(index[arm], (outcome[arm] - mean[index[arm]]) ** 2, len(counts))
    return mean, squares / (counts - 1)


def stratified_difference(strata: Strata, binary: bool, level: float) -> Difference:
    """The difference over independent rows."""
    weights, differences = strata.weights, strata.differences
    uplift = float(weights @ differences)
    noise = strata.variance_treated / strata.treated + strata.variance_untreated / strata.untreated
    within = float(np.sum(weights**2 * noise))
    between = _between(strata, noise)
    error = float(np.sqrt(within + between))
    degrees = _welch_degrees(strata, within)
    half = float(t.ppf((1 + level) / 2, degrees)) * error
    welch = Difference(uplift, error, uplift - half, uplift + half, p_value(uplift, error, degrees))
    return _no_narrower_than_newcombe(welch, strata, between, level) if binary else welch


def _no_narrower_than_newcombe(welch: Difference, strata: Strata, between: float, level: float) -> Difference:
    """Newcombe's interval stays proper where arms have equal outcomes, Welch's where strata are many and small."""
    low, high = _widened(welch.uplift, *_newcombe(strata, level), between, level)
    error = (high - low) / 2 / float(norm.ppf((1 + level) / 2))
    p = 2 * float(norm.sf(abs(welch.uplift) / error))
    return Difference(
        welch.uplift,
        max(error, welch.standard_error),
        min(low, welch.low),
        max(high, welch.high),
        max(p, welch.p_value),
    )


def clustered_difference(
    strata: Strata, treated: Bools, outcome: Floats, clusters: Ints, level: float
) -> tuple[Difference, int]:
    """The difference where rows of a cluster depend on each other, and the number of clusters; arrays of rows used."""
    uplift = float(strata.weights @ strata.differences)
    share = (strata.treated / (strata.treated + strata.untreated))[strata.index]
    gap = outcome - np.where(treated, strata.mean_treated[strata.index], strata.mean_untreated[strata.index])
    scores = np.where(treated, gap / share, -gap / (1 - share)) + strata.differences[strata.index] - uplift
    _, index = np.unique(clusters, return_inverse=True)
    sums = tally(index, scores)
    count = len(sums)
    error = float(np.sqrt(count / (count - 1) * np.sum(sums**2)) / len(outcome))
    half = float(t.ppf((1 + level) / 2, count - 1)) * error
    return Difference(uplift, error, uplift - half, uplift + half, p_value(uplift, error, count - 1)), count


def p_value(uplift: float, error: float, degrees: float) -> float:
    """Two-sided, of no effect, by Student's t."""
    if error == 0:
        return 1.0 if uplift == 0 else 0.0
    return 2 * float(t.sf(abs(uplift) / error, degrees))


def _between(strata: Strata, noise: Floats) -> float:
    """Variance of the mean from strata whose effects differ, their own noise taken off."""
    weights, differences = strata.weights, strata.differences
    spread = float(weights @ (differences - weights @ differences) ** 2)
    rows = float((strata.treated + strata.untreated).sum())
    return max(0.0, spread - float(np.sum(weights * (1 - weights) * noise))) / rows


def _newcombe(strata: Strata, level: float) -> tuple[float, float]:
    successes = strata.mean_treated * strata.treated, strata.mean_untreated * strata.untreated
    return newcombe(successes[0], strata.treated, successes[1], strata.untreated, strata.weights, level)


def _widened(uplift: float, low: float, high: float, between: float, level: float) -> tuple[float, float]:
    extra = float(norm.ppf((1 + level) / 2)) * float(np.sqrt(between))
    return uplift - float(np.hypot(uplift - low, extra)), uplift + float(np.hypot(high - uplift, extra))


def _welch_degrees(strata: Strata, within: float) -> float:
    """Satterthwaite's degrees of freedom of the variance within strata."""
    parts = 0.0
    for count, variance in ((strata.treated, strata.variance_treated), (strata.untreated, strata.variance_untreated)):
        parts += float(np.sum((strata.weights**2 * variance / count) ** 2 / (count - 1)))
    return within**2 / parts if parts > 0 else float((strata.treated + strata.untreated - 2).sum())
