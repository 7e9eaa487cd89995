"""Generated Python code against CPython running the user's function, from the start and from the middle."""

from __future__ import annotations

import ast
import copy
import linecache
import os
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from types import FunctionType
from typing import Any

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
)
from lean_agentic.kernel.continuation import continuation
from lean_agentic.kernel.ir import Assign, Call, While, walk
from lean_agentic.kernel.program_generator import Program, programs
from lean_agentic.kernel.python_code import python_function
from lean_agentic.kernel.types import type_of

EXAMPLES = int(os.environ.get("KERNEL_EXAMPLES", "60"))
LOOPS = """
def g(x):
    return x + 1

def f(n, m, xs):
    s, q = 0, 1
    for i in range(n):
        t = g(i) if i % 5 else -1
        while q < m * i and [k for k in xs if k > s][0:1] != None and (s < 10**6 or not q % 7):
            s, q = q, s + q + 1
            if q % 3 == 0:
                continue
            for k in range(q % 4, i + 4, 2):
                if k == 5:
                    break
                s += k * t
            else:
                s -= 1
                if s > 10000:
                    break
        else:
            s += 7
            if i % 4 == 3:
                continue
            s += i
        xs[i % 2], xs[1] = xs[1], s
        if 3 < s % 11 <= 5 or s % 13 == 2 and not i % 2:
            break
    else:
        s += 1000
    ys = [(a, b, last) for a, b in zip(xs, [g(c) + d for c in range(n) if c % 2 for d in range(3)])
          for last in reversed(xs[:2])]
    return s, q, ys, t
""".replace("[k for k in xs if k > s][0:1] != None", "len([k for k in xs if k != s]) < 9")


def outcome(run: Callable[[], Any], arguments: tuple[Any, ...]) -> Outcome:
    """What a call does."""
    try:
        return Outcome(Ending.RETURNED, run(), arguments=arguments)
    except Exception as error:
        return Outcome(Ending.RAISED, exception=error, arguments=arguments)


def lowered(source: str, name: str, arguments: tuple[Any, ...]) -> Kernel:
    return lower(function_from_source(source, name), [type_of(each) for each in arguments])


def check_from_the_start(kernel: Kernel, arguments: tuple[Any, ...]) -> Outcome:
    ours, theirs = copy.deepcopy(arguments), copy.deepcopy(arguments)
    names = [each.name for each in kernel.entry.parameters]
    found = outcome(lambda: python_function(kernel)(dict(zip(names, ours, strict=True))), ours)
    expected = outcome(lambda: kernel.function(*theirs), theirs)
    assert found.fingerprint == expected.fingerprint, (found, expected)
    if expected.exception and found.exception:
        assert lines(found.exception) == lines(expected.exception)
    return expected


def lines(error: Exception) -> list[tuple[str, str, int | None]]:
    """Where a traceback says that the error happened, in the functions of the test programs."""
    frames = [each for each in traceback.extract_tb(error.__traceback__) if each.filename.startswith("<kernel source")]
    return [(each.filename, each.name, each.lineno) for each in frames if each.name != "<listcomp>"]


