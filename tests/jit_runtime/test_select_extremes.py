"""`min` and `max` against CPython: which of equals, which type, what raises."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from tests.jit_runtime.against_cpython import again, compiled, same
from tests.jit_runtime.test_select_reductions import LISTS, NAN


@pytest.mark.parametrize("values", LISTS, ids=repr)
@pytest.mark.parametrize("function", ["min(xs)", "max(xs)"])
def test_least_and_greatest_of_lists(function: str, values: list[Any]) -> None:
    if not any(isinstance(value, complex) for value in values):
        same(f"def f(xs):\n    return {function}", values)


@pytest.mark.parametrize("function", ["min", "max"])
def test_the_first_of_equals_wins(function: str) -> None:
    calls = "g(i, x), g(x, i), g(b, i, x), g(i, a[0], x)".replace("g", function)
    source = f"def f(i, x, b, a):\n    return {calls}"
    run = compiled(source, 1, 1.0, True, np.ones(1))
    for i, x, b in itertools.product((0, 1, 3), (0.0, -0.0, 1.0, NAN), (True, False)):
        again(run, i, x, b, np.array([x]))
        again(run, i, x, b, np.array([float(i)]))


def test_a_complex_power_is_refused_where_cpython_refuses_it() -> None:
    run = compiled("def f(x, y):\n    return min(x**1.5, y), max(y, x**0.5)", 2.0, 3.0)
    for x in (4.0, 0.25, -1.0):
        again(run, x, 1.0)
    assert run.outcome[1] == "TypeError"
