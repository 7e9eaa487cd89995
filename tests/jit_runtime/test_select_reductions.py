"""`len`, `sum`, `min` and `max` against CPython: values, types, bits, order."""

from __future__ import annotations

import itertools
import math
import sys
from typing import Any

import numpy as np
import pytest

from tests.jit_runtime.against_cpython import again, compiled, same

NAN = math.nan
LISTS: tuple[list[Any], ...] = (
    [1, 2, -3], [2**62, 2**62], [2**62, 2**62, -(2**62)], [0.1, 0.2, 0.3], [-0.0], [NAN, 1.0], [1.0, NAN, 0.5], [],
    [True, False], [1, 0.5, True], [-0.0, 0], [0.0, -0.0], [1e308, 1e308, -1e308], [1j, 2.0 + 1j], [1, 2.5, 1j],
    [np.float64(0.5), 2.0], [np.float64(0.5), 2], [np.int8(100), np.int8(100)], [2**53 + 1, 0.0, 2**53],
)  # fmt: skip
ARRAYS = ("int8", "uint8", "int64", "uint64", "float32", "float64", "bool")


@pytest.mark.parametrize("values", LISTS, ids=repr)
@pytest.mark.parametrize("function", ["sum(xs)", "sum(xs, 1)", "sum(xs, 0.5)", "len(xs)"])
def test_sums_of_lists(function: str, values: list[Any]) -> None:
    same(f"def f(xs):\n    return {function}", values)


@pytest.mark.parametrize("dtype", ARRAYS)
@pytest.mark.parametrize("function", ["sum(a)", "sum(a, 1)", "min(a)", "max(a)", "len(a)", "sum(a[::-2])"])
def test_arrays(function: str, dtype: str) -> None:
    values = np.array([3, 200, 0, 1, 90]).astype(dtype)
    run = compiled(f"def f(a):\n    return {function}", values)
    for length in (0, 1, 5):
        again(run, values[:length])
        again(run, values[:length][::-1])


@pytest.mark.parametrize("function", ["sum", "min", "max", "len"])
def test_tuples(function: str) -> None:
    source = f"def f(i, x, a):\n    return {function}((i, x)), {function}((x, i, a[0])), {function}((i, i))"
    for i, x in itertools.product((1, 0, 2**62), (0.5, -0.0, NAN, 1.0)):
        same(source, i, x, np.array([2.5]))


def test_containers_of_several_types() -> None:
    source = """
def f(flag, xs, ys, a):
    c = xs
    if flag == 1:
        c = ys
    elif flag == 2:
        c = a
    elif flag == 3:
        c = []
    return sum(c), len(c), max(c)
"""
    run = compiled(source, 1, [1], [0.5], np.ones(1))
    for flag in range(4):
        again(run, flag, [1, 5], [0.5, 7.5], np.array([2.5, 3.5]))


def test_sums_are_native_where_they_are_exact() -> None:
    assert not same("def f(xs):\n    return sum(xs)", [1, 2, 3]).asks
    assert bool(same("def f(xs):\n    return sum(xs)", [0.5]).asks) == (sys.version_info >= (3, 12))


def test_an_overflowing_sum_is_left_to_python() -> None:
    assert same("def f(xs):\n    return sum(xs)", [2**62, 2**62]).left == [1]


@pytest.mark.parametrize(
    "values", [[2**62] * 3 + [-(2**62)] * 3, [-(2**63)] + [2**63 - 1] * 2, [2**33 - 1] * 100, [-1] * 5]
)
def test_sums_whose_halves_carry(values: list[int]) -> None:
    for start in (0, 1, -(2**63), 2**62):
        same("def f(xs, n):\n    return sum(xs, n)", values, start)
    assert not same("def f(xs):\n    return sum(xs)", [2**62, 2**62, -(2**62)]).left


def test_sums_of_bools() -> None:
    same("def f(xs, n):\n    return sum(xs), sum(xs, n)", [True, False, True] * 5, 2**63 - 1)
