"""Control of the false discovery rate over many tests.

Benjamini & Hochberg 1995 holds for independent and positively dependent tests; Benjamini & Yekutieli 2001 for any
dependence, at the price of a factor 1 + 1/2 + ... + 1/m.
"""

from __future__ import annotations

from enum import StrEnum

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


class Procedure(StrEnum):
    """Which dependence between the tests is allowed."""

    BENJAMINI_HOCHBERG = "benjamini-hochberg"
    BENJAMINI_YEKUTIELI = "benjamini-yekutieli"


def adjusted_p_values(
    p_values: npt.ArrayLike, procedure: Procedure = Procedure.BENJAMINI_HOCHBERG, tests: int | None = None
) -> Floats:
    """The smallest false discovery rate at which each test would be a discovery.

    Parameters
    ----------
    p_values : (m,)
        Each in [0, 1].
    tests
        How many tests were made, where those that were never in question are not listed; at least m. Unlisted ones
        count as p = 1.

    Returns
    -------
    (m,) float64
        In the order of `p_values`, never below it.
    """
    p = np.asarray(p_values, np.float64)
    count = len(p) if tests is None else tests
    if p.ndim != 1 or not np.all((p >= 0) & (p <= 1)):
        raise ValueError("expected a one-dimensional array of p-values, each in [0, 1]")
    if count < len(p):
        raise ValueError(f"{len(p)} p-values cannot come from {count} tests")
    if not len(p):
        return p
    factor = float(count)
    if procedure is Procedure.BENJAMINI_YEKUTIELI:
        factor = count * float(np.sum(1 / np.arange(1, count + 1)))
    order = np.argsort(p, kind="stable")
    stepped = p[order] * factor / np.arange(1, len(p) + 1)
    # The k-th smallest is a discovery whenever a larger one is: the running minimum from above.
    adjusted = np.minimum.accumulate(stepped[::-1])[::-1]
    result = np.empty_like(p)
    result[order] = np.minimum(adjusted, 1)
    return result


def discoveries(
    p_values: npt.ArrayLike,
    rate: float = 0.05,
    procedure: Procedure = Procedure.BENJAMINI_HOCHBERG,
    tests: int | None = None,
) -> npt.NDArray[np.bool_]:
    """Which tests to call discoveries so that at most a share `rate` of them is false on average."""
    return adjusted_p_values(p_values, procedure, tests) <= rate
