"""Branches, `while` and jumps against CPython; names without a value; exits that carry what is live."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from lean_agentic.jit_runtime.lir import Mode
from tests.jit_runtime.against_cpython import again, compiled, same


@pytest.mark.parametrize("n", [0, 1, 3, 7])
def test_while_with_else_break_and_continue(n: int) -> None:
    source = """
def f(n, stop):
    i = t = 0
    while i < n and t < 100:
        i += 1
        if i % 3 == 0:
            continue
        if i == stop:
            break
        j = 0
        while True:
            j += 1
            if j > i:
                break
            t += j
    else:
        t = -t
    return i, t
"""
    run = compiled(source, 1, 1)
    for stop in range(8):
        again(run, n, stop)


def test_names_that_may_have_no_value() -> None:
    source = """
def f(a, b, xs):
    if a:
        x = xs[0]
    if b:
        y = 2.5
        for k in range(a):
            x = y
    while b < 2:
        b += 1
        if b == 2:
            y = x
    return x, y, xs[b]
"""
    run = compiled(source, 1, 1, [1, 2, 3])
    for a, b in itertools.product(range(3), range(-1, 4)):
        again(run, a, b, [1, 2, 3])


def test_names_assigned_only_where_an_endless_loop_is_left() -> None:
    source = """
def f(n, xs):
    while True:
        n = n * 2 + 1
        if n > 2**40:
            y = [n, xs[n % 2**10]]
            break
    return y
"""
    assert same(source, 1, [1] * 2000).outcome[0] == "returned"
    assert same(source, 1, [1]).outcome[1] == "IndexError"


def test_endless_loops_without_an_end() -> None:
    assert same("def f(n):\n    while True:\n        n = 10 // n - 1", 3).outcome[1] == "ZeroDivisionError"
    same("def f(n):\n    while n < 10:\n        n += 1", 3)
    same("def f(n):\n    while False:\n        n += 1\n    else:\n        n -= 1\n    return n", 3)


def test_constant_conditions() -> None:
    same("def f(n):\n    x = 1 if 2**70 else n\n    if 0.0:\n        x = n + 1\n    return x", 3)


def test_a_branch_that_never_comes_back() -> None:
    source = """
def refuse(n):
    raise ValueError(n, 'refused')

def f(n):
    y = (refuse(n) if n > 3 else n) + 1
    if n < 0:
        assert n == -1, 'negative'
    elif n == 2:
        return
    return y
"""
    run = compiled(source, 1)
    for n in (-2, -1, 0, 2, 4):
        again(run, n)


def test_results_of_several_types() -> None:
    source = """
def f(n, x, a):
    if n == 0:
        return
    if n == 1:
        return x
    if n == 2:
        return [n]
    if n == 3:
        return a, n
    if n == 4:
        return a[0]
    return n
"""
    run = compiled(source, 1, 2.5, np.ones(2))
    for n in range(6):
        again(run, n, 2.5, np.ones(2))


def test_leaving_a_loop_repeats_no_effect() -> None:
    source = """
def f(xs, n):
    for i in range(n):
        xs[i] = xs[i] + 1
        xs[0] = xs[0] * 3
    return xs
"""
    run = same(source, [2**60, 1, 1], 3)
    assert len(run.left) == 1
    again(run, [1, 1, 1], 5)
    assert run.outcome[1] == "IndexError"


def test_while_polls_stand_at_the_loop() -> None:
    run = compiled("def f(n):\n    k = 0\n    while k < n:\n        k += 1\n    return k", 3)
    poll = next(point for point in run.compiled.selected.exits if point.mode is Mode.POLL)
    statement = run.kernel.statements[poll.statement][1]
    assert type(statement).__name__ == "While"
    assert set(poll.names) == {"n", "k"}


def test_polls_hand_over_the_live_locals() -> None:
    source = "def f(n):\n    t, k = 0, 0\n    while k < n:\n        k += 1\n        t ^= k\n    return t"
    run = compiled(source, 3)
    run.compiled.code.request_upgrade()
    again(run, 30_000_000)
    assert run.watcher.polls
    assert all(set(each) == {"n", "k", "t"} and each["n"] == 30_000_000 for each in run.watcher.polls)
