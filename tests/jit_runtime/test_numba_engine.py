"""Numba as an engine: every accepted construct against NumPy and CPython, by type, bits, shape and strides."""

# ruff: noqa: E501 (programs, each on its line)
from __future__ import annotations

import copy
import os
import subprocess
import sys
import warnings
from types import FunctionType
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lean_agentic.jit_runtime.errors import NotCompiledError
from lean_agentic.jit_runtime.machine_code import Options
from lean_agentic.jit_runtime.numba_engine import NumbaCode, numba_rival, numba_version, reasons_against
from lean_agentic.kernel import fingerprint, function_from_source, lower, type_of

SPECIAL = np.array([0.0, -0.0, 1.5, -2.5, 0.1, 3.0, np.inf, -np.inf, np.nan, 5e-324, 1.7e308, -1e-310, 0.5, -0.5])
LEFT, RIGHT = (each.ravel().copy() for each in np.meshgrid(SPECIAL, SPECIAL))
GRID = LEFT.reshape(len(SPECIAL), -1)
with np.errstate(over="ignore"):
    SINGLE = LEFT.astype(np.float32), RIGHT.astype(np.float32)


def as_function(source: str) -> FunctionType:
    return function_from_source("import math\nimport numpy as np\n" + source)


def image(value: Any) -> Any:
    """By type and bits, with the strides of arrays and their aliasing."""
    arrays = value if isinstance(value, tuple) else (value,)
    arrays = [each for each in arrays if isinstance(each, np.ndarray)]
    return fingerprint(value), [(each.size and each.strides, each.flags.writeable) for each in arrays]


