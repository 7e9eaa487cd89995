"""Loops on threads against CPython: results, changes of arguments, exceptions and the state they leave behind."""

from __future__ import annotations

import copy
import os
import sys
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lean_agentic.jit_runtime import JitRuntime, JitRuntimeConfig, explain, threaded_loop, tiers_of
from lean_agentic.jit_runtime.exception_freedom import exception_freedom
from lean_agentic.jit_runtime.machine_code import Options
from lean_agentic.jit_runtime.parallel import Parallel, parallel_version, reasons_against
from lean_agentic.kernel import continuation, function_from_source, lower, type_of
from tests.jit_runtime.against_cpython import Watcher, as_function, outcome

ROWS = 7


@pytest.fixture(autouse=True)
def _always_threads(monkeypatch):
    """However little there is to do, it goes to the threads."""
    monkeypatch.setattr(threaded_loop, "PROBE_SECONDS", 0.0)
    monkeypatch.setattr(threaded_loop, "WORTH_SECONDS", 0.0)
    monkeypatch.setattr(threaded_loop, "LONGEST_BASELINE", 0.0)


def compiled(source: str, *arguments: Any, speculate: bool = True) -> Parallel:
    """The parallel version for the arguments' types."""
    kernel = lower(as_function(source), [type_of(each) for each in arguments])
    made = parallel_version(kernel, Options(speculate=speculate), Watcher(), threads=3)
    assert made is not None, reasons_against(kernel)
    return made


def same(made: Parallel, *arguments: Any) -> Parallel:
    """Run and compare with CPython; arguments that are the same object, or share memory, do so in both runs."""
    expected = outcome(made.kernel.function, copied(arguments))
    found = outcome(made.code, copied(arguments))
    assert found == expected
    return made


