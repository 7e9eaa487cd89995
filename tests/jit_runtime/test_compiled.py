"""Compiled code against CPython: generated programs with boundary inputs, on every tier and back end.

`JIT_PROGRAMS=5000 pytest tests/jit_runtime/test_compiled.py -k generated --timeout=0 -s` runs a fresh campaign.
"""

from __future__ import annotations

import copy
import os
import random
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from types import FunctionType
from typing import Any
from unittest import SkipTest

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings

from lean_agentic.jit_runtime.compiled import Alone, Compiled, compile_kernel
from lean_agentic.jit_runtime.errors import NotCompiledError
from lean_agentic.jit_runtime.exit_points import ExitPoint
from lean_agentic.jit_runtime.machine_code import Options
from lean_agentic.kernel import (
    Ending,
    Kernel,
    Outcome,
    UnsupportedError,
    fingerprint,
    function_from_source,
    lower,
    type_of,
)
from lean_agentic.kernel.program_generator import BOUNDARY_FLOATS, BOUNDARY_INTS, Program, programs

PROGRAMS = int(os.environ.get("JIT_PROGRAMS", "40"))
INPUTS = 6
WAYS = [(1, Options(engine="x86")), (1, Options(engine="llvm")), (2, Options()), (3, Options())]
"""Tier and options. Deterministic engines: the same program gives the same code."""