def outcome(function: Any, arguments: tuple[Any, ...]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            result = function(*arguments)
        except Exception as error:
            return type(error), image(arguments)
        return image((result, *arguments) if not isinstance(result, tuple) else (*result, *arguments)), type(result)


def same(made: NumbaCode, *arguments: Any) -> None:
    calls = made.calls
    expected = outcome(made.function, copy.deepcopy(arguments))
    assert outcome(made, copy.deepcopy(arguments)) == expected
    assert made.calls == calls + 1


def version(source: str, *arguments: Any) -> NumbaCode:
    return numba_version(as_function(source), [type_of(each) for each in arguments])


EXACT = [
    ("def f(a, b):\n return a + b, a - b, a * b, a / b", (LEFT, RIGHT)),
    ("def f(a, b):\n return a + b, a - b, a * b, a / b", SINGLE),
    ("def f(a, b):\n return (a < b), (a <= b), (a > b), (a >= b), (a == b), (a != b)", (LEFT, RIGHT)),
    ("def f(a, b):\n return (a < b) & (a != b), ~(a > b) | (b == b), (a < b) ^ (b < a)", SINGLE),
    ("def f(a):\n return np.sqrt(a), np.abs(a), np.floor(a), np.ceil(a), np.trunc(a), -a, np.square(a)", (LEFT,)),
    ("def f(a):\n return np.sqrt(a), np.absolute(a), np.floor(a), np.ceil(a), np.trunc(a), -a, np.square(a)", SINGLE[:1]),
    ("def f(a, b):\n return np.add(a, b), np.subtract(a, b), np.multiply(a, b), np.divide(a, b)", (LEFT, RIGHT)),
    ("def f(a, x):\n return a + x, x - a, a * x, a / x, x / a, a > x", (LEFT, 0.1)),
    ("def f(a, x):\n return a / x, x / a, a * x", (LEFT, 0.0)),
    ("def f(a):\n return a + 1, 2 - a, a * 3, a / 0, 7 / a, a > 1, a / -3", (LEFT,)),
    ("def f(a, b):\n return np.where(a < b, a, b), np.where(a > 0.0, a, 0.0), np.where(b > a, 1.5, a)", (LEFT, RIGHT)),
    ("def f(a, b):\n return a * b[0] + b, a[:, 1:] - b[:, :-1], a[:1] + b[:, :1], a[2] / b", (GRID, GRID.T.copy())),
    ("def f(a, b):\n t = a * 2.0\n a[0] = 5.0\n r = t + b\n a[1:] = r[1:] + 0.0\n return r", (LEFT, RIGHT)),
    ("def f(a):\n a[1:-1] = 0.5 * (a[2:] + a[:-2])", (LEFT,)),
    ("def f(a, b):\n a[:] = a + b * 2.0\n a -= 1.0\n a *= a\n a /= 3\n b[2:] *= b[0]\n return a", (LEFT, RIGHT)),
    ("def f(a, n):\n for i in range(n):\n  a[1:-1] = (a[:-2] + a[2:]) / 2.0\n return a", (LEFT, 9)),
    ("def f(a):\n for i in range(1, len(a)):\n  a[i] = a[i - 1] * 0.5 + a[i] + a[i, 0]\n  a[i, 0] = a[i, 1] / 4.0", (GRID,)),
    ("def f(a, x):\n y = x * 2 - 1.0\n z = y / 3\n if x > 1.0 and not len(a) < 2:\n  r = a * z\n else:\n  r = a + z\n return r",
     (LEFT, 1.5)),
    ("def f(a):\n b = np.zeros_like(a)\n c = np.ones_like(a)\n d = a.copy()\n b[1:] = 2 * d[1:]\n return b, c, d", (GRID,)),
    ("def f(a):\n return a[0] * 1.0 + a[-1] / a[a.shape[0] - 2]", (GRID,)),
    ("def f(a, x):\n b = a / x\n if x > 0.0:\n  return b\n return a", (LEFT, 0.1)),
]  # fmt: skip


@pytest.mark.parametrize(("source", "arguments"), EXACT)
def test_same_as_numpy(source, arguments):
    made = version(source, *arguments)
    same(made, *arguments)
    empty = tuple(each[:0] if isinstance(each, np.ndarray) and each.ndim == 1 else each for each in arguments)
    same(made, *empty)


ERRORS = [
    ("def f(a, x):\n a[0] = 1.0\n return a * (1.0 / x)", (np.ones(3), 0.0)),
    ("def f(a, b):\n a[0] = 7.0\n return a + b", (np.ones(3), np.ones(4))),
    ("def f(a, b):\n return a == b", (np.ones(3), np.ones(4))),
    ("def f(a, b):\n a[1:] = b * 1.0", (np.ones(3), np.ones(4))),
    ("def f(a, b):\n a[1:] = b * 1.0", (np.ones(2), np.ones(4))),
    ("def f(a, b):\n a[1:] = b * 1.0", (np.ones(4), np.ones(1))),
    ("def f(a, b):\n a[:, 1:] = b * 1.0", (np.ones((2, 4)), np.ones((2, 1)))),
    ("def f(a, b):\n a[:, 1:] = b * 1.0", (np.ones((2, 4)), np.ones((1, 1)))),
    ("def f(a, b):\n a[:, 1:] = b * 1.0", (np.ones((2, 2)), np.ones((2, 4)))),
    ("def f(a, b):\n a[:, 1:] = b * 1.0", (np.ones((1, 2)), np.ones((2, 1)))),
    ("def f(a, b):\n a[1:] = b * 1.0", (np.ones((2, 4)), np.ones(4))),
    ("def f(a, b):\n a[1:] = b * 1.0", (np.ones((2, 4)), np.ones(3))),
    ("def f(a, n):\n for i in range(n):\n  a[i] = a[i + 1] * 2.0", (np.arange(4.0), 6)),
    ("def f(a, n):\n for i in range(n):\n  a[i - 3] = a[i] + 1.0", (np.arange(4.0), 4)),
    ("def f(a, b):\n return np.where(a > b, a, b)", (np.ones(3), np.ones(4))),
    ("def f(a, b):\n return np.where(a > b, a, b)", (np.ones(1), np.ones(4))),
    ("def f(a, b, c):\n return np.where(a > 0.0, b, c)", (np.ones(1), np.ones(4), np.ones(1))),
    ("def f(a, b, c):\n return np.where(a > 0.0, b, 2.0)", (np.ones(4), np.ones(1), np.ones(1))),
    ("def f(a, b):\n return (a > 0.0) & (b > 0.0)", (np.ones(3), np.ones(4))),
]


@pytest.mark.parametrize(("source", "arguments"), ERRORS)
def test_same_shapes_and_errors(source, arguments):
    same(version(source, *arguments), *arguments)


def test_overlapping_arguments():
    made = version("def f(a, b):\n a[1:] = b[:-1] * 1.0\n a[:] = a + b * 2.0", np.ones(3), np.ones(3))
    for first, second in ((slice(0, 9), slice(0, 9)), (slice(1, 9), slice(0, 8)), (slice(0, 8), slice(1, 9))):
        one, other = np.arange(9.0), np.arange(9.0)
        made(one[first], one[second])
        made.function(other[first], other[second])
        assert one.tolist() == other.tolist()


def test_argument_as_result_is_the_argument():
    made, array = version("def f(a):\n a += 1.0\n return a", np.ones(3)), np.ones(3)
    assert made(array) is array


REFUSED = [
    ("def f(a):\n return a ** 2", (LEFT,), "Pow"),
    ("def f(a):\n return a // 2.0", (LEFT,), "FloorDiv"),
    ("def f(a):\n return np.exp(a)", (LEFT,), "a call of np.exp"),
    ("def f(a):\n return np.sum(a)", (LEFT,), "a call of np.sum"),
    ("def f(a):\n return a.sum()", (LEFT,), "a call of a.sum"),
    ("def f(a, b):\n return a @ b", (LEFT, LEFT), "MatMult"),
    ("def f(a):\n return np.maximum(a, a)", (LEFT,), "a call of np.maximum"),
    ("def f(a, x):\n return a * x", (SINGLE[0], 0.1), "arithmetic of"),
    ("def f(a, b):\n return a * b", (SINGLE[0], LEFT), "arithmetic of"),
    ("def f(a, n):\n return a * n", (LEFT, 3), "arithmetic of"),
    ("def f(a):\n return a + len(a)", (LEFT,), "arithmetic of ints"),
    ("def f(a, n):\n m = n * n\n return a", (LEFT, 3), "arithmetic of"),
    ("def f(a):\n return a[0]", (LEFT,), "a element as result"),
    ("def f(a):\n return a[1:]", (LEFT,), "a view as result"),
    ("def f(a):\n return a[::-1] * 1.0", (LEFT,), "a slice with a step"),
    ("def f(a):\n return a.T * 1.0", (GRID,), "the attribute T"),
    ("def f(a):\n if a[0] > 1.0:\n  b = a * 1.0\n return b", (LEFT,), "may have no value"),
    ("def f(a, n):\n for i in range(n):\n  b = a * 1.0\n return b", (LEFT, 2), "may have no value"),
    ("def f(a):\n x = 1.0\n x = a * x\n return x", (LEFT,), "x is now number"),
    ("def f(a):\n b = a\n b += 1.0", (LEFT,), "a second name"),
    ("def f(a, b):\n a[1:] = b[:-1]", (LEFT, LEFT), "may overlap"),
    ("def f(a, b):\n a += b", (LEFT, LEFT), "an array in place"),
    ("def f(a, b):\n a += b * 2.0", (LEFT, LEFT), "an array in place"),
    ("def f(a):\n a[0] = a[1] / a[2]", (LEFT,), "inf for NumPy's scalars"),
    ("def f(a, x):\n if x > 1.0:\n  return a", (LEFT, 1.0), "now None, now an array"),
    ("def f(a):\n while a[0] < 9.0:\n  a += 1.0", (LEFT,), "While"),
    ("def f(a):\n return [a, a]", (LEFT,), "List"),
    ("def f(a):\n return a * other", (LEFT,), "other is from outside"),
    ("def f(a):\n print(a)", (LEFT,), "an expression as a statement"),
    ("def f(a):\n return a + 1.0", (np.arange(3),), "a is array[int64, 1]"),
    ("def f(a):\n return a + 1.0", (np.array(3.0),), "a is array[float64, 0]"),
    ("def f(a):\n return a + 1.0", ([1.0],), "a is list[float]"),
    ("def f(a, x):\n return a + x", (LEFT, True), "x is bool"),
    ("def f(a):\n return a + 99999999999999999", (LEFT,), "the constant"),
    ("def f(a):\n return 0 < a < 1", (LEFT,), "chained"),
    ("def f(a, *rest):\n return a", (LEFT,), "not taken"),
    ("def f(a, *, b):\n return a", (LEFT, LEFT), "2 types for 1"),
    ("def f(a):\n np = a\n return np.sqrt(a)", (LEFT,), "second name"),
]


@pytest.mark.parametrize(("source", "arguments", "reason"), REFUSED)
def test_refused(source, arguments, reason):
    function = as_function(source)
    assert reason in " ".join(reasons_against(function, [type_of(each) for each in arguments]))


def test_other_calls_go_elsewhere():
    made = version("def f(a, x):\n return a * x", np.ones(2), 1.0)
    matrix, locked = np.ones((2, 2)), np.ones(2)
    locked.flags.writeable = False
    for array, x in ((matrix, 1.0), (np.ones(4)[::2], 1.0), (locked, 1.0), (np.ones(2), 2), (np.ones(2, "f4"), 1.0)):
        assert image(made(array, x)) == image(made.function(array, x))
    assert made.calls == 0
    assert made(np.ones(2), 3.0).tolist() == [3.0, 3.0]
    assert made.calls == 1


def test_rebound_name_goes_elsewhere():
    made = version("def f(a):\n return np.sqrt(a)", np.ones(2))

    class Other:
        sqrt = staticmethod(lambda a: "other")

    made.function.__globals__["np"] = Other
    assert made(np.ones(2)) == "other"


def test_builtin_that_gets_a_global_goes_elsewhere():
    made = version("def f(a):\n for i in range(2):\n  a[i] = 1.0", np.ones(3))
    made.function.__globals__["range"] = lambda n: [2]
    array = np.zeros(3)
    made(array)
    assert array.tolist() == [0.0, 0.0, 1.0]


def test_errors_say_where_they_come_from():
    made = version("def f(a, x):\n return a * (1.0 / x)", np.ones(2), 1.0)
    with pytest.raises(ZeroDivisionError) as raised:
        made(np.ones(2), 0.0)
    assert "compiled by Numba" in raised.value.__notes__[0]


def test_numba_is_not_imported_before_it_is_needed():
    text = "import sys; import lean_agentic.jit_runtime.numba_engine; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", text], check=False).returncode == 0


