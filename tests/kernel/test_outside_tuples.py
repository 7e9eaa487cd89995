"""Tuples of numbers from globals and closures are constants, guarded by identity."""

from __future__ import annotations

from typing import Any

import pytest

from lean_agentic.kernel import UnsupportedError, function_from_source, interpret, lower, type_of
from tests.kernel.against_cpython import check

BODIES = [
    "return sum(TABLE[k] for k in range(len(TABLE))) + n",
    "return [n * w for w in TABLE], n in TABLE, TABLE",
    "total = 0\n    for (a, b), c in MOVES:\n        total += a * n + b - c\n    return total, MOVES[n % 2]",
    "return TABLE[n]",
    "dx, dy = MOVES[0][0]\n    return dx + dy * max(TABLE), len(MOVES)",
]


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("n", [0, 2, -3, 7])
def test_tuples_of_numbers(body: str, n: int) -> None:
    check(f"TABLE = (1, 2.5, True)\nMOVES = (((0, 1), 2), ((-1, 0), 3))\ndef f(n):\n    {body}\n", n)


def test_a_new_tuple_makes_the_kernel_stale() -> None:
    namespace: dict[str, Any] = {}
    function = function_from_source("T = (1, 2)\ndef f(n):\n    return T[n]\n", None, namespace)
    kernel = lower(function, [type_of(0)])
    assert kernel.is_current()
    assert interpret(kernel, (1,)).value == 2
    namespace["T"] = (1, 3)
    assert not kernel.is_current()


def test_tuples_in_closures() -> None:
    function = function_from_source("def make(t):\n    def f(n):\n        return t[n]\n    return f\n")((4, 5))
    assert interpret(lower(function, [type_of(0)]), (1,)).value == 5


@pytest.mark.parametrize("value", ["(1, 'a')", "([1],)", "{1: 2}", "[1]"])
def test_what_is_refused(value: str) -> None:
    with pytest.raises(UnsupportedError, match="from outside"):
        lower(function_from_source(f"T = {value}\ndef f(n):\n    return T[n]\n"), [type_of(0)])
