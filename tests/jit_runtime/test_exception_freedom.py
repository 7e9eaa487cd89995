"""The test that a kernel raises nothing: where it holds, CPython raises nothing."""

from __future__ import annotations

import os
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lean_agentic.jit_runtime.exception_freedom import ExceptionFreedom, exception_freedom
from lean_agentic.jit_runtime.facts import NOTHING
from lean_agentic.jit_runtime.machine_code import Options
from lean_agentic.kernel import UnsupportedError, function_from_source, lower, type_of
from lean_agentic.kernel.program_generator import programs

V, M = np.ones(4), np.ones((4, 5))
INTS = np.ones(4, dtype=np.int64)


def freedom(source: str, *arguments: Any) -> ExceptionFreedom:
    function = function_from_source("import math\nimport numpy as np\n" + source)
    kernel = lower(function, [type_of(each) for each in arguments])
    return exception_freedom(kernel, Options().facts(kernel, 3))


HOLDS = [
    ("def f(a, n):\n for i in range(n):\n  a[i] = a[i] * 2.0 + n", (V, 4)),
    ("def f(a, n):\n for i in range(1, n - 1):\n  a[i] = a[i - 1] + a[i + 1]", (V, 4)),
    ("def f(a, n):\n for i in range(n):\n  for j in range(i, 3):\n   a[i, j] = a[j, i] / a[0, 0]", (M, 4)),
    ("def f(a, n):\n for i in range(n):\n  row = a[i]\n  for j in range(len(row)):\n   row[j] = j", (M, 4)),
    ("def f(a, b, n):\n for i in range(min(n, len(a))):\n  a[i] = b.shape[1]", (V, M, 9)),
    ("def f(a, n):\n a[n] = np.exp(a[-n]) - abs(a[0])", (V, 3)),
    ("def f(a, n):\n for i in range(n):\n  a[i + 7] = 1.0", (V, 0)),
    ("def f(a, k):\n a[0] = a[0] * k + 3", (INTS, 5)),
    ("def f(n):\n t = 0\n for i in range(n):\n  t += i * n\n return t", (99,)),
    ("def f(x, y):\n return x * y + (x - y) if x > y else -x / 2.0", (1.0, 2.0)),
    ("def f(z, x):\n return z * z + x", (1j, 2.0)),
]
MAY_RAISE = [
    ("def f(a, n):\n for i in range(n):\n  a[i] = 1.0", (V, 5), None),
    ("def f(a, n):\n for i in range(n):\n  a[i - 5] = 1.0", (V, 1), None),
    ("def f(a, n):\n a[n] = 1.0", (V, -5), None),
    ("def f(a, n):\n a[n] = 1.0", (V, 2**40), None),
    ("def f(x, y):\n return x / y", (1.0, 2.0), "Assign"),
    ("def f(x, y):\n return x // y", (1, 2), "Assign"),
    ("def f(x):\n return x ** 2", (1.0,), "Assign"),
    ("def f(x):\n return math.exp(x)", (1.0,), "Assign"),
    ("def f(x):\n return int(x)", (1.0,), "Assign"),
    ("def f(a, n):\n a[0] = n * n * n", (INTS, 3), "Store"),
    ("def f(a, n):\n a[0] = n * n * n * 1.5", (V, 3), "Assign"),
    ("def f(a, n):\n a[0] = n", (np.ones(3, np.int8), 3), "Store"),
    ("def f(a, x):\n a[0] = x", (INTS, 3.0), "Store"),
    ("def f(a, b, n):\n for i in range(n):\n  a[b[i]] = 1.0", (V, INTS, 3), "Store"),
    ("def f(a, n):\n k = 0\n for i in range(n):\n  a[k] = 1.0\n  k += 1", (V, 3), "Store"),
    ("def f(x):\n if x > 2:\n  raise ValueError\n return x", (1,), "Raise"),
    ("def f(x):\n if x > 2:\n  y = 1\n return y", (3,), "CheckBound"),
    ("def f(xs):\n return xs[0]", ([1],), "Assign"),
    ("def f(t):\n return t[3]", ((1, 2),), "Assign"),
    ("def f(t, n):\n return t[n]", ((1, 2), 1), "Assign"),
    ("def f(a):\n return a.shape[3]", (V,), "Assign"),
    ("def f(a, n):\n t = (n * n * n, 1)\n x, y = t\n a[0] = x", (INTS, 3), "Store"),
    ("def f(a, t):\n a[0] = t[0]", (INTS, (3, 4)), "Store"),
    ("def f(a, t):\n return a[t[0]]", (INTS, (3, 4)), "Assign"),
    ("def f(n):\n return np.zeros(n)", (1,), "Assign"),
    ("def f(a, y):\n while a[0] > 1.0:\n  y = 9\n return a[y]", (V, 1), "Assign"),
]


@pytest.mark.parametrize(("source", "arguments"), HOLDS)
def test_holds(source, arguments):
    found = freedom(source, *arguments)
    assert found.reasons == ()
    assert found.holds(arguments)


@pytest.mark.parametrize(("source", "arguments", "reason"), MAY_RAISE)
def test_may_raise(source, arguments, reason):
    found = freedom(source, *arguments)
    assert not found.holds(arguments)
    assert found.reasons == () if reason is None else reason in str(found.reasons)


def test_bounds_of_the_facts_count():
    found = freedom("def f(n):\n return n + n", 3)
    assert found.holds((2**31 - 1,))
    assert not found.holds((2**31,))
    assert not found.holds((2**70,))


@settings(max_examples=int(os.environ.get("FREEDOM_PROGRAMS", "150")), deadline=None)
@given(programs(), st.booleans())
def test_never_wrong(program, with_facts):
    function = function_from_source(program.source)
    try:
        kernel = lower(function, [type_of(each) for each in program.arguments])
    except UnsupportedError:
        return
    facts = Options().facts(kernel, 3) if with_facts else NOTHING
    if exception_freedom(kernel, facts).holds(program.arguments):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            function(*program.arguments)