@st.composite
def array_programs(draw):
    """A function of two vectors, a matrix and a number; not all are taken."""
    vectors, matrices = ["a", "b"], ["c"]

    def vector(depth: int = 0) -> str:
        kind = draw(st.sampled_from(["name", "slice", "op", "op", "call", "number", "row"])) if depth < 3 else "name"
        if kind == "op":
            return f"({vector(depth + 1)} {draw(st.sampled_from('+-*/'))} {vector(depth + 1)})"
        if kind == "call":
            return f"np.{draw(st.sampled_from(('sqrt', 'abs', 'floor', 'ceil', 'square')))}({vector(depth + 1)})"
        if kind == "number":
            return f"({vector(depth + 1)} {draw(st.sampled_from('+-*/'))} {draw(st.sampled_from(('x', '2', '0.1', 'a[0]')))})"
        if kind == "row":
            return f"{draw(st.sampled_from(matrices))}[{draw(st.integers(-2, 3))}]"
        name = draw(st.sampled_from(vectors))
        return name if kind == "name" else f"{name}[{draw(st.sampled_from((':1', '1:2', '-1:', ':')))}]"

    lines = []
    for number in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["new", "new", "mask", "store", "scale", "matrix"]))
        if kind == "new":
            lines.append(f"v{number} = {vector()} + {vector()}")
            vectors.append(f"v{number}")
        elif kind == "mask":
            lines.append(f"v{number} = np.where({vector()} < {vector()}, {vector()}, {vector()})")
            vectors.append(f"v{number}")
        elif kind == "store":
            part = draw(st.sampled_from((":", "1:", ":-1", "1:3")))
            lines.append(f"{draw(st.sampled_from(vectors))}[{part}] = {vector()} * 1.0")
        elif kind == "scale":
            lines.append(f"{draw(st.sampled_from(vectors))} {draw(st.sampled_from('+-*/'))}= x")
        else:
            lines.append(f"m{number} = c * {vector()}")
            matrices.append(f"m{number}")
    results = ", ".join(vectors[2:] + matrices[1:]) or "a"
    return "def f(a, b, c, x):\n " + "\n ".join([*lines, f"return {results}"])


