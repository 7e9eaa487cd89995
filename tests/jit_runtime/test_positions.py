"""Slices against CPython's, for every combination of bounds near the ends."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tests.jit_runtime.against_cpython import again, compiled

BOUNDS = (-(2**63), -5, -3, -1, 0, 1, 2, 3, 4, 2**63 - 1)
STEPS = (-(2**63), -4, -2, -1, 0, 1, 2, 5, 2**63 - 1)


@pytest.mark.parametrize("kind", ["list", "array"])
@pytest.mark.parametrize("length", [0, 1, 3])
def test_slices_with_variable_parts(kind: str, length: int) -> None:
    values = [0.5 + k for k in range(length)] or [0.5][:0]
    sequence = np.array(values) if kind == "array" else values
    sources = {
        "xs[a:b:c]": STEPS, "xs[a::c]": STEPS, "xs[:b:c]": STEPS, "xs[::c]": STEPS,
    }  # fmt: skip
    for text, steps in sources.items():
        source = f"def f(xs, a, b, c):\n    part = {text}\n    return len(part), [part[k] for k in range(len(part))]"
        run = compiled(source, sequence, 0, 1, 1)
        for a, b, c in itertools.product(BOUNDS if "a" in text else (0,), BOUNDS if "b:" in text else (0,), steps):
            again(run, sequence, a, b, c)
        assert set(run.left) <= {1}, "left only where the step is 0"
        assert not run.asks


@pytest.mark.parametrize("step", ["", ":1", ":-1", ":3", ":-2"])
def test_slices_with_constant_steps(step: str) -> None:
    for start, stop in itertools.product(("", "a", "1", "-2", "0", "7"), ("", "b", "2", "-1", "9")):
        run = compiled(f"def f(xs, a, b):\n    return xs[{start}:{stop}{step}]", [1, 2, 3], 0, 1)
        for a, b in itertools.product(BOUNDS if "a" in start else (0,), BOUNDS if "b" in stop else (0,)):
            again(run, [1, 2, 3], a, b)
        assert not run.left


def test_slices_by_zero_and_beyond_64_bits_are_left_to_python() -> None:
    for text in ("xs[::0]", f"xs[{2**70}:]", f"xs[:{-(2**70)}]", f"xs[{2**64}]", f"xs[::{2**64}]"):
        run = compiled(f"def f(xs):\n    return {text}", [1, 2, 3])
        again(run, [1, 2, 3])


def test_indexes_on_several_axes() -> None:
    grid = np.arange(12).reshape(3, 4)
    run = compiled("def f(g, i, j):\n    return g[i, j], g[i][j], g[i], g[:, j], g[i, ::2], g[::-1, 1:3]", grid, 1, 1)
    for i, j in itertools.product(range(-4, 4), range(-5, 5)):
        again(run, grid, i, j)
        again(run, grid[::-1].T, i, j)


def test_range_lengths() -> None:
    source = (
        "def f(a, b, c):\n    t = 0\n    for x, y in zip(range(a, b, c), range(5)):\n        t += x ^ y\n    return t"
    )
    run = compiled(source, 1, 1, 1)
    for a, b, c in itertools.product(BOUNDS, BOUNDS, STEPS):
        again(run, a, b, c)
