"""Which loops are proved to have independent iterations, and why others are not."""

# ruff: noqa: E501 (programs, each on its line)
from __future__ import annotations

import numpy as np
import pytest

from lean_agentic.jit_runtime.independence import Independence, independent_loops
from lean_agentic.kernel import function_from_source, lower, type_of

VECTOR, MATRIX = np.ones(3), np.ones((3, 3))
INTS = np.ones(3, dtype=np.int64)
HELPERS = """
import math
import numpy as np

def plain(x):
    return x * 2.0

def changes(xs):
    xs[0] = 1.0
    return 0

def first(xs):
    return xs[0]

def itself(xs):
    return xs
"""


def loops(source: str, *arguments: object) -> tuple[list[Independence], list[Independence]]:
    """What is found in the last function of a text."""
    function = function_from_source(HELPERS + source)
    return independent_loops(lower(function, [type_of(each) for each in arguments]))


INDEPENDENT = [
    ("def f(a, b):\n for i in range(len(a)):\n  a[i] = b[i] + 1.0", (VECTOR, VECTOR), {"a": 0}, ""),
    ("def f(a, b):\n for i in range(1, len(a)):\n  a[i - 1] = b[i] + b[0]", (VECTOR, VECTOR), {"a": -1}, ""),
    ("def f(a):\n for i in range(len(a)):\n  a[i] += a[i] * 2.0", (VECTOR,), {"a": 0}, ""),
    ("def f(a):\n for i in range(2):\n  j = 1 + i\n  a[j] = a[j] * 2.0", (VECTOR,), {"a": 1}, ""),
    ("def f(a):\n for i in range(3):\n  for j in range(3):\n   a[i, j] = a[i, 0]", (MATRIX,), {"a": 0}, ""),
    ("def f(a):\n for i in range(3):\n  row = a[i]\n  for j in range(3):\n   row[j] = j", (MATRIX,), {"a": 0}, ""),
    ("def f(a, b):\n for i in range(3):\n  a[i, 1:] = b[0, 1:]\n  a[i][:1] = 2.0", (MATRIX, MATRIX), {"a": 0}, ""),
    ("def f(a):\n for i in range(3):\n  v = a[i].T[1:]\n  v[0] = 2.0", (MATRIX,), {"a": 0}, ""),
    ("def f(a):\n for i in range(3):\n  t = np.zeros(3)\n  t[0] = i\n  a[i] = t[0]", (VECTOR,), {"a": 0}, ""),
    ("def f(a):\n t = 0\n for i in range(3):\n  t += i\n  a[i] = 1.0\n return t", (VECTOR,), {"a": 0}, "t"),
    ("def f(n):\n t = 5\n for i in range(n):\n  t -= i * i\n  if i > 3:\n   t += 1\n return t", (4,), {}, "t"),
    ("def f(a):\n for i in range(3):\n  x = plain(a[i])\n  a[i] = x", (VECTOR,), {"a": 0}, ""),
    ("def f(a, b):\n for i in range(3):\n  a[i] = first(b[i])", (VECTOR, MATRIX), {"a": 0}, ""),
    ("def f(a):\n for i in range(3):\n  changes(a[i])", (MATRIX,), {"a": 0}, ""),
    ("def f(a):\n for i in range(3):\n  if a[i] < 0.0:\n   raise ValueError('x')\n  a[i] = 1.0", (VECTOR,), {"a": 0}, ""),
    ("def f(a, b):\n for i, x in enumerate(b):\n  a[i] = x", (VECTOR, VECTOR), {"a": 0}, ""),
    ("def f(a):\n for i in range(3):\n  k = i\n  while k > 0:\n   k -= 1\n   if k == 2:\n    break\n  a[i] = k",
     (VECTOR,), {"a": 0}, ""),
    ("def f(a):\n for i in range(3):\n  a[i] = sum([j for j in range(i)])", (VECTOR,), {"a": 0}, ""),
]  # fmt: skip


@pytest.mark.parametrize(("source", "arguments", "written", "total"), INDEPENDENT)
def test_independent(source, arguments, written, total):
    taken, refused = loops(source, *arguments)
    if written is None:
        assert [each.reasons for each in refused] == [("line 2: it stores into no array",)] or "no array" in str(
            refused
        )
        return
    (found,) = taken
    assert found.reasons == ()
    assert dict(found.written) == written
    assert found.total == total