@settings(max_examples=int(os.environ.get("NUMBA_PROGRAMS", "8")), deadline=None)
@given(array_programs(), st.integers(0, 5), st.integers(0, 5), st.sampled_from(SPECIAL.tolist()))
def test_generated_programs(source, first, second, x):
    columns = max(first, second)
    arguments = (SPECIAL[:first].copy(), SPECIAL[5 : 5 + second].copy(), GRID[:4, :columns].copy(), x)
    assume(not reasons_against(as_function(source), [type_of(each) for each in arguments]))
    same(version(source, *arguments), *arguments)


# -- kernels -----------------------------------------------------------------------------------------------------------

DOT = """
def dot(a, b):
    total = 0.0
    for k in range(min(len(a), len(b))):
        total += a[k] * b[k]
    return total
"""
STENCIL = """
def stencil(a, b):
    for i in range(1, min(len(a), len(b)) - 1):
        b[i] = (a[i - 1] + a[i + 1]) / 2 + i
"""
COUNTS = """
def counts(n):
    total = 0
    for i in range(n):
        total += (i * 3 + (i & 7)) % 5 - (i >> 2)
    return total, n > 3
"""
RATIOS = """
def ratios(a, b, x):
    for i in range(min(len(a), len(b))):
        a[i] = (a[i] / b[i]) * x if b[i] > a[i] else -a[i] / b[i]
"""


