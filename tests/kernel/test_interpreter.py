"""The reference interpreter against CPython, on generated programs and on the traps by name."""

from __future__ import annotations

import copy
import os
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from unittest import SkipTest

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings

from lean_agentic.kernel import (
    Ending,
    Kernel,
    Outcome,
    UnsupportedError,
    fingerprint,
    function_from_source,
    interpret,
    liveness,
    lower,
    type_of,
)
from lean_agentic.kernel.ir import ForRange
from lean_agentic.kernel.program_generator import Program, programs

EXAMPLES = int(os.environ.get("KERNEL_EXAMPLES", "250"))


def seeded(examples: int) -> settings:
    """The same examples in every run, unless a campaign asks for more by KERNEL_EXAMPLES."""
    return settings(
        max_examples=examples, derandomize="KERNEL_EXAMPLES" not in os.environ, deadline=None, database=None,
        suppress_health_check=list(HealthCheck), phases=(Phase.generate, Phase.shrink),
    )  # fmt: skip


def cpython(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Outcome:
    """What CPython does."""
    try:
        return Outcome(Ending.RETURNED, function(*arguments), arguments=arguments)
    except Exception as error:
        return Outcome(Ending.RAISED, exception=error, arguments=arguments)


def lowered(program: Program) -> Kernel:
    """The program's kernel; programs that mix NumPy types into a possible TypeError are not taken."""
    function = function_from_source(program.source, "program")
    try:
        return lower(function, [type_of(each) for each in program.arguments])
    except UnsupportedError:
        assume(False)
        raise


def test_interpreter_is_cpython() -> None:
    compared = 0

    @seeded(EXAMPLES)
    @given(programs())
    def compare(program: Program) -> None:
        nonlocal compared
        kernel = lowered(program)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = cpython(kernel.function, copy.deepcopy(program.arguments))
            found = interpret(kernel, copy.deepcopy(program.arguments), budget=200_000, check_types=True)
        assert found.fingerprint == expected.fingerprint, (found, expected)
        compared += 1

    with suppress(SkipTest):  # hypothesis skips a test for which it generated nothing; that is no pass
        compare()
    assert compared >= EXAMPLES


@seeded(max(20, EXAMPLES // 10))
@given(programs())
def test_resuming_anywhere_changes_nothing(program: Program) -> None:
    kernel = lowered(program)
    live = liveness(kernel.entry)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole = interpret(kernel, copy.deepcopy(program.arguments))
        for budget in range(0, whole.steps, max(1, whole.steps // 40)):
            part = interpret(kernel, copy.deepcopy(program.arguments), budget=budget)
            if part.at is None:  # stopped inside a callee
                continue
            state = {name: part.locals[name] for name in live.before[part.at] if name in part.locals}
            rest = interpret(kernel, part.arguments, at=part.at, locals=state)
            assert rest.fingerprint == whole.fingerprint, (budget, part, rest, whole)


def run(source: str, *arguments: Any) -> Outcome:
    """Run the last function of a source both ways; the outcome, once it is the same."""
    function = function_from_source(source)
    kernel = lower(function, [type_of(each) for each in arguments])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = cpython(function, copy.deepcopy(arguments))
        found = interpret(kernel, copy.deepcopy(arguments), check_types=True)
    assert found.fingerprint == expected.fingerprint, (found, expected)
    return found


def test_python_ints_do_not_wrap() -> None:
    factorial = "def factorial(n):\n    return 1 if n < 2 else n * factorial(n - 1)\n"
    assert run(factorial, 25).value == 15511210043330985984000000


def test_numpy_elements_wrap_as_numpy_does() -> None:
    source = "def f(a):\n    return a[0] + 1\n"
    assert fingerprint(run(source, np.array([2**63 - 1])).value) == fingerprint(np.int64(-(2**63)))
    assert fingerprint(run(source, np.array([255], dtype=np.uint8)).value) == fingerprint(np.uint8(0))


def test_zero_division_depends_on_who_divides() -> None:
    assert type(run("def f(x, y):\n    return x / y\n", 1.0, 0.0).exception) is ZeroDivisionError
    assert run("def f(x, a):\n    return x / a[0]\n", 1.0, np.array([0.0])).value == np.inf


def test_an_int_beyond_the_floats_overflows() -> None:
    assert type(run("def f(n, x):\n    return n + x\n", 2**1100, 1.0).exception) is OverflowError
    assert run("def f(n, x):\n    return n > x\n", 2**1100, 1.0).value is True
    assert run("def f(n, x):\n    return n == x\n", 2**53 + 1, 2.0**53).value is False


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint64", "float32", "float64"])
@pytest.mark.parametrize("n", [2**53 + 1, 2**64, 2**200, 2**1100])
def test_elements_compared_with_large_ints(dtype: str, n: int) -> None:
    outcome = run("def f(a, n):\n    return a[0] < n, a[0] == n\n", np.array([1], dtype=dtype), n)
    overflows = n >= 2**64 if dtype == "bool" else n > 2**1024 and dtype.startswith("float")
    assert type(outcome.exception) is (OverflowError if overflows else type(None))


@pytest.mark.parametrize("left", [7, -7, 7.5, -7.5, -0.0])
@pytest.mark.parametrize("right", [2, -2, 2.5, float("inf"), 0, -0.0])
@pytest.mark.parametrize("operator", ["//", "%", "/", "**"])
def test_signs_of_division_and_powers(left: float, right: float, operator: str) -> None:
    run(f"def f(x, y):\n    return x {operator} y\n", left, right)


def test_roots_that_may_be_complex_are_refused_when_they_are() -> None:
    source = "def f(n):\n    return int(n ** 0.5), float(n ** 0.5)\n"
    assert run(source, 10).value == (3, 10**0.5)
    assert type(run(source, -10).exception) is TypeError
    assert type(run("def f(z):\n    return int(z)\n", 1j).exception) is TypeError


def test_a_variable_keeps_the_type_of_its_path() -> None:
    source = "def f(n):\n    s = 0\n    for i in range(n):\n        s = s + 0.5\n    return s\n"
    assert fingerprint(run(source, 0).value) == fingerprint(0)
    assert fingerprint(run(source, 1).value) == fingerprint(0.5)


def test_two_names_for_one_list() -> None:
    source = "def f(xs, ys):\n    xs[0] = 5\n    ys[0] += xs[0]\n    return xs[0]\n"
    shared = [1, 2]
    assert run(source, shared, shared).value == 10
    assert run(source, [1, 2], [1, 2]).value == 5


def test_overlapping_views_share_memory() -> None:
    source = "def f(a):\n    b = a[1:]\n    for i in range(len(b)):\n        b[i] = a[i]\n    return b\n"
    assert run(source, np.arange(4)).arguments[0].tolist() == [0, 0, 0, 0]


def test_effects_before_an_exception_happen_once() -> None:
    source = "def f(a):\n    for i in range(9):\n        a[i] += 10\n"
    outcome = run(source, [1, 2, 3])
    assert type(outcome.exception) is IndexError
    assert outcome.arguments == ([11, 12, 13],)


def test_leaving_in_mid_statement_repeats_no_effect() -> None:
    source = (
        "def bump(a):\n    a[0] += 1\n    return a[0]\n"
        "def f(a, n):\n    for i in range(n):\n        a[0] = bump(a) * bump(a) + i\n    return a[0]\n"
    )
    function = function_from_source(source, "f")
    kernel = lower(function, [type_of([1]), type_of(3)])
    whole = interpret(kernel, ([1], 3))
    assert whole.value == function([1], 3)
    live = liveness(kernel.entry)
    for budget in range(whole.steps):
        part = interpret(kernel, ([1], 3), budget=budget)
        if part.at is not None:
            state = {name: part.locals[name] for name in live.before[part.at]}
            assert interpret(kernel, part.arguments, at=part.at, locals=state).fingerprint == whole.fingerprint


def test_going_on_behind_a_call() -> None:
    source = "def g(x):\n    return x + 1\ndef f(x):\n    y = g(x)\n    return y * 2\n"
    kernel = lower(function_from_source(source, "f"), [type_of(1)])
    call, *_ = kernel.entry.body
    assert interpret(kernel, after=call.id, locals={call.target: 21}).value == 42  # type: ignore[attr-defined]


@pytest.mark.parametrize("leave", ["break", "return i + s"])
def test_going_on_where_a_loop_can_only_be_left(leave: str) -> None:
    source = (
        "def f(n):\n    s = 1\n    for i in range(n):\n        s += i\n"
        f"        s *= 7\n        {leave}\n    else:\n        s = -1\n    return s\n"
    )
    function = function_from_source(source)
    kernel = lower(function, [type_of(3)])
    (loop,) = (each for _, each in kernel.statements.values() if isinstance(each, ForRange))
    live = liveness(kernel.entry)
    assert loop.counter not in live.before[loop.body[-1].id]  # the live locals are the whole state without it
    for budget in range(interpret(kernel, (3,)).steps):
        part = interpret(kernel, (3,), budget=budget)
        assert part.at is not None
        state = {name: part.locals[name] for name in live.before[part.at]}
        assert interpret(kernel, (3,), at=part.at, locals=state).value == function(3)


def test_going_on_in_a_loop_without_its_counter_is_an_error() -> None:
    source = "def f(n):\n    for i in range(n):\n        n += 1\n    return n\n"
    kernel = lower(function_from_source(source), [type_of(3)])
    (loop,) = (each for _, each in kernel.statements.values() if isinstance(each, ForRange))
    other = {f"%{number}" for number in range(9)} - {loop.counter}
    outcome = interpret(kernel, at=loop.body[-1].id, locals={"n": 1, "i": 0, **dict.fromkeys(other, 1)})
    assert type(outcome.exception) is KeyError


@pytest.mark.parametrize("test", ["True", "n == n"])
def test_an_endless_loop_ends_by_budget(test: str) -> None:
    kernel = lower(function_from_source(f"def f(n):\n    while {test}:\n        pass\n"), [type_of(1)])
    outcome = interpret(kernel, (1,), budget=1000)
    assert (outcome.ending, outcome.steps) == (Ending.OUT_OF_STEPS, 1000)


def test_names_without_a_value() -> None:
    source = "def f(n):\n    for i in range(n):\n        x = i\n    return x\n"
    assert type(run(source, 0).exception) is UnboundLocalError
    assert run(source, 3).value == 2


def test_loop_else_and_nested_jumps() -> None:
    source = (
        "def f(n):\n    out = 0\n    for i in range(2, n):\n        for j in range(2, i):\n"
        "            if i % j == 0:\n                break\n        else:\n            out += i\n            continue\n"
        "        if i > 50:\n            return out\n    return -1\n"
    )
    assert run(source, 100).value == sum(p for p in range(2, 51) if all(p % d for d in range(2, p)))


def test_a_read_only_array_raises() -> None:
    array = np.zeros(2)
    array.flags.writeable = False
    kernel = lower(function_from_source("def f(a):\n    a[0] = 1.0\n"), [type_of(array)])
    assert type(interpret(kernel, (array,)).exception) is ValueError


@pytest.mark.parametrize("value", [300, -1, 2.5, float("nan"), float("inf"), np.int64(300), True])
def test_stores_that_do_not_fit(value: Any) -> None:
    run("def f(a, v):\n    a[0] = v\n    return a[0]\n", np.zeros(1, dtype=np.uint8), value)


def test_wrong_calls_are_refused() -> None:
    kernel = lower(function_from_source("def f(x):\n    return x\n"), [type_of(1)])
    with pytest.raises(TypeError, match="takes 1 arguments, 0 given"):
        interpret(kernel, ())
    with pytest.raises(TypeError, match="not both"):
        interpret(kernel, at=1, after=1)
    with pytest.raises(KeyError):
        interpret(kernel, at=999)


def test_functions_that_call_each_other() -> None:
    odd = "def odd(n):\n    return False if n == 0 else even(n - 1)\n"
    even = "def even(n):\n    return True if n == 0 else odd(n - 1)\n"
    assert run(odd + even, 8).value is True
