from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lean_agentic.agentdb.decay import DAY, HALF_LIFE, ages, seconds_until, strengths

TIMES = st.floats(0, 2e9)
COUNTS = st.integers(0, 10**6)
HALF_LIVES = st.floats(DAY, 1000 * DAY)
NEVER = math.nan


def one(time: float, used: float, count: int, now: float, half_life: float = HALF_LIFE) -> float:
    return float(strengths([time], [used], [count], now, half_life)[0])


def test_unused_records_halve_every_thirty_days() -> None:
    assert strengths([0, 0, 0], [NEVER] * 3, [0, 0, 0], 0).tolist() == [1, 1, 1]
    assert one(0, NEVER, 0, 30 * DAY) == 0.5
    assert one(0, NEVER, 0, 60 * DAY) == 0.25


def test_a_use_makes_young_again_and_counts() -> None:
    assert one(0, 60 * DAY, 1, 60 * DAY) == pytest.approx(1 + math.log(2))
    assert one(0, 60 * DAY, 1, 90 * DAY) == pytest.approx((1 + math.log(2)) / 2)


def test_none_is_never_used() -> None:
    assert strengths([0], [None], [0], 30 * DAY).tolist() == [0.5]


@given(TIMES, TIMES, COUNTS, TIMES, HALF_LIVES)
def test_it_halves_with_every_half_life(time: float, used: float, count: int, later: float, half_life: float) -> None:
    now = max(time, used) + later
    assert one(time, used, count, now + half_life, half_life) == pytest.approx(
        one(time, used, count, now, half_life) / 2, rel=1e-6, abs=1e-300
    )


@given(TIMES, TIMES, TIMES, COUNTS, COUNTS, TIMES)
def test_more_and_later_use_never_weakens(
    time: float, used: float, later: float, count: int, more: int, now: float
) -> None:
    before = one(time, used, count, now)
    assert one(time, used, count + more, now) >= before
    assert one(time, used + later, count, now) >= before
    assert one(time + later, used, count, now) >= before
    assert one(time, NEVER, count, now) <= before
    assert one(time, used, count, now + later) <= before


@given(TIMES, COUNTS, st.floats(1e-3, 10))
def test_seconds_until_is_the_inverse(time: float, count: int, strength: float) -> None:
    seconds = seconds_until(strength, count)
    if seconds:
        assert one(0, NEVER, count, seconds) == pytest.approx(strength)
    else:
        assert one(time, time, count, time) <= strength * (1 + 1e-12)


def test_the_future_has_no_age() -> None:
    assert ages([10, 0], [NEVER, 20], 5).tolist() == [0, 0]
    assert seconds_until(0) == math.inf


def test_what_makes_no_sense_is_refused() -> None:
    for half_life in (0, -1, math.inf, math.nan):
        with pytest.raises(ValueError, match="half_life"):
            one(0, NEVER, 0, 0, half_life)
    with pytest.raises(ValueError, match="0 or more"):
        strengths([0], [NEVER], [-1], 0)
    assert np.isfinite(strengths([0], [NEVER], [0], 1e12)).all()
