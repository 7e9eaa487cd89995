"""`in` and `not in`, against CPython; what identity or hashing decides is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lean_agentic.kernel import UnsupportedError, function_from_source, lower, type_of
from tests.kernel.against_cpython import check

NAN = float("nan")
EXPRESSIONS = [
    "x in (1, 2, 3), x not in (1, 2, 3), x in [0.0, -1.0], x in (), x not in []",
    "x in (1 // (n - 3), n, 1 // (n - 2))",
    "x in {1, 2, 3.5}, x not in {True}",
    "x in range(n), x not in range(n), x in range(1, n), x in range(n, -1, -1), x in range(0, 9, n), x in range(n, 0)",
    "x in (None, 1), None in (n, None), None in (n, 2.5)",
    "[k for k in range(n) if k in (1, 3) or k not in xs]",
    "n in xs, n not in xs, 2 in xs, n in xs[1:], n in (xs if n else [1])",
    "sum(1 for k in range(9) if k in xs)",
]
ARGUMENTS: list[tuple[Any, ...]] = [
    (2, 3, [1, 2, 3]), (3, 0, [True, False]), (1.0, 2, [4]), (True, 1, [2**63 - 1, 1]), (2**63 - 1, 4, [1][:0]),
    (-(2**63), 5, [2, 5]), (2.5, 9, [0.5, NAN, 2.0]), (np.int64(2), 4, [1, 2]), (np.uint64(3), 7, [3]),
    (np.int8(-1), -3, [1]), (2**70, 3, [2]),
]  # fmt: skip


@pytest.mark.parametrize("expression", EXPRESSIONS)
@pytest.mark.parametrize("arguments", ARGUMENTS, ids=range(len(ARGUMENTS)))
def test_membership(expression: str, arguments: tuple[Any, ...]) -> None:
    check(f"def f(x, n, xs):\n    return {expression}\n", *arguments)


@pytest.mark.parametrize("x", [NAN, 0.0, -0.0, 1.5, np.float64(1.5), np.float32(2.0)])
def test_floats_in_constants(x: float) -> None:
    check("def f(x):\n    return x in (0, 1.5, True), x not in [2, float('inf')]\n", x)


@pytest.mark.parametrize("x", [1, 1.5, True])
def test_elements_of_arrays_in_displays(x: float) -> None:
    source = "def f(a, t):\n    n = 0\n    while a[n] not in (3, 5):\n        n += 1\n    return n, a[0] in t\n"
    check(source, np.array([1, 2, 5]), (4, x))
    check(source, np.array([1, 2]), (4, x))


@pytest.mark.parametrize(
    ("expression", "argument", "reason"),
    [
        ("x in [x]", 1.5, "NaN by its identity"),
        ("x in (0.0, x)", 1.5, "NaN by its identity"),
        ("1.5 in xs", np.ones(2), "NumPy scalars"),
        ("xs[0] in {1, 2}", np.ones(2), "found by its hash"),
        ("xs in (1, 2)", [1], r"comparison == of list"),
        ("x in range(3.0)", 1, "range takes ints"),
        ("1 in list(xs)", [1], "taken for displays"),
        ("0 < x in (1, 2)", 1, "inside a chain"),
        ("1 in xs", 1, "has no length"),
    ],
)
def test_what_is_refused(expression: str, argument: Any, reason: str) -> None:
    function = function_from_source(f"def f(x):\n    xs = x\n    return {expression}\n")
    with pytest.raises(UnsupportedError, match=reason):
        lower(function, [type_of(argument)])
