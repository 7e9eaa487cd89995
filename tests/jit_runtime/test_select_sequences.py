"""Tuples, lists and arrays: elements, stores and attributes against CPython."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from lean_agentic.jit_runtime.facts import Facts
from tests.jit_runtime.against_cpython import again, compiled, same

INDEXES = (-(2**63), -4, -3, -1, 0, 1, 2, 3, 2**63 - 1)
SEQUENCES: tuple[Any, ...] = (
    [1.5, -0.0, 2.5], [1, 2, 3], [True, False, True], [None, None, None], [1, 2.5, True], [(1, 0.5), (2, 1.5)] * 2,
    [[1], [2], [3]], [1j, 2.0 + 1j, -0j], [(1, 2.0), None, 3], [np.float64(1), 2.0, np.int8(3)], [np.bool_(True)] * 3,
    np.arange(3.0), np.arange(6, dtype=np.int16)[::2], np.array([True, False, True]), np.arange(6.0).reshape(3, 2),
    (1, 2, 3), (1, 2.5, None), ((1, 2), [3], 4.0),
)  # fmt: skip


@pytest.mark.parametrize("sequence", SEQUENCES, ids=repr)
def test_elements(sequence: Any) -> None:
    run = compiled("def f(xs, i):\n    return xs[i]", sequence, 1)
    for index in INDEXES:
        again(run, sequence, index)
    assert run.asks == (getattr(sequence, "ndim", 1) > 1), "NumPy makes the row that is returned"


@pytest.mark.parametrize("sequence", SEQUENCES, ids=repr)
@pytest.mark.parametrize("index", [-4, -3, -1, 0, 2, 3])
def test_elements_at_constant_indexes(sequence: Any, index: int) -> None:
    same(f"def f(xs):\n    return xs[{index}]", sequence)


@pytest.mark.parametrize("sequence", [each for each in SEQUENCES if not isinstance(each, tuple)], ids=repr)
def test_stores(sequence: Any) -> None:
    if getattr(sequence, "ndim", 1) > 1:
        sequence = sequence[:, 1]
    run = compiled("def f(xs, i, j):\n    xs[i] = xs[j]\n    return xs, i", sequence, 1, 1)
    for i, j in itertools.product(INDEXES, (0, 2)):
        again(run, sequence, i, j)


def test_numpy_ints_as_indexes() -> None:
    source = "def f(xs, a, i):\n    return xs[a[i]], a[a[i]]"
    for dtype in ("int8", "int64", "uint8", "uint64"):
        run = compiled(source, [1, 2, 3], np.array([1, 0, 2], dtype=dtype), 0)
        for i in range(3):
            again(run, [1, 2, 3], np.array([1, 0, 2], dtype=dtype), i)
    again(run, [1, 2, 3], np.array([2**64 - 1, 2**63, 2], dtype="uint64"), 0)
    assert run.outcome[1] == "IndexError"


def test_stores_of_values_that_need_a_conversion() -> None:
    for dtype in ("int8", "uint64", "float32", "bool", "int64"):
        array = np.zeros(3, dtype=dtype)
        for value in (1, -1, 300, 2.5, True, float("nan"), 2**63 - 1):
            same("def f(a, v):\n    a[1] = v\n    return a", array, value)


def test_stores_of_unions() -> None:
    source = "def f(xs, a, flag, v, w):\n    x = v if flag else w\n    xs[0] = x\n    a[1] = x\n    return xs, a"
    run = compiled(source, [1, 2.5], np.zeros(2), True, 1, 2.5)
    again(run, [1, 2.5], np.zeros(2), True, 7, 2.5)
    again(run, [1, 2.5], np.zeros(2), False, 7, 3.5)
    assert not run.left


def test_a_read_only_array_is_left_to_python() -> None:
    run = compiled("def f(a):\n    a[1] = 1.0\n    return a", np.zeros(3))
    array = np.zeros(3)
    array.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        run.compiled.code(array)


def test_containers_of_several_types() -> None:
    source = """
def f(flag, xs, a, t):
    c = xs if flag == 0 else a if flag == 1 else t
    return c[0], c[-1], len(c)

def g(flag, xs, a, i):
    c = xs if flag else a
    c[i] = float(c[i - 1])
    return c
"""
    run = compiled(source.split("\ndef g")[0], 0, [1, 2], np.ones(3), (1, None, 2.5))
    for flag in range(3):
        again(run, flag, [1, 2], np.ones(3), (1, None, 2.5))
    run = compiled("def g" + source.split("\ndef g")[1], True, [1.0, 2.0], np.zeros(2), 1)
    for flag, i in itertools.product((True, False), (0, 1, 2)):
        again(run, flag, [1.0, 2.0], np.zeros(2), i)


def test_empty_lists() -> None:
    same("def f(xs, i):\n    return xs[i]", [], 0)
    same("def f(xs, i):\n    xs[i] = 1\n    return xs", [], 0)
    source = "def f(flag, xs):\n    ys = []\n    if flag:\n        ys = xs\n    return ys[0] + 1"
    run = compiled(source, True, [1])
    again(run, True, [1])
    again(run, False, [1])


def test_tuples_are_unpacked_and_nested() -> None:
    source = """
