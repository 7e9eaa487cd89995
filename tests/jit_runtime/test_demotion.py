"""Failures and give-ups, with a stub in place of the compiler."""

from __future__ import annotations

from typing import Any

import pytest

from lean_agentic.jit_runtime import demotion, explain, promotion, tiers_of
from lean_agentic.kernel import function_from_source
from tests.jit_runtime.stub_backend import StubBackend, stub_runtime
from tests.jit_runtime.tier_one import leave, promoted


def test_failures_lead_to_giving_up() -> None:
    function, state, version, recorder = promoted(deopt_threshold=3)
    for _ in range(2):
        leave(version, 1)
    assert not version.given_up
    leave(version, 1)
    assert version.given_up == "line 4: overflow of +, 3 times"
    assert state.blocked is not None
    assert explain(function).why_not_higher == "line 4: overflow of +, 3 times"
    assert explain(function).versions[0].deopts == {"line 4: overflow of +": 3}
    assert [function(n) for n in range(5)] == [0, 0, 1, 3, 6]
    kinds = [record.task_type for record in recorder]
    assert kinds == ["jit.promotion", *["jit.deoptimisation"] * 3, "jit.blacklist"]
    assert recorder[-1].verdict == "failure"


def test_exceptions_are_no_failures() -> None:
    function, _, version, _ = promoted(deopt_threshold=1)
    for _ in range(5):
        leave(version, 1, ValueError())
    assert not version.given_up
    assert explain(function).versions[0].raised == 5


@pytest.mark.parametrize(("cpython_ms", "given_up"), [(0.001, True), (5.0, False)])
def test_short_calls_that_often_raise_are_left_to_cpython(cpython_ms: float, given_up: bool) -> None:
    function, _, version, _ = promoted()
    version.cpython_ms = cpython_ms
    for _ in range(60):
        leave(version, 1, IndexError())
    assert bool(version.given_up) is given_up
    assert ("it raised in" in explain(function).why_not_higher) is given_up


def test_rare_failures_are_borne() -> None:
    function, _, version, _ = promoted(deopt_threshold=2, optimising_threshold=10**9)
    for n in range(100):
        function(n)
    for _ in range(5):
        leave(version, 1)
    assert not version.given_up


def test_above_tier_1_speculation_goes_before_the_version() -> None:
    backend = StubBackend()
    function, state, version, _ = promoted(deopt_threshold=1, deopt_share=0.0, optimising_threshold=4, backend=backend)
    promotion.consider_next(state, version)
    assert version.tier == 2
    leave(version, 2)
    assert (version.tier, version.speculate, version.given_up) == (1, False, "")
    promotion.consider_next(state, version)
    assert version.tier == 2
    assert [each.speculate for each in backend.made] == [True, True, False]
    leave(version, 2)
    assert version.given_up
    assert function(5) == 10


def test_another_version_takes_over() -> None:
    function, state, version, _ = promoted(deopt_threshold=1, deopt_share=0.0)
    state.due = True
    for _ in range(3):
        with pytest.raises(TypeError):
            function(2.0)
    function(True)
    assert len(state.versions) == 2
    leave(version, 1)
    assert version.given_up
    assert state.blocked is None
    assert state.tier == 1
    assert [function(n) for n in (3, True)] == [3, 0]


def test_types_that_are_refused_are_not_tried_again() -> None:
    recorder: list[Any] = []
    runtime = stub_runtime(recorder, baseline_threshold=2)
    function = runtime.tiered(function_from_source("def f(x):\n    return x[0] if x else 1"))
    for _ in range(40):
        assert function(()) == 1
        assert function([2]) == 2
    state = tiers_of(function)
    refusals = [record for record in recorder if record.task_type == "jit.unsupported"]
    assert len(refusals) <= len(state.refused)


def test_ints_without_machine_form_give_the_version_up() -> None:
    function, state, version, _ = promoted(deopt_threshold=3)
    calls = version.calls
    for _ in range(calls + 5):
        state.mismatch(version, (3,))
    assert "beyond 64 bits" in version.given_up
    assert function(4) == 6


class Costs:
    """Compiled code with given times of its calls in nanoseconds: for lists, and for the work on them."""

    def __init__(self, *calls: tuple[int, int]) -> None:
        self.code = self
        self._calls = list(calls)

    def recent(self) -> list[tuple[int, int]]:
        return self._calls


@pytest.mark.parametrize(
    ("costs", "cpython_ms", "given_up"),
    [
        (Costs(*[(8_000_000, 1_000)] * 2), 0.02, True),  # a few elements of a long list
        (Costs(*[(8_000_000, 1_000)] * 2), 0.0, True),  # the same, nothing known of CPython
        (Costs((8_000_000, 1_000)), 0.02, False),  # once: something else may have run meanwhile
        (Costs((8_000_000, 1_000), *[(1_000, 800)] * 3), 0.05, False),  # it did
        (Costs(*[(1_000_000, 150_000)] * 4), 3.0, False),  # every element once: still faster than CPython
        (Costs(*[(1_000_000, 450_000)] * 4), 1.0, True),
    ],
)
def test_lists_that_cost_more_than_they_bring(costs: Any, cpython_ms: float, given_up: bool) -> None:
    function, state, version, _ = promoted()
    version.cpython_ms = cpython_ms
    demotion.costly(state, version, costs)
    assert bool(version.given_up) is given_up
    assert ("taking lists apart" in explain(function).why_not_higher) is given_up
