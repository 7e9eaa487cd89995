"""Lists that compiled code makes, against CPython."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from lean_agentic.jit_runtime.lir import Mode
from tests.jit_runtime.against_cpython import again, compiled, same


@pytest.mark.parametrize(
    "display",
    ["[n, n + 1]", "[x, -0.0]", "[n, x, None, n > 1]", "[n > 1, n < 1]", "[(n, x), (n + 1, 2.5)]", "[[n], [n, n]]",
     "[a[0], x]", "[a, a[1:]]", "[None, None]", "[1j, x * 1j]", "[]", "[[], [n]]", "[xs, xs]", "[a[0] > 1, n > 1]"],
)  # fmt: skip
def test_displays(display: str) -> None:
    same(f"def f(n, x, a, xs):\n    return {display}", 3, 2.5, np.ones(3), [1.5])


@pytest.mark.parametrize("n", [-1, 0, 1, 3])
@pytest.mark.parametrize("items", ["1", "0.5, n", "True", "xs", "(n, 2.5), (1, 0.5)", "None"])
def test_repeating_and_joining(items: str, n: int) -> None:
    source = (
        f"def f(n, xs):\n    ys = [{items}] * n\n    zs = ys + ys\n    return ys, zs, zs[:1] + ys[::-1] * 2, xs + xs"
    )
    same(source, n, [1, 2])
    same(source.replace("* n", "* (n > 0)"), n, [1, 2])


def test_repeating_too_often() -> None:
    assert same("def f(n):\n    return len([0, 1] * n)", 2**62).outcome[1] == "MemoryError"
    assert same("def f(n):\n    return len([0] * (n * 2**64))", 0).outcome[0] == "returned"


@pytest.mark.parametrize(
    "comprehension",
    ["[k for k in range(n)]", "[x * k for k in range(n) if k % 2]", "[[k] * j for k in range(n) for j in range(k)]",
     "[y for y in xs]", "[(y, k) for k, y in enumerate(xs)]", "[y if y > 1 else None for y in xs]", "list(xs)",
     "[[y + k for y in xs] for k in range(n)]", "[y > 1 for y in xs]", "[r for r in [xs] * n]", "list(range(n))",
     "[1 // (2 - k) for k in range(n)]", "[k * 2**62 for k in range(n)]"],
)  # fmt: skip
def test_comprehensions(comprehension: str) -> None:
    run = compiled(
        f"def f(n, x, xs):\n    ys = {comprehension}\n    return ys, len(ys), [len([k]) for k in ys]", 3, 1.5, [2, 0]
    )
    for n in (0, 1, 2, 3, 20):
        again(run, n, 1.5, [2, 0, 7])


def test_lists_are_aliased_and_written_as_in_cpython() -> None:
    source = """
def f(rows, n):
    grid = [[0] * n for k in range(n)]
    same = [grid[0]] * 2
    for i in range(n):
        grid[i][i] = i
        same[i % 2][0] += 7
        rows[i] = grid[0]
        rows[0][0] += 1
    return grid, same, rows
"""
    for n in range(4):
        same(source, [[1], [2], [3], [4]], n)


def test_slices_of_lists_are_copies() -> None:
    source = "def f(xs):\n    ys = xs[:]\n    ys[0] = 5\n    zs = ys[::-1]\n    zs[0] = 6\n    return xs, ys, zs"
    same(source, [1, 2, 3])


def test_a_list_of_unknown_length_in_a_loop_is_looked_into_before_it() -> None:
    run = compiled(
        "def f(xs, n):\n    t = 0\n    for i in range(n):\n        t += xs[i % 3]\n    return t", [1, 2, 3], 5
    )
    blocks = run.compiled.selected.unit.functions[0].blocks
    loads = [block.depth for block in blocks for each in block.instructions if each[0] == "load"]
    assert sorted(loads) == [0, 0, 1]


def test_a_list_that_is_still_growing_is_seen_whole() -> None:
    source = """
def f(n):
    return [k * k * 2**30 for k in range(n)]
"""
    run = compiled(source, 3)
    leaves: list[Any] = []
    run.watcher.left = lambda compiled, point, error: leaves.append(point)  # type: ignore[method-assign]
    again(run, 2**17 + 3)
    assert [point.mode for point in leaves] == [Mode.LEAVE]


def test_lists_of_arrays() -> None:
    source = "def f(a, i):\n    rows = [a[0], a[1], a[0]]\n    rows[0][1] = 5.0\n    return rows[i], rows"
    for i, rank in itertools.product((0, 2), (2, 3)):
        same(source.replace("[1] = 5.0", "[1] = 5.0" if rank == 2 else "[1, 0] = 5.0"), np.ones((2,) * rank), i)


def test_appending_by_name() -> None:
    source = """
def f(n, x):
    found = [x]
    for i in range(n):
        if i % 3:
            found.append(i * x)
    rest = []
    for y in found:
        rest.append((y, len(found)))
        inner = []
        for k in range(3):
            inner.append(k)
        rest.append((y, inner[-1]))
    return found, rest, len(rest)
"""
    run = compiled(source, 1, 0.5)
    for n in (0, 1, 5, 100):
        again(run, n, 0.5)
    assert not run.asks


def test_appending_to_a_name_that_holds_lists_of_several_types() -> None:
    source = """
def f(n, x):
    xs = []
    for i in range(n):
        xs.append(i)
    t = sum(xs)
    xs = [x]
    for i in range(n):
        xs.append(x * i)
    return xs, t
"""
    run = compiled(source, 1, 0.5)
    for n in (0, 1, 40):
        again(run, n, 0.5)
