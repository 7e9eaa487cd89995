"""Going through lists and arrays of any layout inside one operation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.jit_runtime.against_cpython import again, compiled

GRID = np.arange(24.0).reshape(4, 6) % 7


@pytest.mark.parametrize(
    "array",
    [GRID[0], GRID[:, 1], GRID[::-1, 2], GRID[1, ::-2], GRID[:0, 0], np.broadcast_to(np.array([2.5]), (3,))],
    ids=lambda array: f"{array.shape}{array.strides}",
)
def test_arrays_of_any_strides(array: Any) -> None:
    run = compiled("def f(a):\n    return sum(a), max(a), min(a)", array)
    again(run, array)


@pytest.mark.parametrize("values", [[True, False], [1, 2.5], [1.5], [np.float64(1.0), 2], [np.int8(3)] * 3])
def test_lists_of_any_elements(values: list[Any]) -> None:
    run = compiled("def f(xs):\n    return sum(xs), max(xs), min(xs)", values)
    for count in range(1, len(values) + 1):
        again(run, values[:count] + values[count:])
