"""Operations on numbers of several types against CPython."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from lean_agentic.jit_runtime.facts import Facts
from tests.jit_runtime.against_cpython import again, compiled, same

UNION = """
def f(pick, other, i, x, a, b):
    left = i
    if pick == 1:
        left = x
    elif pick == 2:
        left = a[0]
    elif pick == 3:
        left = b[0]
    right = x
    if other == 1:
        right = i
    elif other == 2:
        right = a[0]
    return {expression}
"""
NUMBERS = ((3, -0.5), (0, 0.0), (-7, math.nan), (2**62, -math.inf), (1, 2.0))


def check(expression: str, dtypes: tuple[str, str] = ("float64", "int32")) -> None:
    """Compare on all alternatives."""
    arrays = [np.array([value]).astype(dtype) for dtype, value in zip(dtypes, (2.5, -3), strict=True)]
    run = compiled(UNION.format(expression=expression), 0, 0, 1, 1.0, *arrays)
    for pick, other, (i, x) in itertools.product(range(4), range(3), NUMBERS):
        again(run, pick, other, i, x, *arrays)


@pytest.mark.parametrize("operator", ["+", "-", "*", "/", "//", "%"])
def test_binary_operators_of_unions(operator: str) -> None:
    check(f"left {operator} right")


@pytest.mark.parametrize("operator", ["<", "<=", "==", "!=", ">", ">="])
def test_comparisons_of_unions(operator: str) -> None:
    check(f"left {operator} right")


@pytest.mark.parametrize(
    "expression",
    ["-left", "+left", "not left", "not right", "abs(left)", "1 if left else 2", "left and right", "left or right",
     "min(left, right)", "max(left, right, 1)", "float(left)", "bool(right)", "(left, right)", "left == None",
     "math.floor(right)", "divmod(left, right)", "round(left)", "left is None", "math.sqrt(abs(left))"],
)  # fmt: skip
def test_other_operations_on_unions(expression: str) -> None:
    check(expression)


@pytest.mark.parametrize("expression", ["left + right", "left < right", "min(left, right)", "left * 2.0 - right"])
def test_more_combinations_than_are_branched_on(expression: str) -> None:
    check(expression, ("float32", "uint8"))


DOUBLES = """
def f(pick, other, x, y, a):
    left = a[0] if pick else x
    right = a[1] if other else y
    return {expression}
"""


@pytest.mark.parametrize(
    "expression",
    ["left + right", "left - right", "left * right", "left * 2.0", "1.5 - right", "-left", "+right", "left < right",
     "left == right", "max(left, right)", "min(left, right, 0.5)", "left / right", "left if left else right",
     "(left < right) == (x < y)", "left + right < 2.0 <= right"],
)  # fmt: skip
def test_floats_of_both_kinds(expression: str) -> None:
    run = compiled(DOUBLES.format(expression=expression), True, True, 1.0, 2.0, np.ones(2))
    values = (0.0, -0.0, 1.5, math.nan, math.inf)
    for pick, other, x, y in itertools.product((True, False), (True, False), values, values):
        again(run, pick, other, x, y, np.array([y, x]))


def test_floats_of_both_kinds_are_added_once() -> None:
    run = compiled(DOUBLES.format(expression="left + right"), True, True, 1.0, 2.0, np.ones(2))
    blocks = run.compiled.selected.unit.functions[0].blocks
    assert sum(each[0] == "fadd" for block in blocks for each in block.instructions) == 1


@pytest.mark.parametrize("value", [None, 0, 1, 2.5])
def test_none(value: object) -> None:
    source = """
def f(flag, value):
    x = None
    if flag:
        x = value
    if x is None:
        return not x
    return x, x is not None
"""
    same(source, True, value)
    same(source, False, value)


def test_constants_beyond_64_bits() -> None:
    source = f"""
def f(i, x):
    y = i * 5 % {2**64 + 13}
    if i < {2**70} and x < {2**70} and i != {2**64}:
        return y, min(i, {2**65}), x * {2**64}, i & {2**80 - 1}, {-(2**63)}, max(x, {2**64}), i - {2**66}
    return y
"""
    run = compiled(source, 1, 1.0)
    for i, x in itertools.product((0, -5, 2**62, -(2**63)), (0.5, math.inf, 1e300)):
        again(run, i, x)


def test_proved_statements_have_no_overflow_checks() -> None:
    source = "def f(i, j):\n    return i * j + i - j"
    run = compiled(source, 3, 4, facts=Facts(exact=frozenset({1, 2, 3})))
    names = {each[0] for block in run.compiled.selected.unit.functions[0].blocks for each in block.instructions}
    assert {"mul", "add", "sub"} <= names
    assert not names & {"mulo", "addo", "subo"}
    again(run, 10**6, 10**6)


def test_comparisons_go_straight_into_branches() -> None:
    run = compiled("def f(i):\n    if i < 3:\n        return 1\n    return 2", 1)
    blocks = run.compiled.selected.unit.functions[0].blocks
    assert not any(each[0] == "itob" for block in blocks for each in block.instructions)
