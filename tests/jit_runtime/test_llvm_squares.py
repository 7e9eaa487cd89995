"""Squares in LLVM code against CPython's `x ** 2`, by bits."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lean_agentic.jit_runtime.llvm_squares import is_square
from tests.jit_runtime.against_cpython import Run, again, compiled, same

SOURCE = """
def f(xs):
    total = 0.0
    for k in range(len(xs)):
        xs[k] = xs[k] ** 2
        total += xs[k]
    return total
"""


@pytest.fixture(scope="module", params=[1, 2, 3])
def run(request: pytest.FixtureRequest) -> Run:
    return compiled(SOURCE, [1.0], tier=request.param)


@pytest.mark.parametrize("scale", [0, 1, 30, 64, 200, 449, 511])
def test_squares_have_the_bits_of_pow(run: Run, scale: int) -> None:
    random = np.random.default_rng(scale)
    again(run, (random.uniform(0.5, 2.0, 20_000) * 2.0 ** random.integers(-scale, scale + 1, 20_000)).tolist())


def test_squares_that_are_hard(run: Run) -> None:
    edges = [0.0, -0.0, 1.0, -1.0, 2.0, -0.5, math.inf, -math.inf, math.nan, 5e-324, 2.0**-600, 2.0**511, math.sqrt(2)]
    near = [math.nextafter(2.0**k, towards) for k in range(-40, 40) for towards in (0.0, math.inf)]
    again(run, edges + near)


def test_an_overflow_raises(run: Run) -> None:
    again(run, [2.0, 1e200, 3.0])


def test_among_the_doubles_where_pow_and_the_product_differ() -> None:
    xs = (1 + np.random.default_rng(7).random(300_000)).tolist()
    hard = [x for x in xs if x**2 != x * x]
    assert hard, "with this C library pow(x, 2.0) is x * x: nothing was tried"
    same(SOURCE, hard, tier=3)


def test_only_the_power_two_is_a_square() -> None:
    assert not is_square("math_pow", (1.5, 3.0))
    assert not is_square("math_pow", (1.5, 2))
    assert not is_square("math_fmod", (1.5, 2.0))