def cpython(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Outcome:
    """What a call does."""
    try:
        return Outcome(Ending.RETURNED, function(*arguments), arguments=arguments)
    except Exception as error:
        return Outcome(Ending.RAISED, exception=error, arguments=arguments)


def similar(value: Any, source: random.Random) -> Any:
    """Another value that may have the same type, often at a boundary."""
    if type(value) is int:
        # Ints beyond 64 bits are not entered with; a few are enough.
        boundary = source.choice([each for each in BOUNDARY_INTS if source.random() < 0.05 or -(2**63) <= each < 2**63])
        return source.choice([boundary, source.randint(-4, 6)])
    if type(value) is float:
        return source.choice([source.choice(BOUNDARY_FLOATS), source.uniform(-9, 9)])
    if type(value) is bool:
        return source.random() < 0.5
    if type(value) is list:
        return [similar(item, source) for item in value for _ in range(source.choice([0, 1, 1, 1, 2]))]
    return _similar_array(value, source)


def _similar_array(value: np.ndarray[Any, Any], source: random.Random) -> np.ndarray[Any, Any]:
    shape = tuple(source.choice([side, side, 3, 1, 4]) for side in value.shape)
    made = np.resize(value if value.size else np.ones(1, dtype=value.dtype), shape)
    if source.random() < 0.3:
        made = np.repeat(made, 2, axis=-1)[..., ::2]
    return made[::-1] if source.random() < 0.3 else made


def inputs(program: Program) -> list[tuple[Any, ...]]:
    """The program's own arguments, and others that mostly have the same types."""
    source = random.Random(repr(program.arguments))
    more = [tuple(similar(each, source) for each in program.arguments) for _ in range(INPUTS - 1)]
    return [program.arguments, *more]


class Counting(Alone):
    """Counts how calls went."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def mismatch(self, compiled: Compiled, arguments: tuple[Any, ...]) -> Any:
        self.counts["mismatch"] += 1
        return super().mismatch(compiled, arguments)

    def left(self, compiled: Compiled, point: ExitPoint, error: BaseException | None) -> None:
        self.counts["left"] += 1


def lowered(function: FunctionType, arguments: tuple[Any, ...]) -> Kernel:
    """The kernel for the arguments' types; programs outside the language are not taken."""
    try:
        return lower(function, [type_of(each) for each in arguments])
    except UnsupportedError:
        assume(False)
        raise


def test_generated_programs_run_as_in_cpython() -> None:
    counts: Counter[str] = Counter()

    @settings(
        max_examples=PROGRAMS, derandomize="JIT_PROGRAMS" not in os.environ, deadline=None, database=None,
        suppress_health_check=list(HealthCheck), phases=(Phase.generate, Phase.shrink),
    )  # fmt: skip
    @given(programs())
    def compare(program: Program) -> None:
        function = function_from_source(program.source, "program")
        kernel = lowered(function, program.arguments)
        cases = [(each, cpython(function, copy.deepcopy(each)).fingerprint) for each in inputs(program)]
        for tier, options in WAYS:
            owner = Counting()
            compiled = compile_kernel(kernel, tier, options=options, owner=owner)
            for arguments, expected in cases:
                found = cpython(compiled.code, copy.deepcopy(arguments))
                assert found.fingerprint == expected, (tier, options, arguments, found)
            counts.update(owner.counts, cases=len(cases))

    with warnings.catch_warnings(), suppress(SkipTest):
        warnings.simplefilter("ignore")
        compare()
    print(dict(counts))
    assert counts["cases"] >= PROGRAMS * INPUTS * len(WAYS)
    assert counts["mismatch"] < counts["cases"] / 2


def everywhere(source: str, *arguments: Any, name: str | None = None) -> Outcome:
    """Run a source's function on every tier; the outcome, once all are CPython's."""
    function = function_from_source(source, name)
    kernel = lower(function, [type_of(each) for each in arguments])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = cpython(function, copy.deepcopy(arguments))
        for tier, options in WAYS:
            compiled = compile_kernel(kernel, tier, options=options)
            found = cpython(compiled.code, copy.deepcopy(arguments))
            assert found.fingerprint == expected.fingerprint, (tier, options, found)
    return expected


# -- the cases of the study --------------------------------------------------------------------------------------------


def test_ints_do_not_wrap() -> None:
    assert everywhere("def f(n):\n    return 1 if n < 2 else n * f(n - 1)\n", 25).value == 15511210043330985984000000
    fibonacci = "def f(n):\n    a, b = 0, 1\n    for i in range(n):\n        a, b = b, a + b\n    return a\n"
    assert everywhere(fibonacci, 300).value.bit_length() == 208
    assert everywhere(
        "def f(n):\n    t = 0\n    for i in range(n):\n        t += i\n    return t\n", 2**40 % 1000
    ).value


@pytest.mark.parametrize("n", [2**31, 2**62, 2**63 - 1, -(2**63), 2**63, 2**64])
def test_overflow_at_the_borders(n: int) -> None:
    for expression in ("n + n", "n * 3", "n - 1 - n - n", "-n", "abs(n)", "n << 1", "n * n // 7", "(n + 1) % 10"):
        everywhere(f"def f(n):\n    return {expression}\n", n)


def test_an_overflow_in_a_loop_repeats_no_effect() -> None:
    source = (
        "def f(a, n):\n    x = 1\n    for i in range(n):\n        a[0] += 1\n        x = x * 3 + a[0]\n"
        "        a[1] += 1\n    return x\n"
    )
    outcome = everywhere(source, [0, 0], 90)
    assert outcome.arguments[0] == [90, 90]
    outcome = everywhere(source, np.zeros(2, dtype=np.int64), 20)
    assert outcome.arguments[0].tolist() == [20, 20]


def test_effects_before_an_exception_happen_once() -> None:
    source = "def f(a):\n    for i in range(9):\n        a[i] += 10\n"
    outcome = everywhere(source, [1, 2, 3])
    assert type(outcome.exception) is IndexError
    assert outcome.arguments == ([11, 12, 13],)


def test_out_of_bounds_raises() -> None:
    for index in (3, -4, 2**40, -(2**40)):
        assert type(everywhere("def f(a, i):\n    return a[i]\n", [1, 2, 3], index).exception) is IndexError
        assert type(everywhere("def f(a, i):\n    return a[i]\n", np.arange(3), index).exception) is IndexError
        assert type(everywhere("def f(a, i):\n    a[i] = 0\n", [1, 2, 3], index).exception) is IndexError


def test_int_and_float_by_path() -> None:
    source = "def f(n):\n    s = 0\n    for i in range(n):\n        s = s + 0.5\n    return s\n"
    assert fingerprint(everywhere(source, 0).value) == fingerprint(0)
    assert fingerprint(everywhere(source, 3).value) == fingerprint(1.5)


def test_one_list_under_two_names() -> None:
    source = "def f(xs, ys):\n    xs[0] = 5\n    ys[0] += xs[0]\n    return xs[0]\n"
    shared = [1, 2]
    assert everywhere(source, shared, shared).value == 10
    assert everywhere(source, [1, 2], [1, 2]).value == 5
    rows = "def f(m):\n    m[0][0] = 7\n    return m[1][0]\n"
    row = [1, 2]
    assert everywhere(rows, [row, row]).value == 7


def test_overlapping_arrays_share_memory() -> None:
    base = np.arange(10)
    source = "def f(a, b):\n    for i in range(len(b)):\n        b[i] = a[i]\n    return b\n"
    function = function_from_source(source)
    kernel = lower(function, [type_of(base), type_of(base)])
    for tier, options in WAYS:
        compiled = compile_kernel(kernel, tier, options=options)
        ours, theirs = base.copy(), base.copy()
        compiled.code(ours[:-1], ours[1:])
        function(theirs[:-1], theirs[1:])
        assert ours.tolist() == theirs.tolist() == [0] * 10


def test_a_list_that_is_returned_is_the_one_given() -> None:
    kernel = lower(function_from_source("def f(xs):\n    xs[0] = 2\n    return xs\n"), [type_of([1])])
    for tier, options in WAYS:
        given_list = [1]
        assert compile_kernel(kernel, tier, options=options).code(given_list) is given_list
        assert given_list == [2]


def test_read_only_arrays_stay_as_they_are() -> None:
    array = np.zeros(3)
    array.flags.writeable = False
    kernel = lower(function_from_source("def f(a):\n    a[0] = 1.0\n"), [type_of(array)])
    for tier, options in WAYS:
        with pytest.raises(ValueError, match="read-only"):
            compile_kernel(kernel, tier, options=options).code(array)
    assert array.tolist() == [0.0, 0.0, 0.0]


def test_negative_zero_and_nan() -> None:
    for x in (0.0, -0.0, float("nan"), float("inf"), -1.5):
        for y in (-0.0, 2.0, -2.5, float("nan"), float("-inf")):
            for expression in (
                "x // y",
                "x % y",
                "min(x, y)",
                "max(x, y)",
                "x < y",
                "x == y",
                "-x * y",
                "divmod(x, y)",
            ):
                everywhere(f"def f(x, y):\n    return {expression}\n", x, y)


def test_a_callee_that_leaves_lets_its_caller_go_on() -> None:
    source = (
        "def cube(x):\n    return x * x * x\n"
        "def f(n, a):\n    t = 0\n    for i in range(n):\n        a[0] += 1\n"
        "        t = cube(i * 300000) % 1000003 + t\n    return t\n"
    )
    assert everywhere(source, 20, [0]).arguments[1] == [20]


def test_deep_recursion_ends_in_an_exception_and_not_in_a_crash() -> None:
    source = "def f(n):\n    return 0 if n == 0 else 1 + f(n - 1)\n"
    kernel = lower(function_from_source(source), [type_of(1)])
    for tier, options in WAYS:
        code = compile_kernel(kernel, tier, options=options).code
        assert code(500) == 500
        with pytest.raises(RecursionError):
            code(10**9)


@pytest.mark.parametrize(("tier", "options"), WAYS)
def test_the_traceback_shows_the_users_line(tier: int, options: Options) -> None:
    source = "def f(xs, i):\n    y = 1.0\n    y = y / xs[i]\n    return y\n"
    compiled = compile_kernel(lower(function_from_source(source), [type_of([1.0]), type_of(1)]), tier, options=options)
    with pytest.raises(ZeroDivisionError) as caught:
        compiled.code([1.0, 0.0], 1)
    last = traceback.extract_tb(caught.value.__traceback__)[-1]
    assert (last.name, last.lineno, last.line) == ("f", 3, "y = y / xs[i]")


def test_what_has_no_machine_form_is_refused_with_its_line() -> None:
    function = function_from_source("def f(x):\n    return x\n")
    with pytest.raises((NotCompiledError, UnsupportedError)):
        compile_kernel(lower(function, [type_of("text")]), 1)


@pytest.mark.parametrize("made", ["zeros(n)", "ones((n, 2))", "empty(0)", "zeros((2, n), dtype=np.int8)", "arange(n)"])
@pytest.mark.parametrize("n", [3, 0, -2])
def test_new_arrays(made: str, n: int) -> None:
    outcome = everywhere(f"import numpy as np\ndef f(n):\n    a = np.{made}\n    return a, len(a), a.shape\n", n)
    assert outcome.exception is None or n < 0


def test_an_array_too_large_raises_memory_error() -> None:
    source = "import numpy as np\ndef f(n):\n    a = np.zeros(n)\n    a[0] = 1.0\n    return a\n"
    assert isinstance(everywhere(source, 2**43).exception, MemoryError)


@pytest.mark.parametrize("count", [0, 1, 4, 100])
def test_lists_that_grow_by_a_loop(count: int) -> None:
    nested = "[i * j for i in range(n) for j in range(3) if j != m]"
    everywhere(f"def f(n, m):\n    return {nested}, [k for k in range(4)]\n", count, 1)
