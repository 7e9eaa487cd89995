"""Numba beside CPython and beside tier 3: results stay CPython's, one of them stays."""

from __future__ import annotations

from typing import Any

import numpy as np

from lean_agentic.jit_runtime import JitRuntime, JitRuntimeConfig, explain, promotion, tiers_of
from lean_agentic.jit_runtime.rivals import beside_tier_3
from lean_agentic.kernel import function_from_source, type_of

ALWAYS = JitRuntimeConfig(
    numba=True, baseline_threshold=1, least_work=0.0, background=False, sampling=False, deopt_threshold=3
)
CALLS = 400


def test_a_function_of_whole_arrays_is_contested() -> None:
    source = "def f(a, b):\n    return a * b + b\n"
    function = JitRuntime(ALWAYS).tiered(function_from_source(source))
    plain = function_from_source(source)
    a, b = np.arange(1000.0), np.linspace(0.0, 1.0, 1000)
    for _ in range(CALLS):
        found = function(a, b)
        assert type(found) is np.ndarray
        assert found.tobytes() == plain(a, b).tobytes()
    assert "stays" in explain(function).rival
    assert "Numba: " in str(explain(function))


def test_what_numba_does_otherwise_is_not_asked_of_it() -> None:
    function = JitRuntime(ALWAYS).tiered(function_from_source("def f(a):\n    return {1: a}[1]\n"))
    for _ in range(20):
        assert function(2.5) == 2.5
    assert explain(function).rival.startswith("not asked: ")


def test_tier_3_is_contested() -> None:
    source = "def f(a, x):\n    for i in range(len(a)):\n        a[i] = a[i] * x + 1.0\n"
    runtime = JitRuntime(ALWAYS)
    function, plain = runtime.tiered(function_from_source(source)), function_from_source(source)
    given, expected = np.ones(500), np.ones(500)
    state = tiers_of(function)
    assert state is not None
    arguments: tuple[Any, ...] = (given, 0.5)
    version = promotion.lowered_version(state, tuple(map(type_of, arguments)))
    for tier in (1, 3):
        assert promotion.compile_tier(state, version, tier)
    state.install(version)
    beside_tier_3(state, version)
    for _ in range(CALLS):
        function(*arguments)
        plain(expected, 0.5)
    assert given.tobytes() == expected.tobytes()
    assert "stays" in explain(function).rival


def test_without_the_option_numba_is_not_asked() -> None:
    function = JitRuntime(JitRuntimeConfig(baseline_threshold=1, least_work=0.0, background=False)).tiered(
        function_from_source("def f(a, b):\n    return a * b + b\n")
    )
    for _ in range(CALLS):
        function(np.ones(3), np.ones(3))
    assert explain(function).rival == ""