def copied(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """A copy in which views of one array are views of one array again."""
    bases: dict[int, np.ndarray[Any, Any]] = {}

    def one(value: Any) -> Any:
        if not isinstance(value, np.ndarray):
            return copy.deepcopy(value)
        base = value if value.base is None else value.base
        whole = bases.setdefault(id(base), base.copy())
        offset = value.__array_interface__["data"][0] - base.__array_interface__["data"][0]
        made = np.ndarray(value.shape, value.dtype, whole.reshape(-1).view(np.uint8), offset, value.strides)
        made.flags.writeable = value.flags.writeable
        return made

    return tuple(map(one, arguments))


MATMUL = """
def matmul(a, b):
    n, m = len(a), b.shape[1]
    out = np.zeros((n, m))
    for i in range(n):
        for j in range(m):
            s = 0.0
            for k in range(len(b)):
                s += a[i, k] * b[k, j]
            out[i, j] = s
    return out
"""
MANDELBROT = """
def mandelbrot(out, width, limit):
    total = 0
    for y in range(len(out)):
        for x in range(width):
            c = complex(3.0 * x / width - 2.0, 2.0 * y / len(out) - 1.0)
            z = 0j
            count = 0
            while count < limit and z.real * z.real + z.imag * z.imag <= 4.0:
                z = z * z + c
                count += 1
            out[y, x] = count
            total += count
    return total
"""
JACOBI = """
def jacobi(a, b, steps):
    for step in range(steps):
        for i in range(1, len(a) - 1):
            for j in range(1, a.shape[1] - 1):
                b[i, j] = 0.25 * (a[i - 1, j] + a[i + 1, j] + a[i, j - 1] + a[i, j + 1])
        a, b = b, a
    return a
"""
SHIFTED = """
def shifted(a, b):
    for i in range(len(b)):
        for j in range(1):
            a[i] = b[i] * 2.0 + 1.0
"""
RECIPROCAL = """
def reciprocal(a, b):
    done = 0
    for i in range(len(a)):
        for j in range(a.shape[1]):
            a[i, j] += float(1 / int(b[i]))
            done += 1
    return done
"""


def test_matmul():
    rng = np.random.default_rng(1)
    made = same(compiled(MATMUL, np.ones((2, 2)), np.ones((2, 2))), rng.normal(size=(ROWS, 5)), rng.normal(size=(5, 4)))
    (loop,) = made.loops
    assert loop.in_threads == 1
    assert loop.line == made.kernel.function.__code__.co_firstlineno + 3


def test_total_beside_stores():
    made = same(compiled(MANDELBROT, np.zeros((2, 2), dtype=np.int32), 8, 50), np.zeros((9, 8), dtype=np.int32), 8, 50)
    assert made.loops[0].in_threads == 1


def test_loop_inside_a_loop():
    a = np.random.default_rng(2).normal(size=(ROWS, 6))
    made = same(compiled(JACOBI, a, a, 4), a, np.zeros((ROWS, 6)), 4)
    assert made.loops[0].in_threads == 4
    assert made.owner.left_at == []


def test_rows_are_copied_only_where_something_may_raise():
    a = np.ones((ROWS, 6))
    made = same(compiled(JACOBI, a, a, 4), a, np.zeros((ROWS, 6)), 4)
    assert made.loops[0].copied == 0
    same(made, a, np.zeros((ROWS - 2, 6)), 4)
    assert made.loops[0].copied > 0
    assert made.loops[0].undone == 1


def test_empty_and_short():
    made = compiled(MATMUL, np.ones((2, 2)), np.ones((2, 2)))
    for rows in (0, 1, 2, 3):
        same(made, np.ones((rows, 2)), np.ones((2, 2)))
    assert made.loops[0].in_threads == 2


def test_sum_beyond_64_bits():
    source = "def f(n, x):\n t = x\n for i in range(n):\n  t += x - i\n return t"
    made = same(compiled(source, 3, 1, speculate=False), 9, 2**62)
    assert made.loops[0].in_threads == 1
    same(made, 9, 2**80)
    same(made, 9, -(2**63))


def test_same_array_twice_runs_in_order():
    made = compiled(SHIFTED, np.ones(2), np.ones(2), speculate=False)
    both = np.arange(9.0)
    same(made, both, both)
    same(made, both[1:], both[:-1])
    assert made.loops[0].in_threads == 0
    same(made, both[::2], both[1::2])
    assert made.loops[0].in_threads == 1


def test_array_that_overlaps_itself_runs_in_order():
    made = compiled("def f(a):\n for i in range(len(a)):\n  a[i, 0] = a[i, 1] + 1.0", np.ones((2, 2)))
    strided = np.lib.stride_tricks.as_strided(np.arange(20.0), (9, 2), (8, 8))
    found = strided.copy()
    made.kernel.function(strided)
    again = np.lib.stride_tricks.as_strided(np.arange(20.0), (9, 2), (8, 8))
    made.code(again)
    assert made.loops[0].in_threads == 0
    assert (again == strided).all()
    assert (found != strided).any()


def test_negative_first_index_runs_in_order():
    made = compiled("def f(a, n):\n for i in range(n):\n  a[i - 2] += 1.0 + a[i - 2]", np.ones(2), 1)
    same(made, np.arange(5.0), 5)
    assert made.loops[0].in_threads == 0


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("bad", [0, 1, 3, 6])
def test_exception_leaves_the_state_of_its_iteration(bad, order):
    a, b = np.ones((ROWS, 5), order=order), np.arange(1, ROWS + 1)
    b[bad] = 0
    made = compiled(RECIPROCAL, a, b, speculate=False)
    expected = outcome(made.kernel.function, copied((a, b)))
    assert expected[1] == "ZeroDivisionError"
    same(made, a, b)
    assert made.loops[0].undone == (1 if bad else 0)


def test_raise_and_bounds():
    source = """
def f(a, n):
    for i in range(n):
        if a[i] == 3.0:
            raise ValueError("three")
        a[i] = a[i] + 1.0
"""
    made = compiled(source, np.ones(2), 2)
    same(made, np.arange(10.0), 9)
    same(made, np.arange(4.0, 10.0), 9)
    assert made.loops[0].undone == 2


def test_read_only():
    array = np.arange(9.0)
    array.flags.writeable = False
    made = compiled(SHIFTED, np.ones(2), np.ones(2))
    with pytest.raises(ValueError, match="read-only"):
        made.code(array, np.ones(9))


def test_big_ints_inside_an_iteration():
    source = """
def f(a, x):
    for i in range(len(a)):
        y = x
        for j in range(3):
            y = y * x
        a[i] = y % 1000
"""
    made = same(compiled(source, np.zeros(3, dtype=np.int64), 3), np.zeros(9, dtype=np.int64), 2**40 + 1)
    assert made.owner.left_at
    assert made.loops[0].undone == 0


def test_traceback_shows_the_users_line():
    made = compiled(RECIPROCAL, np.ones((2, 2)), np.ones(2, dtype=np.int64))
    with pytest.raises(ZeroDivisionError) as raised:
        made.code(np.ones((9, 2)), np.arange(9)[::-1].copy())
    line = made.kernel.function.__code__.co_firstlineno + 4
    assert raised.traceback[-1].lineno + 1 == line


def test_error_from_outside_is_not_lost():
    """A signal's handler raises in the main thread while it runs a piece."""
    loop = threaded_loop.ThreadedLoop(1, 1, (0,), ((0, 0),), False, 2)
    array = np.zeros(64)
    raised = []

    def chunk(first: int, behind: int, rows: np.ndarray[Any, Any]) -> None:
        rows[first:behind] += 1.0
        if first > 20 and not raised:
            raised.append(first)
            raise TimeoutError

    loop.chunk = chunk
    with pytest.raises(TimeoutError):
        loop(0, 64, array)
    assert (array == 1.0).all()


def test_interrupt_takes_back_and_stops():
    loop = threaded_loop.ThreadedLoop(1, 1, (0,), ((0, 0),), False, 2)
    array = np.zeros(64)

    def chunk(first: int, behind: int, rows: np.ndarray[Any, Any]) -> None:
        rows[first:behind] += 1.0
        if first > 20:
            raise KeyboardInterrupt

    loop.chunk = chunk
    with pytest.raises(KeyboardInterrupt):
        loop(0, 64, array)
    assert array.tolist() == [1.0] + 63 * [0.0]


def test_little_work_stays_in_order(monkeypatch):
    monkeypatch.setattr(threaded_loop, "WORTH_SECONDS", 1e9)
    made = same(compiled(MATMUL, np.ones((2, 2)), np.ones((2, 2))), np.ones((ROWS, 2)), np.ones((2, 2)))
    assert (made.loops[0].in_threads, made.loops[0].in_order) == (0, 1)


def test_rest_of_a_call():
    """On-stack replacement into code with threads."""
    a = np.random.default_rng(3).normal(size=(ROWS, 6))
    kernel = lower(as_function(JACOBI), [type_of(each) for each in (a, a, 4)])
    outer = kernel.entry.body[-2]
    types = {"a": type_of(a), "b": type_of(a), outer.stop.name: type_of(1), outer.counter: type_of(1)}
    rest = continuation(kernel, outer.body[0].id, types=types)
    made = parallel_version(rest, threads=2)
    one, other = a.copy(), np.zeros_like(a)
    found = made.code(one, other, 4, 1)
    expected = kernel.function(a.copy(), np.zeros_like(a), 3)
    assert found.tobytes() == expected.tobytes()
    assert made.loops[0].in_threads == 3


def test_lists_around_the_loop():
    source = """
def f(a, xs):
    for k in range(len(xs)):
        xs[k] = xs[k] + 1
    for i in range(len(a)):
        a[i] = 2.0 * a[i]
    xs[0] = 7
    return xs, a
"""
    made = same(compiled(source, np.ones(2), [1]), np.arange(9.0), [1, 2, 3])
    assert made.loops[0].in_threads == 1


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([0, 1, 2, -3, 4, 5, 2**40]), min_size=1, max_size=24), st.integers(1, 3))
def test_generated_divisors(divisors, columns):
    made = _reciprocal()
    same(made, np.ones((len(divisors), columns)), np.array(divisors))


