"""`x.copy()`, `np.zeros_like` and their like in compiled code, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from lean_agentic.kernel import UnsupportedError
from tests.jit_runtime.against_cpython import as_function, compiled, outcome, same

GRID = np.arange(24.0).reshape(4, 6)
TIERS = [1, 2, 3]
COPIED = (
    "def f(a):\n    b = a.copy()\n    b[0, 1] = a[1, 0]\n    a[0, 0] = b[0, 1] + 1\n    return b, b[0, 0], b.size\n"
)
VIEWS = {
    "whole": GRID,
    "transposed": GRID.T,
    "every other": GRID[::2, ::2],
    "backwards": GRID[::-1, ::-1],
    "bytes": (GRID > 7).astype(np.uint8),
    "halves of ints": np.arange(24, dtype=np.int16).reshape(4, 6)[:, 1::3],
}


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("name", VIEWS)
def test_a_copy_is_another_array(name: str, tier: int) -> None:
    run = same(COPIED, VIEWS[name], tier=tier)
    assert run.asks == 0, "made without asking Python"


@pytest.mark.parametrize("tier", TIERS)
def test_a_copy_is_laid_out_as_numpy_lays_it_out(tier: int) -> None:
    source = as_function("def f(a):\n    return a.copy()\n")
    made = compiled(source, GRID.T, tier=tier).compiled.code
    for view in (GRID.T, GRID[:, ::3], GRID[:, :0], np.asfortranarray(GRID)):
        ours, theirs = made(view), source(view)
        assert (ours.strides, ours.flags.owndata) == (theirs.strides, theirs.flags.owndata)
        assert ours is not view


@pytest.mark.parametrize("tier", TIERS)
def test_a_slice_that_has_no_object_is_copied(tier: int) -> None:
    run = same("def f(a, k):\n    b = a[k, 1:5].copy()\n    b[0] = 99.0\n    return b\n", GRID, 2, tier=tier)
    assert run.asks == 0


@pytest.mark.parametrize("tier", TIERS)
def test_double_buffering(tier: int) -> None:
    source = """
def f(grid, turns):
    for _ in range(turns):
        new = grid.copy()
        for i in range(1, grid.shape[0] - 1):
            for j in range(1, grid.shape[1] - 1):
                new[i, j] = 0.25 * (grid[i - 1, j] + grid[i + 1, j] + grid[i, j - 1] + grid[i, j + 1])
        grid, new = new, grid
    return grid
"""
    same(source, GRID**1.5, 5, tier=tier)


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("xs", [[1, 2, 3], [1.5], [[1], [2, 3]], []])
def test_a_list_is_copied_one_level_deep(xs: list, tier: int) -> None:
    same(
        "def f(xs, y):\n    ys = xs.copy()\n    if ys:\n        ys[0] = y\n    return ys, xs, len(ys)\n",
        xs,
        xs[-1] if xs else 0,
        tier=tier,
    )


@pytest.mark.parametrize("tier", TIERS)
def test_a_list_that_grows_may_be_copied(tier: int) -> None:
    source = (
        "def f(n):\n    xs = []\n    total = 0\n    for k in range(n):\n        xs.append(k)\n        ys = xs.copy()\n"
    )
    same(source + "        total += len(ys) + ys[k // 2]\n    return xs, total\n", 9, tier=tier)


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("make", ["np.zeros_like(a)", "np.ones_like(a)", "np.zeros_like(a, dtype=np.int32)"])
@pytest.mark.parametrize("name", VIEWS)
def test_arrays_like_another(name: str, make: str, tier: int) -> None:
    same(f"def f(a):\n    b = {make}\n    b[1, 0] = 3\n    return b, b.shape\n", VIEWS[name], tier=tier)


def test_an_empty_array_like_another_has_its_shape() -> None:
    source = "def f(a):\n    b = np.empty_like(a)\n    for k in range(len(b)):\n        b[k] = a[k] + 1\n    return b\n"
    same(source, np.arange(5), tier=3)


@pytest.mark.parametrize("expression", ["x.copy()", "np.zeros_like(x)"])
def test_a_number_is_not_copied(expression: str) -> None:
    source = as_function(f"def f(x):\n    return {expression}\n")
    with pytest.raises(UnsupportedError, match="of int is outside"):
        compiled(source, 3)
    assert outcome(source, (np.zeros(2),))[0] == "returned"
