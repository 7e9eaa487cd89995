"""`sum`, `min`, `max`, `any`, `all` over generator expressions, ranges and the like, against CPython."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lean_agentic.kernel import UnsupportedError, function_from_source, lower, type_of
from tests.kernel.against_cpython import check

NAN = float("nan")
EXPRESSIONS = [
    "sum(x * y for x, y in zip(xs, ys))",
    "sum(x * y for x in xs if x > 0 for y in ys if y != x)",
    "sum((x for x in xs), 0.5)",
    "sum((x for x in xs), start=n)",
    "sum(range(n)) + sum(reversed(range(n)), n)",
    "sum(1 for x in xs if x > n)",
    "sum(sum(x * k for k in range(n)) for x in xs)",
    "any(x > n for x in xs), all(x > n for x in xs)",
    "any(1 // (x - n) for x in xs)",
    "all(1 // (x - n) for x in xs)",
    "any(x == y for x in xs for y in ys), all(x != y for x in xs if x for y in ys)",
    "any(xs), all(xs), any(range(n)), all(range(1, n)), any([x > 2 for x in xs]), any(())",
    "min(x * x for x in xs)",
    "max(x - y for x in xs for y in ys if x > y)",
    "max((x for x in xs if x > n), default=None), min(xs, default=-1), max(range(n), default=n)",
    "min(max(x * k for k in range(1, n + 1)) for x in xs)",
    "list(x + n for x in xs if x), sum([x * n for x in xs])",
    "[k for k in range(n) if all(k % d for d in range(2, k))]",
]
ARGUMENTS: list[tuple[Any, ...]] = [
    (3, [1, 2, 3], [4, 5, 6, 7]),
    (0, [0.5, -0.0, NAN, 2.0], [1.5, NAN]),
    (2, [-1.5, -0.0, 0.0], [2**60, 3]),
    (2, np.array([1, 2, 3]), [0.5, 2.5]),
    (4, np.array([0.5, -2.0]), np.array([1.0, 3.0], dtype=np.float32)),
    (1, [True, False], [2**62, 2**62]),
]


@pytest.mark.parametrize("expression", EXPRESSIONS)
@pytest.mark.parametrize("arguments", ARGUMENTS, ids=range(len(ARGUMENTS)))
def test_reductions(expression: str, arguments: tuple[Any, ...]) -> None:
    check(f"def f(n, xs, ys):\n    return {expression}\n", *arguments)


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_reductions_of_nothing(expression: str) -> None:
    check(f"def f(n, xs, ys):\n    return {expression}\n", 0, [1.5][:0], [1])
    check(f"def f(n, xs, ys):\n    return {expression}\n", 3, [1], [1.5][:0])


def test_reductions_in_statements() -> None:
    source = (
        "def f(n, xs):\n    k = 1\n    while not any(k % x == 0 for x in xs if x > 1) and k < 50:\n        k += 1\n"
        "        if k % 5 == 3:\n            continue\n        xs[0] += sum(k for x in xs)\n"
        "    for i in range(n):\n        if all(i != x for x in xs):\n            break\n    return k, xs, i\n"
    )
    check(source, 4, [0, 1, 7])
    check(source, 0, [0, 1, 7])


def test_a_callee_with_effects_is_called_as_often_as_in_cpython() -> None:
    source = (
        "def g(a, x):\n    a[0] += 1\n    return x\n"
        "def f(a, xs):\n    return any(g(a, x) > 1 for x in xs), sum((g(a, x) for x in xs), g(a, 2)), a[0]\n"
    )
    check(source, [0], [0, 3, 5, 2])


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("if x > 2:\n        y = 1\n    return sum(y for k in range(3))", "`y` may have no value"),
        ("return min((k for k in range(3)), x)", "takes no arguments but default="),
        ("return (k for k in range(3))", "GeneratorExp"),
        ("return any(range(3), x)", "take one argument"),
        ("raise StopIteration", "only built-in exceptions"),
    ],
)
def test_what_is_refused(body: str, reason: str) -> None:
    with pytest.raises(UnsupportedError, match=reason):
        lower(function_from_source(f"def f(x):\n    {body}\n"), [type_of(1)])