def rival(source: str, *arguments: Any) -> NumbaCode:
    kernel = lower(as_function(source), [type_of(each) for each in arguments])
    return numba_rival(kernel, Options().facts(kernel, 3))


@pytest.mark.parametrize(
    ("source", "calls"),
    [
        (STENCIL, [(LEFT, RIGHT), (np.ones(9), np.ones(4))]),
        (COUNTS, [(0,), (1,), (1000,), (-5,)]),
        (RATIOS, [(LEFT, RIGHT, 0.1), (np.ones(1), np.ones(4), -2.5)]),
    ],
)
def test_rival_is_the_same(source, calls):
    made = rival(source, *calls[0])
    for arguments in calls:
        same(made, *arguments)


def test_rival_gives_numpy_scalars_where_cpython_does():
    source = "def f(a):\n s = np.sqrt(2.0)\n for k in range(len(a)):\n  s = s + a[k]\n return s, len(a)"
    made = rival(source, LEFT)
    same(made, np.arange(1.0, 9.0))
    assert type(made(np.ones(2))[0]) is np.float64


def test_rival_is_not_asked_beyond_what_was_assumed():
    made = rival(COUNTS, 3)
    assert made.calls == 0
    same(made, 100)
    assert made.otherwise is made.function
    assert not made.fits((2**40,))
    assert not made.fits((True,))


@pytest.mark.parametrize(
    ("source", "arguments", "reason"),
    [
        (DOT, (LEFT, RIGHT), "the type of the result depends"),
        ("def f(n):\n t = 0\n for i in range(n):\n  t += i * i * i\n return t", (3,), "Binary"),
        ("def f(a, n):\n for i in range(n):\n  a[i] = 1.0", (LEFT, 3), "not proved to be within"),
        ("def f(a, n):\n return a[n]", (LEFT, 3), "Index"),
        ("def f(n):\n x = 1\n if n > 2:\n  x = 0.5\n return x", (3,), "several types"),
        ("def f(x, y):\n return x / y", (1.0, 2.0), "Binary /"),
        ("def f(x, n):\n return n / 3", (1.0, 2), "Binary /"),
        ("def f(x):\n return x ** 2", (1.0,), "Binary **"),
        ("def f(x):\n return math.sqrt(x)", (1.0,), "Intrinsic math.sqrt"),
        ("def f(x, n):\n return x < n", (1.0, 2), "Compare <"),
        ("def f(x):\n return x + True", (1,), "Binary"),
        ("def f(x):\n if x < 0.0:\n  raise ValueError\n return x", (1.0,), "Raise"),
        ("def f(xs):\n return len(xs)", ([1.0],), "xs is list[float]"),
        ("def f(a):\n return len(a)", (np.ones(3, "f4"),), "a is array[float32, 1]"),
        ("def f(z):\n return z * z", (1j,), "z is complex"),
        ("def f(n):\n return n if n < 1 else f(n - 1)", (3,), "Call|calls other functions"),
    ],
)
def test_rival_refused(source, arguments, reason):
    with pytest.raises(NotCompiledError) as raised:
        rival(source, *arguments)
    assert any(part in str(raised.value) for part in reason.split("|")), raised.value