_kept: list[Parallel] = []


def _reciprocal() -> Parallel:
    if not _kept:
        _kept.append(compiled(RECIPROCAL, np.ones((2, 2)), np.ones(2, dtype=np.int64)))
    return _kept[0]


@pytest.mark.parametrize(
    ("source", "arguments", "reason"),
    [
        ("def f(n):\n return n", (3,), "no loop over a range"),
        ("def f(a):\n for i in range(3):\n  a[0] = 1.0", (np.ones(2),), "elsewhere than at the counter"),
        ("def f(a, n):\n for i in range(3):\n  a[i] = 1.0\n if n:\n  f(a, n - 1)", (np.ones(2), 1), "calls itself"),
    ],
)
def test_reasons(source, arguments, reason):
    kernel = lower(as_function(source), [type_of(each) for each in arguments])
    assert reason in " ".join(reasons_against(kernel))
    assert parallel_version(kernel, threads=2) is None


def test_warnings_do_not_differ():
    """NumPy's warnings are not part of what compiled code does; that of CPython is an exception here."""
    made = compiled("def f(a, b):\n for i in range(len(a)):\n  a[i] = a[i] / b[i]", np.ones(2), np.ones(2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        array = np.ones(9)
        made.code(array, np.zeros(9))
    assert np.isinf(array).all()


FIRST_INDEXES = ("i", "i", "i", "i", "i + 1", "i - 1", "0", "j", "-1")
VALUES = ("1.5", "float(i)", "x", "{read} * 2.0", "{read} + x", "float(10 // (i - k))", "float(t % 7)")


@st.composite
def loop_programs(draw):
    """A loop with stores and reads at various indexes, which may or may not be independent."""

    def index() -> str:
        return f"[{draw(st.sampled_from(FIRST_INDEXES))}, {draw(st.sampled_from(('j', '0', 'i')))}]"

    def value() -> str:
        return draw(st.sampled_from(VALUES)).format(read=draw(st.sampled_from("ab")) + index())

    lines = []
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["store", "store", "add", "x", "t", "row", "part"]))
        if kind in ("store", "add"):
            lines.append(f"{draw(st.sampled_from('ab'))}{index()} {'+=' if kind == 'add' else '='} {value()}")
        elif kind == "row":
            lines += [f"r = {draw(st.sampled_from('ab'))}[i]", f"r[j] = {value()}"]
        elif kind == "part":
            to, of = draw(st.sampled_from("ab")), draw(st.sampled_from("ab"))
            first, other = draw(st.sampled_from(FIRST_INDEXES)), draw(st.sampled_from(FIRST_INDEXES))
            lines.append(f"{to}[{first}, 1:] = {of}[{other}, {draw(st.sampled_from(('1:', ':-1')))}]")
        else:
            lines.append(f"x = {value()}" if kind == "x" else f"t += {draw(st.sampled_from(('i', 'j * k', 'i * i')))}")
    body = "\n            ".join(lines)
    return f"""
def f(a, b, n, k):
    t = 0
    x = 0.5
    for i in range(n):
        x = 0.25
        for j in range(3):
            {body}
    return t
"""