def check_from_the_middle(kernel: Kernel, arguments: tuple[Any, ...], stops: int, whole: Outcome) -> int:
    live = liveness(kernel.entry)
    steps = interpret(kernel, copy.deepcopy(arguments)).steps
    checked = 0
    for budget in range(0, steps, max(1, steps // stops)):
        part = interpret(kernel, copy.deepcopy(arguments), budget=budget)
        if part.at is None:  # stopped inside a callee
            continue
        state = {name: part.locals[name] for name in live.before[part.at] if name in part.locals}
        rest = python_function(kernel, statement_id=part.at)
        found = outcome(lambda rest=rest, state=state: rest(state), part.arguments)  # type: ignore[misc]
        assert found.fingerprint == whole.fingerprint, (budget, part, found, whole)
        checked += 1
    return checked


def test_generated_programs() -> None:
    seen: Counter[str] = Counter()

    @settings(
        max_examples=EXAMPLES, derandomize="KERNEL_EXAMPLES" not in os.environ, deadline=None, database=None,
        suppress_health_check=list(HealthCheck), phases=(Phase.generate, Phase.shrink),
    )  # fmt: skip
    @given(programs())
    def compare(program: Program) -> None:
        try:
            kernel = lowered(program.source, "program", program.arguments)
        except UnsupportedError:
            assume(False)
            raise
        whole = check_from_the_start(kernel, program.arguments)
        seen[whole.ending.value] += 1
        seen["middle"] += check_from_the_middle(kernel, program.arguments, 8, whole)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        compare()
    assert min(seen["returned"], seen["raised"]) > 20
    assert seen["middle"] > 300


@pytest.mark.parametrize("n", [0, 1, 4, 9])
@pytest.mark.parametrize("m", [2, 50])
def test_nested_loops(n: int, m: int) -> None:
    kernel = lowered(LOOPS, "f", (n, m, [4, -2, 5]))
    whole = check_from_the_start(kernel, (n, m, [4, -2, 5]))
    assert check_from_the_middle(kernel, (n, m, [4, -2, 5]), 60, whole) > 10


def test_a_while_loop_whose_test_takes_statements() -> None:
    source = (
        "def f(n):\n    s = 0\n    for i in range(3):\n"
        "        while sum([j for j in range(s)]) < n:\n            s += 1\n"
        "            if s % 3 == 0:\n                continue\n            if s == i + 13:\n                break\n"
        "        else:\n            if s > 6:\n                break\n            s += 10 * i\n    return s\n"
    )
    for n in (0, 5, 20, 60, 90):
        kernel = lowered(source, "f", (n,))
        whole = check_from_the_start(kernel, (n,))
        assert check_from_the_middle(kernel, (n,), 100, whole) > 5


ORDER = """
def note(log, x):
    log[log[0]] = x
    log[0] += 1
    return x

def swap(xs):
    xs[0], xs[1] = xs[1], xs[0]
    return xs[0]

def f(log, xs):
    a = note(log, 1) + note(log, 2) * note(log, 3)
    b = xs[0] + swap(xs) * xs[0]
    c = note(log, 4) if note(log, 0) else note(log, 5)
    d = note(log, 6) < note(log, 7) < note(log, 6) < note(log, 9)
    e = note(log, 0) or note(log, 8) and note(log, 10)
    xs[note(log, 0)] = note(log, 11)
    xs[note(log, 1)] += note(log, 12) + xs[1]
    a, b = b, a
    x = a
    a = x + swap(xs) - a
    return a, b, c, d, e, (note(log, 13), xs[0], swap(xs), xs[0]), by(v=note(log, 14), u=note(log, 15))

def by(u, *, v=1):
    return u - v
"""


def test_the_order_of_evaluation() -> None:
    arguments = ([1] + [0] * 40, [100, 200])
    kernel = lowered(ORDER, "f", arguments)
    assert check_from_the_middle(kernel, arguments, 300, check_from_the_start(kernel, arguments)) > 50


def test_values_of_every_kind() -> None:
    source = (
        "import numpy as np\nimport math\nNEVER = None\nLIMIT = 3\n"
        "def f(a, z, n):\n    b = np.zeros((n, 2), dtype=np.float32)\n    c = np.full(n, 7)\n"
        "    b[1:, 0][0] = a[::-1][0] + c[1] + z.imag\n    w = (-0.0, math.inf, 1j, -1, ~n, +z, not n)\n"
        "    if NEVER is not None:\n        c = NEVER[0]\n    if LIMIT is None:\n        c = 1\n"
        "    assert n > 1, 'small'\n    if n > 8: raise ValueError('large', n)\n"
        "    return b, w, a.T, [w[1], n ** -1], list(c)[0], max(n, 3.0), divmod(-7, n), round(2.5), a.shape[0]\n"
    )
    for n in (0, 1, 3, 9):
        arguments = (np.array([1.5, 2.5]), 2 + 0.5j, n)
        kernel = lowered(source, "f", arguments)
        check_from_the_start(kernel, arguments)


def test_tracebacks_are_the_users() -> None:
    source = "def g(x):\n    return 1 // x\n\n\ndef f(x):\n    y = x - 1\n    return y + (\n        g(y)\n    )\n"
    function = function_from_source(source)
    kernel = lower(function, [type_of(1)])
    call = next(s for s in walk(kernel.entry.body) if isinstance(s, Assign) and isinstance(s.operation, Call))
    with pytest.raises(ZeroDivisionError) as caught:
        python_function(kernel, statement_id=call.id)({"y": 0})
    frames = traceback.extract_tb(caught.value.__traceback__)[1:]
    file = function.__code__.co_filename
    assert [(frame.name, frame.filename, frame.lineno) for frame in frames] == [("f", file, 8), ("g", file, 2)]
    assert frames[0].line == linecache.getline(file, 8).strip()
    assert "^" not in "".join(traceback.format_list(frames[:1]))


def test_calls_go_to_the_function_object() -> None:
    source = "def g(x):\n    return x + 1\ndef f(x):\n    return g(x) * 2\n"
    kernel = lowered(source, "f", (1,))
    callee = kernel.functions["g(int)"]
    assert python_function(kernel)({"x": 1}) == 4
    callee.__code__ = (lambda x: x + 10).__code__
    assert python_function(kernel)({"x": 1}) == 22
    assert python_function(kernel, "g(int)")({"x": 1}) == 2  # the procedure as it was lowered


def test_unbound_locals_and_more_than_is_needed() -> None:
    source = "def f(n):\n    for i in range(n):\n        x = i\n    return x\n"
    kernel = lowered(source, "f", (1,))
    rest = python_function(kernel, statement_id=kernel.entry.body[-1].id)
    check = python_function(kernel, statement_id=kernel.entry.body[-2].id)
    assert rest({"x": 7, "other": 1}) == 7
    with pytest.raises(UnboundLocalError, match="'x'"):
        check({})


def test_it_is_made_once() -> None:
    kernel = lowered("def f(n):\n    n += 1\n    return n\n", "f", (1,))
    last = kernel.entry.body[-1].id
    assert python_function(kernel, statement_id=last) is python_function(kernel, kernel.entry.name, last)
    assert python_function(kernel, statement_id=last) is not python_function(kernel, statement_id=last, behind=True)
    assert python_function(kernel, statement_id=last, behind=True)({}) is None
    with pytest.raises(KeyError, match="no statement 99"):
        python_function(kernel, statement_id=99)


def test_behind_a_branch_that_returns_nothing_is_left() -> None:
    source = (
        "def f(n):\n    for i in range(n):\n        if i > 3:\n            n = -i\n            return n\n"
        "        if i > 8:\n            break\n    return 1\n"
    )
    kernel = lowered(source, "f", (9,))
    found = next(s for s in walk(kernel.entry.body) if isinstance(s, Assign) and s.target == "n")
    assert python_function(kernel, statement_id=found.id, behind=True)({"n": -4}) == -4


def test_a_continuation_as_python() -> None:
    kernel = lowered(
        "def f(n):\n    s = 0\n    while s < n:\n        s += 2\n        s *= 3\n    return s\n", "f", (50,)
    )
    (loop,) = (each for each in walk(kernel.entry.body) if isinstance(each, While))
    rest = continuation(kernel, loop.body[2].id, types={"n": type_of(1), "s": type_of(1)})
    assert python_function(rest)({"n": 50, "s": 8}) == kernel.function(50) == 78


def test_from_the_start_other_types_of_the_language_work() -> None:
    source = (
        "def f(a, limit):\n    if limit is None:\n        limit = 1\n    b = a\n    b += limit\n"
        "    b -= (b > 2) * limit\n    for i in range(2):\n        limit += i\n    return a, b, limit\n"
    )
    kernel = lowered(source, "f", (1, None))
    for a in (1, 2.5, np.arange(4)):
        for limit in (None, 2):
            ours, theirs = copy.deepcopy(a), copy.deepcopy(a)
            found = python_function(kernel)({"a": ours, "limit": limit})
            assert fingerprint((found, ours)) == fingerprint((kernel.function(theirs, limit), theirs))


def test_code_is_as_dense_as_the_users() -> None:
    source = (
        "def f(xs, n):\n    s = 0.0\n    for i in range(n):\n        if 0 < i < 5 and xs[i] > s:\n"
        "            s = s * 2 + xs[i] * xs[i - 1] if i != 3 else -s\n    return s\n"
    )
    kernel = lowered(source, "f", ([1.0], 1))
    made = python_function(kernel)
    assert isinstance(made, FunctionType)
    assert not [name for name in made.__code__.co_varnames if name.startswith("%")]
    assert isinstance(ast.parse(source), ast.Module)
