"""How present a record still is: it fades with a half-life, and each use refreshes it.

    strength = (1 + ln(1 + uses)) * 2 ** (-age / half_life)

where the age counts from the last use, or from when it happened where it was not used since. A record that was never
used has strength 1 when it happens and .5 one half-life later; use counts twice, because it makes the record young
again and because what was used often fades from a higher level. The logarithm: the tenth use says less than the first.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

DAY = 86_400.0
HALF_LIFE = 30 * DAY
"""Seconds."""
Numbers = npt.NDArray[np.float64]


def strengths(
    times: npt.ArrayLike,
    last_accesses: npt.ArrayLike,
    access_counts: npt.ArrayLike,
    now: float,
    half_life: float = HALF_LIFE,
) -> Numbers:
    """The strength of each record at a moment, (n,) float64, more than 0 (or 0 where that underflows).

    Parameters
    ----------
    times
        (n,) Unix seconds at which they happened. A time after `now` counts as now.
    last_accesses
        (n,) Unix seconds of their last use, NaN (or None) where they were never used.
    access_counts
        (n,) how often they were used.
    half_life
        Seconds.
    """
    if not (half_life > 0 and math.isfinite(half_life)):
        raise ValueError(f"half_life must be a positive number of seconds, got {half_life}")
    counts = np.asarray(access_counts, np.float64)
    if (counts < 0).any():
        raise ValueError(f"access counts are 0 or more, got {counts.min():g}")
    return (1 + np.log1p(counts)) * np.exp2(-ages(times, last_accesses, now) / half_life)


def ages(times: npt.ArrayLike, last_accesses: npt.ArrayLike, now: float) -> Numbers:
    """Seconds since each record happened or was last used, whichever is later, (n,), 0 or more."""
    # fmax passes over NaN.
    origins = np.fmax(np.asarray(times, np.float64), np.asarray(last_accesses, np.float64))
    return np.maximum(now - origins, 0.0)


def seconds_until(strength: float, access_count: int = 0, half_life: float = HALF_LIFE) -> float:
    """How long after its last use a record falls to a strength; 0 where it never is above."""
    if strength <= 0:
        return math.inf
    return max(0.0, half_life * math.log2((1 + math.log1p(access_count)) / strength))
