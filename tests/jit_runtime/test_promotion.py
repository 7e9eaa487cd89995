"""Tiers, with a stub in place of the compiler."""

from __future__ import annotations

import sys

from lean_agentic.jit_runtime import explain, promotion
from tests.jit_runtime.stub_backend import StubBackend
from tests.jit_runtime.tier_one import promoted


def test_observed_arguments_are_handed_on() -> None:
    backend = StubBackend()
    _, state, version, _ = promoted(backend=backend, optimising_threshold=1)
    promotion.consider_next(state, version)
    assert [dict(each.observed) for each in backend.made] == [{"n": 2}, {"n": 2}]


def test_the_compile_time_is_learned_and_shown() -> None:
    function, state, version, _ = promoted()
    assert set(version.compile_ms) == {1}
    assert version.compile_ms[1] > 0
    assert "compiled in" in str(explain(function))
    assert state.profile.spent_ms == 0.0


def test_tiers_follow_the_time_spent() -> None:
    function, state, version, _ = promoted(optimising_threshold=10**9)
    assert version.tier == 1
    cost = state.runtime.costs.estimate(2, version.size)
    version.sampled(sys._getframe(), 1, 0.6 * cost)
    assert version.tier == 1
    version.sampled(sys._getframe(), 1, 0.6 * cost)
    assert version.tier == 2
    version.sampled(sys._getframe(), 2, 10 * state.runtime.costs.estimate(3, version.size))
    assert version.tier == 3
    assert explain(function).why_not_higher == "this is the highest tier"
