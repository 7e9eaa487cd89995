from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lean_agentic.jit_runtime import JitRuntime
from lean_agentic.jit_runtime.backend import NativeBackend
from lean_agentic.jit_runtime.policy import JitRuntimeConfig
from lean_agentic.jit_runtime.tracebacks import clean
from lean_agentic.kernel import function_from_source, lower


def names(error: BaseException) -> list[str]:
    return [each.name for each in traceback.extract_tb(error.__traceback__)]


def test_frames_of_the_package_go() -> None:
    function = function_from_source("def f(n):\n    return {n: 1}")

    def forwarding() -> None:
        lower(function, [])

    with pytest.raises(TypeError) as caught:
        forwarding()
    caught.value.__traceback__ = caught.tb.tb_next
    clean(caught.value)
    assert names(caught.value) == ["forwarding"]


def test_the_users_frames_further_down_stay() -> None:
    def fail() -> None:
        raise KeyError("x")

    class Odd:
        @property
        def engine(self) -> str:
            fail()
            return ""

        cache = False

    def forwarding() -> None:
        config: JitRuntimeConfig = Odd()  # type: ignore[assignment]
        NativeBackend(config).is_ready(1)

    with pytest.raises(KeyError) as caught:
        forwarding()
    caught.value.__traceback__ = caught.tb.tb_next
    clean(caught.value)
    assert names(caught.value) == ["engine", "fail"]


def test_an_exception_without_a_traceback_is_left_alone() -> None:
    error = ValueError()
    clean(error)
    assert error.__traceback__ is None


NESTED = """
def inner(x, n):
    s = 0
    for i in range(n):
        s += i * x
        if i == 900:
            s += 1 // (x - x)
    return s

def outer(x, n):
    t = 0
    for k in range(3):
        t += inner(
            x,
            n,
        )
    return t
"""
RECURSIVE = """
def down(n, x):
    if n == 0:
        return 1 // x
    return 1 + down(n - 1, x)
"""
ASKED = """
def power(a, n):
    s = 0.0
    for i in range(n):
        s += a ** (i * 1.0)
    return s
"""
STORED = """
def stored(a, v):
    a[0] = 1.0
    a[1:3] = v
    return a
"""


def _entries(function: Callable[..., Any], *arguments: Any) -> list[tuple[str, int | None]]:
    """Name and line of each entry of the traceback behind the caller's own."""
    with pytest.raises(Exception) as caught:
        function(*arguments)
    return [(each.name, each.lineno) for each in traceback.extract_tb(caught.value.__traceback__)[1:]]


@pytest.mark.parametrize("tier", [1, 2, 3])
@pytest.mark.parametrize(
    ("source", "good", "bad"),
    [
        (NESTED, (3, 100), (3, 2000)),
        (RECURSIVE, (5, 1), (5, 0)),
        (ASKED, (1.5, 10), (1e10, 200)),
        (STORED, (np.zeros(5), np.zeros(2)), (np.zeros(5), np.zeros(4))),
    ],
)
def test_entries_are_those_of_cpython(source: str, good: tuple[Any, ...], bad: tuple[Any, ...], tier: int) -> None:
    config = JitRuntimeConfig(baseline_threshold=1, least_work=0.0, background=False, max_tier=tier)
    plain = function_from_source(source)
    function = JitRuntime(config).tiered(function_from_source(source))
    for _ in range(300):
        function(*good)
    assert _entries(function, *bad) == _entries(plain, *bad)
