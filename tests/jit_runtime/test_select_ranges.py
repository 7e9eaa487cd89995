"""Loops over ranges against CPython's, at the ends of int64 too."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from lean_agentic.jit_runtime.facts import Condition, Facts, LoopVersion
from lean_agentic.jit_runtime.select_ranges import STRIP
from lean_agentic.kernel import lower, type_of
from lean_agentic.kernel.ir import ForRange, Index, walk
from lean_agentic.kernel.kernel import Kernel
from tests.jit_runtime.against_cpython import again, as_function, compiled, same

LOW, HIGH = -(2**63), 2**63 - 1
BOUNDS = (LOW, LOW + 1, -3, 0, 2, HIGH - 1, HIGH)
COUNT = """
def f(start, stop, step):
    seen, last = 0, 0
    for k in range(start, stop, step):
        seen, last = seen + 1, k
        if seen == 4:
            break
    else:
        seen = -seen
    return seen, last
"""


def test_variable_bounds_and_step() -> None:
    run = compiled(COUNT, 0, 3, 1)
    steps = (LOW, LOW + 1, -3, -1, 0, 1, 2, HIGH - 1, HIGH)
    for start, stop, step in itertools.product(BOUNDS, BOUNDS, steps):
        again(run, start, stop, step)
    assert {point.reason for point in run.watcher.left_at} == {"ForRange"}, "left only for the step 0"


@pytest.mark.parametrize("step", [1, -1, 2, -7, HIGH, LOW])
def test_constant_step(step: int) -> None:
    run = compiled(COUNT.replace("start, stop, step)", "start, stop)", 1).replace("stop, step", f"stop, {step}"), 0, 3)
    for start, stop in itertools.product(BOUNDS, BOUNDS):
        again(run, start, stop)
    assert not run.left


def test_constant_bounds_beyond_64_bits_are_left_to_python() -> None:
    source = f"def f(n):\n    for k in range(n, {2**70}, {2**69}):\n        n += k % 7\n    return n"
    assert same(source, 5).left


def test_zero_step_raises() -> None:
    assert same("def f(n):\n    for k in range(0, n, 0):\n        n += 1\n    return n", 5).outcome[1] == "ValueError"


@pytest.mark.parametrize("n", [0, 1, 5])
def test_else_break_continue_and_return(n: int) -> None:
    source = """
def f(n, stop):
    found = []
    for i in range(n):
        if i == 3:
            continue
        for j in range(i, n, 2):
            if j == stop:
                break
            if i + j == 2 * stop:
                return -1, j
        else:
            found = [i for q in range(2)]
    else:
        return 1, n
    return 0, len(found)
"""
    run = compiled(source, 1, 1)
    for stop in range(6):
        again(run, n, stop)


def test_the_counter_keeps_its_value_after_the_loop() -> None:
    same("def f(n):\n    for i in range(n):\n        pass\n    return i", 5)
    assert same("def f(n):\n    for i in range(n):\n        pass\n    return i", 0).outcome[1] == "UnboundLocalError"


def test_assigning_the_loop_variable_does_not_change_the_iteration() -> None:
    same("def f(n):\n    t = 0\n    for i in range(n):\n        t += i\n        i = i * 10\n    return t, i", 4)


def loop_id(kernel: Kernel) -> int:
    """The only loop of a kernel."""
    return next(each.id for each in walk(kernel.entry.body) if isinstance(each, ForRange))


@pytest.mark.parametrize("step", [1, -1])
@pytest.mark.parametrize("n", [0, 1, STRIP - 1, STRIP, STRIP + 1, 3 * STRIP + 5])
def test_strips(step: int, n: int) -> None:
    bounds = "0, n" if step == 1 else "n, 0, -1"
    source = f"def f(n):\n    t = 0\n    for i in range({bounds}):\n        t += i ^ (t & 7)\n    return t"
    loop = loop_id(lower(as_function(source), [type_of(n)]))
    same(source, n, facts=Facts(block_polls=frozenset({loop})))


def test_strips_at_the_end_of_int64() -> None:
    source = "def f(a, b):\n    t = 0\n    for i in range(a, b):\n        t += i & 7\n    return t"
    loop = loop_id(lower(as_function(source), [type_of(1)] * 2))
    run = compiled(source, 1, 1, facts=Facts(block_polls=frozenset({loop})))
    for start, stop in ((HIGH - 5, HIGH), (LOW, LOW + 5000), (HIGH, LOW), (HIGH - STRIP, HIGH)):
        again(run, start, stop)


VERSIONED = """
def f(xs, start, stop, base):
    t = 0
    for i in range(start, stop{step}):
        t = t * 3 % 1000 + xs[i + {offset}] + xs[base]
    return t
"""


@pytest.mark.parametrize("step", ["", ", -1", ", 2", ", -3"])
@pytest.mark.parametrize("offset", [-1, 0, 2])
def test_versions_of_a_loop(step: str, offset: int) -> None:
    source = VERSIONED.format(step=step, offset=offset)
    arguments: tuple[Any, ...] = ([3, 1, 4, 1, 5, 9], 1, 4, 0)
    kernel = lower(as_function(source), [type_of(each) for each in arguments])
    reads = [each.id for each in walk(kernel.entry.body) if isinstance(getattr(each, "operation", None), Index)]
    loop = next(each for each in walk(kernel.entry.body) if isinstance(each, ForRange))
    conditions = (Condition("xs", 0, None, offset), Condition("xs", 0, "base", 0))
    version = LoopVersion(conditions, frozenset((each, 0) for each in reads))
    run = compiled(source, *arguments, facts=Facts(versions={loop.id: version}))
    for start, stop, base in itertools.product((-2, 0, 1, 3, 6), (-2, 0, 1, 4, 6, 9), (-1, 0, 5, 6, HIGH)):
        again(run, arguments[0], start, stop, base)


def test_versions_over_arrays_and_both_axes() -> None:
    source = "def f(g, n):\n    t = 0.0\n    for i in range(n):\n        t += g[i, 0] + g[0, i]\n    return t"
    grid = np.arange(12.0).reshape(3, 4)
    kernel = lower(as_function(source), [type_of(grid), type_of(1)])
    reads = [each.id for each in walk(kernel.entry.body) if isinstance(getattr(each, "operation", None), Index)]
    loop = loop_id(kernel)
    conditions = (Condition("g", 0, None, 0), Condition("g", 1, None, 0))
    within = frozenset({(reads[0], 0), (reads[1], 1)})
    run = compiled(source, grid, 1, facts=Facts(versions={loop: LoopVersion(conditions, within)}))
    for n in range(6):
        again(run, grid, n)


def test_polls_stand_at_the_first_statement_with_the_counter() -> None:
    run = compiled("def f(n):\n    t = 0\n    for i in range(n):\n        t += i\n    return t", 3)
    poll = next(point for point in run.compiled.selected.exits if point.mode.name == "POLL")
    loop = next(each for each in walk(run.kernel.entry.body) if isinstance(each, ForRange))
    assert poll.statement == loop.body[0].id
    assert loop.counter in poll.names


def test_short_loops_and_empty_loops_do_not_poll() -> None:
    run = same(
        "def f(n):\n    for i in range(3):\n        n += i\n    for i in range(n):\n        pass\n    return n", 3
    )
    polls = [point for point in run.compiled.selected.exits if point.mode.name == "POLL"]
    assert len(polls) == 1, "that of the second loop, which assigns i"
