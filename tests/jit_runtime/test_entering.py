"""Where a frame stands in the kernel; going on from there is compared with CPython in `test_replacement`."""

from __future__ import annotations

from types import FrameType
from typing import Any

import pytest

from lean_agentic.jit_runtime import _sampling, tiers_of
from lean_agentic.jit_runtime.entering import Entry, LoopHeads, NoEntryError, entry
from lean_agentic.kernel import function_from_source, interpret, lower, type_of
from tests.jit_runtime.test_replacement import eager_runtime, look_soon

pytestmark = pytest.mark.no_cover  # whoever traces sees the user's code run: nothing is moved then


def entries(text: str, *arguments: Any) -> list[tuple[Entry | NoEntryError, Any]]:
    """The entry at each backward jump of a call, and the result of going on there in the reference interpreter."""
    function = eager_runtime().tiered(function_from_source(text, "f"))
    kernel = lower(function.__kernel_function__, list(map(type_of, arguments)))
    found: list[tuple[Entry | NoEntryError, Any]] = []
    last: list[Any] = [None]

    def arrived(frame: FrameType) -> None:
        heads = LoopHeads(frame.f_code, kernel.sources[kernel.entry.name].loops)
        now = (frame.f_lasti, repr(frame.f_locals))
        if now != last[0]:
            last[0] = now
            try:
                point = entry(frame, kernel, heads)
                found.append((point, interpret(kernel, at=point.statement, locals=dict(point.values)).value))
            except NoEntryError as error:
                found.append((error, None))
        _sampling.chase(frame, 10**6)

    tiers_of(function).arrived = arrived
    look_soon()
    expected = function(*arguments)
    assert all(isinstance(point, NoEntryError) or value == expected for point, value in found)
    return found


def test_counters_and_bounds_come_from_the_iterators() -> None:
    found = entries("def f(n):\n    s = 0\n    for i in range(2, n, 3):\n        s += i\n    return s", 12)
    points = [point for point, _ in found if isinstance(point, Entry)]
    assert [point.trips for point in points] == [1, 2, 3]
    assert [point.line for point in points] == [3, 3, 3]
    counters = [[value for name, value in point.values.items() if name.startswith("%")] for point in points]
    assert [5 in counters[0], 8 in counters[1], 11 in counters[2]] == [True] * 3
    assert "about to end" in str(found[-1][0])


def test_an_unbound_variable_is_left_out() -> None:
    text = "def f(n):\n    for i in range(n):\n        if i > 1:\n            late = i\n    return late"
    points = [point for point, _ in entries(text, 5) if isinstance(point, Entry)]
    assert ["late" in point.values for point in points] == [False, False, True, True]


def test_an_empty_body_is_no_entry() -> None:
    found = entries("def f(n):\n    for i in range(n):\n        pass\n    return i", 4)
    assert found
    assert all(isinstance(point, Entry) for point, _ in found[:-1])


def test_a_jump_that_is_not_a_loops_is_no_entry() -> None:
    function = function_from_source("def f(n):\n    while n:\n        n -= 1\n    return n")
    heads = LoopHeads(function.__code__, ())
    with pytest.raises(NoEntryError, match="leads to no loop"):
        heads.at(0)
