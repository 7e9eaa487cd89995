"""Stores into parts of arrays: NumPy's copying, broadcasting, conversions and errors, in every way of running."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lean_agentic.kernel import UnsupportedError, function_from_source, lower, type_of
from tests.kernel.against_cpython import check

ONE = [
    "a[1:-1] = 0.0", "a[:] = n", "a[1:] = a[:-1]", "a[:-1] = a[1:]", "a[::-1] = a", "a[n:] = b[:3]", "a[0:0] = n",
    "a[::2] = b[n:n + 1]", "a[::n] = 1", "a[:] = True", "b[:] = a", "a[:2] = a[0]", "a[1:n], a[0] = n, a[-1]",
    "for i in range(n):\n        a[i:] = i\n        b[i] += a[-1]", "a[1 // n:] = 5", "a[n:] = 10.0 ** 400",
    "a.T[1:] = b[1:]", "a[:] = 300", "a[:] = float('nan')",
]  # fmt: skip
TWO = [
    "a[0] = a[n]", "a[:, 0] = a[:, n]", "a[n] = 0", "a[1:, ::2] = b[0]", "a[:, 1:] = a[:, :-1]", "a[n:] = a[:-n]",
    "a[:] = a.T", "a[0] = b", "a[9] = 1", "a[:, 9] = 1",
    "for i in range(1, len(a)):\n        a[i] = a[i - 1]\n        a[i, n] += 1",
]  # fmt: skip
ARRAYS: list[tuple[Any, Any]] = [
    (np.arange(6.0), np.arange(6.0)[::-1]),
    (np.arange(6, dtype=np.int8), np.array([1.5, np.nan, 2.0, 3.0, 300.0, -1.0])),
    (np.arange(12.0)[::2], np.arange(6, dtype=np.float32)),
]


@pytest.mark.parametrize("statement", ONE)
@pytest.mark.parametrize("n", [0, 1, 2])
@pytest.mark.parametrize("arrays", ARRAYS, ids=range(len(ARRAYS)))
def test_one_axis(statement: str, n: int, arrays: tuple[Any, Any]) -> None:
    check(f"def f(a, b, n):\n    {statement}\n    return a.size, a[-1] + 0\n", *arrays, n)


@pytest.mark.parametrize("statement", TWO)
@pytest.mark.parametrize("n", [0, 1])
def test_two_axes(statement: str, n: int) -> None:
    a = np.arange(9.0).reshape(3, 3)
    check(f"def f(a, b, n):\n    {statement}\n    return a[1, 1]\n", a, np.ones((3, 2)), n)
    check(f"def f(a, b, n):\n    {statement}\n    return a[1, 1]\n", np.asfortranarray(a), a[1:], n)


def test_two_views_of_the_same_memory_and_an_array_of_its_own() -> None:
    source = (
        "import numpy as np\ndef f(m, n):\n    a, b = m[1:], m[:-1]\n    a[:] = b\n    c = np.zeros((n, 3))\n"
        "    for i in range(n):\n        c[i] = m[i:i + 3]\n        c[i, 1:] = c[i, :2]\n    return c, a[0]\n"
    )
    check(source, np.arange(9.0), 4)


def test_read_only_arrays() -> None:
    array = np.zeros(3)
    array.flags.writeable = False
    for statement in ("a[1:] = 1.0", "a[3:] = 1.0", "a[:2] = a[1:]"):
        check(f"def f(a):\n    {statement}\n", array)


@pytest.mark.parametrize(
    ("statement", "argument", "reason"),
    [
        ("x[0:1] = [1]", [1, 2], r"a slice of list\[int\]"),
        ("x[0:1] = (1, 2)", np.ones(2), "cannot be stored in part"),
        ("x[0:1] = 1j", np.ones(2), "cannot be stored in part"),
        ("x[0:1] += 1", np.ones(2), "augmented assignment to a slice"),
        ("x[0, 1:] = 1", np.ones(2), "a slice of array"),
        ("x[0] += 1", np.ones((2, 2)), r"\+= of array"),
        ("x[True] = 1", np.ones((2, 2)), "index of type bool"),
    ],
)
def test_what_is_refused(statement: str, argument: Any, reason: str) -> None:
    with pytest.raises(UnsupportedError, match=reason):
        lower(function_from_source(f"def f(x):\n    {statement}\n"), [type_of(argument)])