DEPENDENT = [
    ("def f(a):\n for x in a:\n  if x > 0:\n   continue\n return 0", (VECTOR,), "it stores into no array"),
    ("def f(a):\n for i in range(1, 3):\n  a[i] = a[i - 1]", (VECTOR,), "touches what another one stores into a"),
    ("def f(a):\n for i in range(2):\n  a[i] = 1.0\n  a[i + 1] = 2.0", (VECTOR,), "elsewhere|another one"),
    ("def f(a):\n for i in range(3):\n  a[2 * i] = 1.0", (VECTOR,), "elsewhere than at the counter"),
    ("def f(a):\n for i in range(2):\n  a[i] = a[i + 1]", (MATRIX,), "another one|elsewhere"),
    ("def f(a):\n for i in range(2):\n  a[i:] = 2.0", (MATRIX,), "elsewhere than at the counter"),
    ("def f(a):\n for i in range(3):\n  a[0] = i", (VECTOR,), "elsewhere than at the counter"),
    ("def f(a, k):\n for i in range(3):\n  a[i + k] = 1.0", (VECTOR, 1), "elsewhere than at the counter"),
    ("def f(a):\n for i in range(3):\n  a[:, i][0] = 1.0", (MATRIX,), "elsewhere than at the counter"),
    ("def f(a):\n v = a[1:]\n for i in range(2):\n  a.T[i, 0] = 1.0", (MATRIX,), "elsewhere than at the counter"),
    ("def f(a):\n for i in range(2):\n  v = a[1:]\n  v[i] = 1.0\n  a[i] = 2.0", (VECTOR,), "elsewhere|another one"),
    ("def f(a, b):\n s = 0.0\n for i in range(3):\n  s += b[i]\n  a[i] = s", (VECTOR, VECTOR), "s is carried"),
    ("def f(a):\n s = 0.0\n for i in range(3):\n  s += a[i]\n return s", (VECTOR,), "not only as a sum of ints"),
    ("def f(a):\n t = 0\n for i in range(3):\n  t += i\n  a[i] = t", (VECTOR,), "t is carried"),
    ("def f(a):\n t = 0\n for i in range(3):\n  t = a[i] = t + i\n return t", (INTS,), "t is carried"),
    ("def f(n):\n t = 0\n for i in range(n):\n  t, t = t + 1, t + 2\n return t", (3,), "t is carried"),
    ("def f(n):\n t = 0\n for i in range(n):\n  t = i - t\n return t", (3,), "t is carried"),
    ("def f(n):\n t = 0\n for i in range(n):\n  t = t * 2 + i\n return t", (3,), "t is carried"),
    ("def f(n):\n t = 0\n for i in range(n):\n  t += t\n return t", (3,), "t is carried"),
    ("def f(n):\n t = 0\n for i in range(n):\n  t += i if t < 9 else 0\n return t", (3,), "t is carried"),
    ("def f(n):\n t = u = 0\n for i in range(n):\n  t += i\n  u += t\n return u", (3,), "t is carried"),
    ("def f(n):\n t = u = 0\n for i in range(n):\n  t += i\n  u += i\n return t, u", (3,), "several sums"),
    ("def f(a):\n for i in range(3):\n  a[i] = 1.0\n return i", (VECTOR,), "i is carried into what follows"),
    ("def f(a):\n x = 0.0\n for i in range(3):\n  a[i] = x\n  x = 2.0", (VECTOR,), "x is carried into the next"),
    ("def f(a):\n for i in range(3):\n  if a[i] > 2.0:\n   break\n  a[i] = 1.0", (VECTOR,), "can break"),
    ("def f(a):\n for i in range(3):\n  if a[i] > 2.0:\n   return 1\n  a[i] = 1.0", (VECTOR,), "can return"),
    ("def f(a):\n for i in range(0, 3, 2):\n  a[i] = 1.0", (VECTOR,), "step is not 1"),
    ("def f(a):\n for i in range(3):\n  a[i] = 1.0\n else:\n  a[0] = 2.0", (VECTOR,), "else block"),
    ("def f(a, xs):\n for i in range(3):\n  a[i] = xs[i]", (VECTOR, [1.0]), "xs is a list"),
    ("def f(xs):\n for i in range(3):\n  xs[i] = 1.0", ([1.0],), "xs is a list"),
    ("def f(a, p):\n for i in range(3):\n  a[i] = p[0][i]", (VECTOR, (VECTOR, 1)), "not followed|not known"),
    ("def f(a):\n for i in range(3):\n  changes(a)", (VECTOR,), "elsewhere than at the counter"),
    ("def f(a):\n for i in range(3):\n  r = itself(a)\n  r[i] = 1.0", (VECTOR,), "not known which array"),
    ("def f(a, b):\n for i in range(3):\n  a[i] = first(a)", (VECTOR, VECTOR), "elsewhere|another one"),
    ("def f(a, b):\n for i in range(3):\n  r = a if i > 1 else b\n  r[i] = 1.0", (VECTOR, VECTOR), "several places"),
    ("def f(a, c):\n if c:\n  x = 1.0\n for i in range(3):\n  a[i] = x", (VECTOR, True), "x may have no value"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "arguments", "reason"), DEPENDENT)
def test_not_independent(source, arguments, reason):
    taken, refused = loops(source, *arguments)
    assert taken == []
    text = " ".join(str(each) for each in refused)
    assert any(part in text for part in reason.split("|")), text


def test_inner_loop_of_one_that_is_not():
    source = """
def jacobi(a, b, steps):
    for step in range(steps):
        for i in range(1, len(a) - 1):
            for j in range(1, len(a) - 1):
                b[i, j] = 0.25 * (a[i - 1, j] + a[i + 1, j] + a[i, j - 1] + a[i, j + 1])
        a, b = b, a
"""
    taken, refused = loops(source, MATRIX, MATRIX, 3)
    assert [each.loop.line - refused[0].loop.line for each in taken] == [1]
    assert taken[0].inputs == ("a", "b")


def test_short_inner_loops_are_left_alone():
    taken, _ = loops("def f(a, n):\n while n:\n  for i in range(3):\n   a[i] = 1.0\n  n -= 1", VECTOR, 3)
    assert taken == []
