from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from lean_agentic.jit_runtime import JitRuntime, JitRuntimeConfig, explain, inspect, tiers_of
from lean_agentic.kernel import function_from_source
from tests.jit_runtime.stub_backend import StubBackend, stub_runtime

TEXT = "def f(n):\n    s = 0\n    for i in range(n):\n        s += i * k\n    return s"


def make(**options: Any) -> Any:
    return stub_runtime(baseline_threshold=2, **options).tiered(function_from_source(TEXT, "f", {"k": 2}))


def test_the_story_of_a_function() -> None:
    function = make(optimising_threshold=10**9)
    assert explain(function).why_not_higher == "not called yet"
    function(3)
    assert "spent in CPython; tier 1 is estimated to cost" in explain(function).why_not_higher
    function(3)
    assert explain(function).why_not_higher == "tier 1 will be compiled at the next call"
    function(3)
    told = explain(function)
    assert repr(told) == "<f: tier 1 baseline, 3 calls, 1 version(s)>"
    assert told.interpreted_calls == 2
    (version,) = told.versions
    assert (version.types, version.result, version.calls, version.tier) == (("int",), "int", 1, 1)
    assert any("k is 2" in guard for guard in version.guards)
    assert "tier 2 is estimated to cost" in told.why_not_higher
    with pytest.raises(dataclasses.FrozenInstanceError):
        told.tier = 3  # type: ignore[misc]


def test_text_and_html() -> None:
    function = make()
    for n in range(5):
        function(n)
    function("no") if False else None
    text, view = str(explain(function)), explain(function)._repr_html_()
    assert "(int) -> int: tier 1" in text
    assert "as long as" in text
    assert view.startswith("<div>")
    assert view.count("<tr>") == 2
    unsupported = stub_runtime(baseline_threshold=1).tiered(function_from_source("def f(n):\n    return {n: '<b>'}"))
    for n in range(3):
        unsupported(n)
    assert "&lt;b&gt;" in explain(unsupported)._repr_html_() or "<b>'" not in explain(unsupported)._repr_html_()


def test_inspect_shows_the_kernel_and_the_code() -> None:
    stubbed = make()
    for n in range(4):
        stubbed(n)
    assert inspect(stubbed, 0).startswith("; kernel IR\nprocedure f(int)")
    with pytest.raises(ValueError, match=r"no code of tier 3; it has \[1\]"):
        inspect(stubbed, 3)
    config = JitRuntimeConfig(baseline_threshold=2, least_work=0.0, sampling=False, max_tier=1, engine="llvm")
    runtime = JitRuntime(config)
    runtime.backend.load()
    real = runtime.tiered(function_from_source(TEXT, "f", {"k": 2}))
    for n in range(4):
        real(n)
    assert tiers_of(real).tier == 1
    text = inspect(real)
    for section in ("; kernel IR", "; LLVM IR\n", "; LLVM IR, optimised", "; assembly"):
        assert section in text


def test_inspect_of_direct_code_shows_bytes() -> None:
    runtime = JitRuntime(
        JitRuntimeConfig(baseline_threshold=2, least_work=0.0, sampling=False, max_tier=1, engine="x86")
    )
    if not runtime.backend.is_ready(1):
        pytest.skip("this machine has no direct back end")
    real = runtime.tiered(function_from_source(TEXT, "f", {"k": 2}))
    for n in range(4):
        real(n)
    assert "; machine code, x86" in inspect(real, 1)


def test_a_refused_tier_is_named() -> None:
    function = make(optimising_threshold=2, backend=StubBackend(refuses={2: "too wide"}))
    for n in range(5):
        function(n)
        for version in tiers_of(function).versions:
            version.function.consider(version)
    assert explain(function).why_not_higher == "tier 2: line 1: too wide"
