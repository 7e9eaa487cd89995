"""When a tier is due, as the rule says it."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lean_agentic.jit_runtime.policy import LOAD_LLVM_MS, CostModel, JitRuntimeConfig, is_due

times = st.floats(0, 1e6, allow_nan=False)


@given(times, st.integers(0, 10**6), times, st.integers(1, 3))
def test_due_when_the_cost_is_spent_or_the_count_is_reached(spent: float, calls: int, cost: float, tier: int) -> None:
    config = JitRuntimeConfig()
    threshold = {1: 10, 2: 100, 3: 1000}[tier]
    expected = spent >= cost or (calls >= threshold and spent >= 0.75 * cost)
    assert is_due(config, tier, spent_ms=spent, calls=calls, cost_ms=cost) == expected


@given(st.floats(0.1, 100), st.floats(0.0, 1000), st.floats(0.1, 50))
def test_never_much_more_than_twice_the_best(cost: float, demand: float, slowdown: float) -> None:
    # Ski rental: work of `demand` ms in the low tier costs demand / (1 + slowdown) after a compile.
    config = JitRuntimeConfig(baseline_threshold=10**9)
    spent, step = 0.0, cost / 50
    while spent < demand and not is_due(config, 1, spent_ms=spent, calls=0, cost_ms=cost):
        spent += step
    paid = spent + (cost + (demand - spent) / (1 + slowdown) if spent < demand else 0.0)
    best = min(demand, cost + demand / (1 + slowdown))
    assert paid <= 2 * best + 2 * step


def test_the_highest_tier_bounds_everything() -> None:
    config = JitRuntimeConfig(max_tier=1)
    assert is_due(config, 1, spent_ms=1e9, calls=0, cost_ms=1.0)
    assert not is_due(config, 2, spent_ms=1e9, calls=10**9, cost_ms=1.0)


def test_estimates_follow_what_was_measured() -> None:
    costs = CostModel()
    for tier in (1, 2, 3):
        before = costs.estimate(tier, 20)
        for _ in range(30):
            costs.learn(tier, 20, 3 * before)
        assert costs.estimate(tier, 20) == pytest.approx(3 * before, rel=0.01)
        assert costs.estimate(tier, 200) > costs.estimate(tier, 20)


def test_loading_llvm_is_part_of_the_price_until_it_is_loaded() -> None:
    loaded = False
    costs = CostModel(lambda: loaded)
    before = costs.estimate(2, 10)
    assert costs.estimate(1, 10) < LOAD_LLVM_MS
    loaded = True
    assert before - costs.estimate(2, 10) == pytest.approx(LOAD_LLVM_MS)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"max_tier": 4}, "0, 1, 2 or 3"),
        ({"engine": "gcc"}, "'auto', 'x86' or 'llvm'"),
        ({"baseline_threshold": 0}, "at least 1"),
        ({"sampling_ms": 0.0}, "positive"),
        ({"sampling_ms": math.nan}, "positive"),
        ({"max_versions": 0}, "at least 1"),
        ({"patience": math.nan}, "at least 0"),
        ({"least_work": -1.0}, "at least 0"),
    ],
)
def test_impossible_settings_are_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        JitRuntimeConfig(**wrong)