@settings(max_examples=int(os.environ.get("PARALLEL_PROGRAMS", "60")), deadline=None)
@given(loop_programs(), st.sampled_from(["apart", "same", "shifted"]), st.integers(0, 9))
def test_generated_loops(source, memory, divisor):
    """Whatever is proved runs as CPython does, also where arguments overlap or iterations raise."""
    base = np.arange(40.0).reshape(10, 4)
    b = {"apart": base + 1.0, "same": base, "shifted": base[1:]}[memory]
    arguments = (base[:9], b[:9], 9, divisor)
    kernel = lower(as_function(source), [type_of(each) for each in arguments])
    assume(not reasons_against(kernel))
    made = parallel_version(kernel, owner=Watcher(), threads=3)
    assert made is not None
    quiet = exception_freedom(kernel, Options().facts(kernel, 3)).holds(arguments)
    same(made, *arguments)
    assert not quiet or outcome(kernel.function, copied(arguments))[0] == "returned"


def test_the_configuration_decides_whether_loops_run_on_threads() -> None:
    source = "def f(a, n):\n    for i in range(n):\n        for k in range(40):\n            a[i] += i * k\n"
    given, expected = np.zeros(200), np.zeros(200)
    plain = function_from_source(source)
    for wanted in (False, True):
        config = JitRuntimeConfig(
            parallel=wanted, baseline_threshold=1, least_work=0.0, background=False, sampling=False
        )
        function = JitRuntime(config).tiered(function_from_source(source))
        for _ in range(3):
            function(given, 200)
            plain(expected, 200)
        state = tiers_of(function)
        assert state is not None
        (version,) = state.versions
        for tier in (1, 2):
            version.sampled(sys._getframe(), tier, 1e6)  # enough time for the next one
        assert version.tier == 3
        for _ in range(400):
            function(given, 200)
            plain(expected, 200)
        assert ("stays" in explain(function).threads) is wanted, explain(function)
    assert given.tolist() == expected.tolist()
