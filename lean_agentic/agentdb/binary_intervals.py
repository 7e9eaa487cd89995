"""Intervals for proportions and their differences that stay proper in small samples.

Wilson 1927 for one proportion; Newcombe 1998 (method 10) for a difference of two; Yan & Su 2010 for weighted sums over
strata. None of them collapses to a point when every outcome was the same.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

Floats = npt.NDArray[np.float64]


def wilson(successes: npt.ArrayLike, n: npt.ArrayLike, z: float) -> tuple[Floats, Floats]:
    """Wilson's score interval of proportions `successes / n` at the normal quantile z, elementwise."""
    count, total = np.asarray(successes, np.float64), np.asarray(n, np.float64)
    middle = (count + z * z / 2) / (total + z * z)
    half = z / (total + z * z) * np.sqrt(count * (total - count) / total + z * z / 4)
    return np.maximum(middle - half, 0), np.minimum(middle + half, 1)


def stratified_wilson(successes: Floats, n: Floats, weights: Floats, level: float) -> tuple[float, float]:
    """Yan & Su's interval of `sum(weights * successes / n)`, weights summing to 1.

    Each stratum's Wilson interval is taken at a smaller quantile, so that their sum has the wanted level: half widths
    add linearly, standard errors in quadrature.
    """
    z = float(norm.ppf((1 + level) / 2))
    # Standard errors at Wilson's centre, which is never 0 or 1.
    centre = (successes + z * z / 2) / (n + z * z)
    errors = weights * np.sqrt(centre * (1 - centre) / n)
    reduced = z * float(np.sqrt(np.sum(errors**2)) / np.sum(errors))
    low, high = wilson(successes, n, reduced)
    return float(np.sum(weights * low)), float(np.sum(weights * high))


def newcombe(
    treated_successes: Floats, treated: Floats, successes: Floats, untreated: Floats, weights: Floats, level: float
) -> tuple[float, float]:
    """Interval of the weighted difference of proportions over strata; with one stratum, Newcombe's method 10.

    Parameters
    ----------
    treated_successes, treated, successes, untreated : (s,)
        Successes and rows, with and without the action, by stratum.
    weights : (s,)
        Sum to 1.
    """
    first = float(np.sum(weights * treated_successes / treated))
    second = float(np.sum(weights * successes / untreated))
    low_first, high_first = stratified_wilson(treated_successes, treated, weights, level)
    low_second, high_second = stratified_wilson(successes, untreated, weights, level)
    difference = first - second
    return (
        difference - float(np.hypot(first - low_first, high_second - second)),
        difference + float(np.hypot(high_first - first, second - low_second)),
    )
