from __future__ import annotations

import pytest

from lean_agentic.jit_runtime import JitRuntimeConfig, tiers_of, timeline
from lean_agentic.jit_runtime.timeline import Timeline
from lean_agentic.kernel import function_from_source
from tests.jit_runtime.stub_backend import stub_runtime


def test_every_call_is_a_sample_with_its_tier() -> None:
    runtime = stub_runtime(baseline_threshold=3, record_timeline=True)
    function = runtime.tiered(function_from_source("def f(n):\n    return n + 1"))
    assert [function(n) for n in range(8)] == list(range(1, 9))
    samples = timeline(function)
    assert len(samples) == 8
    assert [each.tier for each in samples] == sorted(each.tier for each in samples)
    assert {0, 1} == {each.tier for each in samples}
    assert all(each.seconds > 0 for each in samples)
    assert [mark.kind for mark in tiers_of(function).timeline.marks] == ["promotion"]


def test_a_call_that_raises_is_a_sample_too() -> None:
    recorded = Timeline()
    with pytest.raises(ZeroDivisionError):
        recorded.timed(lambda: 1 // 0, lambda: 5, lambda: 2)()
    assert [(each.call, each.tier) for each in recorded.samples] == [(5, 2)]


def test_without_recording_there_is_no_timeline() -> None:
    function = stub_runtime().tiered(function_from_source("def f(n):\n    return n"))
    with pytest.raises(ValueError, match="record_timeline=True"):
        timeline(function)
    assert JitRuntimeConfig().record_timeline is False
