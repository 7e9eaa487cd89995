"""Two-by-two tables in strata: did those that did it succeed more often than those of the same stratum that did not?

The exact conditional test adds up hypergeometric distributions over strata (Cochran 1954; Mantel & Haenszel 1959; exact
after Gart 1970): within a stratum every trajectory had the same chance, so what strata differ in cannot enter. With one
stratum it is Fisher's exact test.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Tables:
    """Counts by stratum, each (s,)."""

    total: Ints
    followers: Ints
    successes: Ints
    both: Ints
    """Followers that succeeded."""

    @property
    def informative(self) -> int:
        """Strata in which some follow and some do not, and some succeed and some do not."""
        rest, failures = self.total - self.followers, self.total - self.successes
        return int(np.sum((self.followers > 0) & (rest > 0) & (self.successes > 0) & (failures > 0)))

    @cached_property
    def _null(self) -> tuple[int, Floats]:
        """Smallest possible number of followers that succeed, and the probabilities of it and all above."""
        low = np.maximum(0, self.followers + self.successes - self.total)
        strata = zip(self.total.tolist(), self.successes.tolist(), self.followers.tolist(), strict=True)
        parts = [_hypergeometric(*stratum) for stratum in strata]
        return int(low.sum()), _convolved([part for part in parts if len(part) > 1])

    def p_value(self) -> float:
        """Two-sided: the probability of all counts no likelier than the one seen."""
        lowest, chances = self._null
        return _reaching(chances, chances[int(self.both.sum()) - lowest])

    def least_p_value(self) -> float:
        """The smallest p-value that any outcome could have had with these margins."""
        _, chances = self._null
        return _reaching(chances, min(chances[0], chances[-1]))

    def difference(self) -> float:
        """Mantel-Haenszel risk difference (Greenland & Robins 1985); NaN where no stratum has both kinds."""
        rest = self.total - self.followers
        use = (self.followers > 0) & (rest > 0)
        if not use.any():
            return float("nan")
        n, m, r = self.total[use], self.followers[use], rest[use]
        gaps = self.both[use] / m - (self.successes[use] - self.both[use]) / r
        weights = m * r / n
        return float(np.sum(weights * gaps) / np.sum(weights))

    def log_odds(self) -> float:
        """Log of the Mantel-Haenszel odds ratio, shrunk to 0 by half a count on either side."""
        lost = self.followers - self.both
        other_won = self.successes - self.both
        other_lost = self.total - self.followers - other_won
        with_it = float(np.sum(self.both * other_lost / self.total))
        without = float(np.sum(lost * other_won / self.total))
        return float(np.log((with_it + 0.5) / (without + 0.5)))


def tables(strata: Ints, follows: npt.NDArray[np.bool_], succeeded: npt.NDArray[np.bool_]) -> Tables:
    """Count rows by stratum.

    Parameters
    ----------
    strata : (n,) numbers from 0
    follows, succeeded : (n,)
    """
    _, index = np.unique(strata, return_inverse=True)
    counts = [np.bincount(index, weights) for weights in (np.ones(len(index)), follows, succeeded, follows & succeeded)]
    return Tables(*(np.rint(count).astype(np.int64) for count in counts))


def could_reach(least: npt.ArrayLike, rate: float) -> npt.NDArray[np.bool_]:
    """Which tests could reach significance at all; the others need not be corrected for (Tarone 1990; Gilbert 2005).

    Parameters
    ----------
    least : (m,)
        Smallest attainable p-value of each test, which depends on its margins only.
    """
    p = np.asarray(least, np.float64)
    for count in range(1, len(p) + 1):
        if np.sum(p <= rate / count) <= count:
            return np.asarray(p <= rate / count)
    return np.zeros(len(p), np.bool_)


def _reaching(chances: Floats, chance: float) -> float:
    # Equal probabilities computed along different ways differ in the last bits.
    return float(min(1.0, np.sum(chances[chances <= chance * (1 + 1e-7)])))


@lru_cache(maxsize=4096)
def _hypergeometric(total: int, successes: int, followers: int) -> Floats:
    """Probabilities of each possible number of followers that succeed, the smallest first; small strata recur."""
    count = np.arange(max(0, followers + successes - total), min(followers, successes) + 1)
    failures = total - successes
    chances = _log_choose(successes, count) + _log_choose(failures, followers - count)
    return np.asarray(np.exp(chances - _log_choose(total, followers)))


def _log_choose(n: int, k: npt.ArrayLike) -> Floats:
    chosen = np.asarray(k, np.float64)
    return np.asarray(gammaln(n + 1) - gammaln(chosen + 1) - gammaln(n - chosen + 1))


def _convolved(parts: Sequence[Floats]) -> Floats:
    """Distribution of a sum; halves first, so that many strata cost little more than one of their size."""
    if len(parts) <= 1:
        return parts[0] if parts else np.ones(1)
    middle = len(parts) // 2
    return np.convolve(_convolved(parts[:middle]), _convolved(parts[middle:]))