def f(a, b, n):
    t = (a, (b, a), [n])
    x, (y, z), w = t
    best = (0, 0.5)
    for i in range(n):
        best = (best[1], i) if i % 2 else (i, best[0])
    return t[1][n % 2], x, y, z, w, best, t
"""
    run = compiled(source, 1, 2.5, 3)
    for n in range(4):
        again(run, 1, 2.5, n)


def test_unpacking_a_union_of_tuples() -> None:
    source = "def f(flag):\n    t = (1, 2.5)\n    if flag:\n        t = (None, 3)\n    a, b = t\n    return b, a, t"
    same(source, True)
    same(source, False)


ARRAYS = (np.array(2.5), np.arange(6.0), np.arange(6).reshape(2, 3), np.arange(24.0).reshape(2, 3, 4))


@pytest.mark.parametrize("name", ["shape", "ndim", "size", "T"])
@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: str(array.ndim))
def test_attributes_of_arrays(name: str, array: Any) -> None:
    same(f"def f(a):\n    return a.{name}", array)


def test_identity_of_views() -> None:
    array = np.arange(6.0).reshape(2, 3)
    for expression in ("g[:]", "(g[0], g[0])", "[g.T, g]", "g[:, :]"):
        assert same(f"def f(g):\n    return {expression}", array).asks
    source = """
def same(a):
    b = a
    return b

def element(a, i):
    row = a[i]
    return row[0]

def f(g):
    u = g[1]
    v = u
    w = same(g[0])
    return v, u, w, element(g.T, 1), element(g[:, ::-1], 0)
"""
    assert same(source, array).asks == 2


def test_views_that_nobody_sees_are_no_objects() -> None:
    source = """
def f(g):
    t = 0.0
    for row in g.T[::-1]:
        row[1] += row[0]
        for x in row[::2]:
            t += x
    return t
"""
    assert not same(source, np.arange(6.0).reshape(2, 3)).asks


@pytest.mark.parametrize(
    "value", [True, -3, 2.5, 1.5 - 0.0j, np.bool_(True), np.int8(-4), np.float32(0.5), np.uint64(7)]
)
def test_parts_of_numbers(value: Any) -> None:
    if isinstance(value, np.generic):
        same("def f(a):\n    return a[0].real, a[0].imag", np.array([value]))
    else:
        same("def f(x):\n    return x.real, x.imag", value)


def test_parts_of_a_union() -> None:
    source = "def f(flag, x, c):\n    v = x\n    if flag:\n        v = c\n    return v.real, v.imag"
    same(source, True, 3, 1 + 2j)
    same(source, False, 3, 1 + 2j)


def test_proved_indexes_are_not_checked() -> None:
    facts = Facts(within=frozenset({(1, 0), (2, 0), (2, 1)}), unit_stride=frozenset({2}))
    run = compiled("def f(xs, g, i):\n    return xs[i] + g[i, i]", [1.0, 2.0], np.ones((2, 2)), 1, facts=facts)
    assert not any(
        each[0] == "guard" for block in run.compiled.selected.unit.functions[0].blocks for each in block.instructions
    )
    again(run, [1.0, 2.0], np.arange(4.0).reshape(2, 2), 1)


def test_counters_need_no_test_for_negative_indexes() -> None:
    run = same(
        "def f(xs):\n    t = 0\n    for i in range(len(xs)):\n        t += xs[i] * xs[i // 2]\n    return t", [1, 2, 3]
    )
    blocks = run.compiled.selected.unit.functions[0].blocks
    assert not any(each[0] == "icmp" and each[3:] == (0, "slt") for block in blocks for each in block.instructions)


@pytest.mark.parametrize("kind", ["zeros", "ones"])
@pytest.mark.parametrize("shape", ["n", "(n, 2)", "a.shape", "(a[0], n)", "m", "(m, 1)", "b.shape", "(n > 0, n)", "()"])
def test_new_arrays(kind: str, shape: str) -> None:
    source = f"""
def f(flag, n, a, b):
    m = n if flag else a[0]
    made = np.{kind}({shape})
    also = np.{kind}({shape}, dtype=np.int16)
    return made, also, made.size, made
"""
    if shape == "()":
        source = source.replace("also, made.size", "also")
    for dtype in ("int8", "uint64"):
        run = compiled(source, True, 3, np.array([2, 1], dtype=dtype), np.ones((2, 3)))
        for flag, n in itertools.product((True, False), (3, 0, -1, 2**62)):
            again(run, flag, n, np.array([2, 1], dtype=dtype), np.ones((2, 3)))
    again(run, False, 1, np.array([2**63, 1], dtype="uint64"), np.ones((2, 3)))
