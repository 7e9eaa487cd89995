"""Decides from two sets of interleaved measurements whether side B is slower than side A.

Goes in: the measurements of both sides, taken in turn in one session, higher meaning slower. Comes out: a
`Finding`. The rule asks for two things at once: a Mann-Whitney test that is hard to pass by chance (p < .001)
and a difference of the medians that matters (more than 5%). A mean would follow the rare slow sample, and a test
alone would report differences too small to care about.

Source: H. B. Mann and D. R. Whitney (1947), "On a test of whether one of two random variables is stochastically
larger than the other"; B. Efron (1979), "Bootstrap methods: another look at the jackknife".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from lean_agentic.workbench.errors import WorkbenchError

SAMPLES = 30
"""Measurements a side; the false-alarm and detection figures in `docs/compare.md` hold for this many."""
P_BELOW = 0.001
RATIO_ABOVE = 1.05
MIN_SAMPLES = 7
"""With fewer a side, no outcome at all has an exact two-sided p below .001: 2 / C(12, 6) is .0022."""
RESAMPLES = 10_000
CONFIDENCE = 0.95


class StatisticsError(WorkbenchError):
    """Measurements that no verdict can be drawn from."""


class Verdict(Enum):
    """What the measurements say about B against A."""

    WORSE = "worse"
    """Mann-Whitney p < .001 and median B is more than 5% above median A."""
    BETTER = "better"
    """Mann-Whitney p < .001 and median A is more than 5% above median B: swapping the sides would be `WORSE`."""
    NO_DIFFERENCE_FOUND = "no difference found"
    """At least one of the two conditions does not hold. It does not say that the sides are equally fast."""


@dataclass(frozen=True)
class Finding:
    """The figures behind a verdict."""

    verdict: Verdict
    ratio: float
    """Median of B over median of A; above 1, B is slower."""
    interval: tuple[float, float]
    """95% bootstrap interval of `ratio`."""
    p_value: float
    """Two-sided Mann-Whitney test of the two sets of measurements."""
    n: int
    """Measurements a side."""
    median_a: float
    median_b: float

    def __repr__(self) -> str:
        low, high = self.interval
        return (
            f"Finding({self.verdict.value}: B/A {self.ratio:.3f} ({low:.3f} to {high:.3f}), "
            f"p={self.p_value:.2g}, n={self.n})"
        )


def judge(a: ArrayLike, b: ArrayLike, *, seed: int = 0) -> Finding:
    """Compare two sets of interleaved measurements.

    Parameters
    ----------
    a, b
        (n,) measurements of each side, finite and above 0, higher meaning slower, in the same unit.
    seed
        Of the bootstrap's resampling; the verdict does not depend on it.

    Raises
    ------
    StatisticsError
        Fewer than `MIN_SAMPLES` a side, unequal numbers, or a measurement that is not finite and above 0.
    """
    left, right = _checked("A", a), _checked("B", b)
    if len(left) != len(right):
        raise StatisticsError(f"A has {len(left)} measurements and B {len(right)}; interleaving gives both the same.")
    ratio = float(np.median(right) / np.median(left))
    p_value = mann_whitney(left, right)
    return Finding(
        verdict=verdict(ratio, p_value),
        ratio=ratio,
        interval=bootstrap_interval(left, right, seed=seed),
        p_value=p_value,
        n=len(left),
        median_a=float(np.median(left)),
        median_b=float(np.median(right)),
    )


def verdict(ratio: float, p_value: float) -> Verdict:
    """Apply the rule to a ratio of medians (B over A) and a p value."""
    # The bound is the same factor in both directions, so that swapping A and B always swaps the verdict.
    if p_value >= P_BELOW or abs(math.log(ratio)) <= math.log(RATIO_ABOVE):
        return Verdict.NO_DIFFERENCE_FOUND
    return Verdict.WORSE if ratio > 1 else Verdict.BETTER


def mann_whitney(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Two-sided p value of the Mann-Whitney test; 1 where every measurement is the same."""
    if np.all(np.concatenate([a, b]) == a[0]):
        return 1.0
    return float(stats.mannwhitneyu(a, b, alternative="two-sided").pvalue)


def bootstrap_interval(
    a: NDArray[np.float64], b: NDArray[np.float64], *, seed: int, resamples: int = RESAMPLES
) -> tuple[float, float]:
    """95% percentile bootstrap interval of median B over median A, the sides resampled independently."""
    rng = np.random.default_rng(seed)
    medians = [np.median(rng.choice(side, (resamples, len(side))), axis=1) for side in (a, b)]
    low, high = np.quantile(medians[1] / medians[0], [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def measurement_text(value: float, unit: str) -> str:
    """A measurement for people: seconds in the prefix that fits, other units as they are."""
    if unit != "s":
        return f"{value:.4g} {unit}"
    for factor, prefix in ((1.0, "s"), (1e3, "ms"), (1e6, "µs")):
        if value * factor >= 1:
            return f"{value * factor:.4g} {prefix}"
    return f"{value * 1e9:.4g} ns"


def _checked(side: str, values: ArrayLike | Sequence[float]) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or len(array) < MIN_SAMPLES:
        raise StatisticsError(
            f"Side {side} has measurements of shape {array.shape}; the rule needs one list of at least {MIN_SAMPLES}."
        )
    wrong = array[~(np.isfinite(array) & (array > 0))]
    if wrong.size:
        raise StatisticsError(f"Side {side} has the measurement {wrong[0]}; a measurement is finite and above 0.")
    return array
