"""Continuations against uninterrupted runs: the same end from any statement, at or behind it, and from there again."""

from __future__ import annotations

import copy
import os
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from types import FunctionType
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings

from lean_agentic.kernel import Kernel, Outcome, UnsupportedError, function_from_source, interpret, liveness, lower
from lean_agentic.kernel.continuation import continuation
from lean_agentic.kernel.ir import Assign, Block, Call, CheckBound, ForRange, Store, While, blocks, walk
from lean_agentic.kernel.program_generator import Program, programs
from lean_agentic.kernel.types import Type, type_of

EXAMPLES = int(os.environ.get("KERNEL_EXAMPLES", "40"))
LOOPS = """
def g(x):
    return x + 1

def f(n, m):
    s = 0
    for i in range(n):
        t = g(i)
        j = 0
        while j < m and s % 17 != 16:
            j += 1
            if (i + j) % 3 == 0:
                continue
            for k in range(j, i + 4, 2):
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
        if s % 11 == 10:
            break
    else:
        s += 1000
    ys = [g(a) + b for a in range(n) if a % 2 for b in range(m)]
    return s, ys
"""


def state_at(kernel: Kernel, part: Outcome, names: frozenset[str]) -> dict[str, Any]:
    """The live locals that have a value."""
    return {name: part.locals[name] for name in sorted(names) if name in part.locals}


def types_of(state: dict[str, Any]) -> dict[str, Type]:
    return {name: type_of(value) for name, value in state.items()}


def finished(kernel: Kernel, statement: int, state: dict[str, Any], part: Outcome, behind: bool = False) -> Outcome:
    """Run a continuation; the outcome with the arguments of the interrupted run."""
    rest = continuation(kernel, statement, behind=behind, types=types_of(state))
    assert [each.name for each in rest.entry.parameters] == list(state)
    assert len({each.id for one in rest.procedures.values() for each in walk(one.body)}) == len(rest.statements)
    outcome = interpret(rest, list(state.values()), check_types=True, budget=200_000)
    return replace(outcome, arguments=part.arguments)


def check_everywhere(kernel: Kernel, arguments: tuple[Any, ...], stops: int, seen: Counter[str]) -> None:
    """Stop at many places; go on there, and behind the statement where it has just been done."""
    live = liveness(kernel.entry)
    whole = interpret(kernel, copy.deepcopy(arguments))
    before = None
    for budget in range(0, whole.steps, max(1, whole.steps // stops)):
        part = interpret(kernel, copy.deepcopy(arguments), budget=budget)
        if part.at is None:  # stopped inside a callee
            continue
        before = interpret(kernel, copy.deepcopy(arguments), budget=budget - 1).at if budget else None
        state = state_at(kernel, part, live.before[part.at])
        try:
            found = finished(kernel, part.at, copy.deepcopy(state), part)
        except UnsupportedError:
            seen["refused"] += 1
            continue
        part = interpret(kernel, copy.deepcopy(arguments), budget=budget)
        state = state_at(kernel, part, live.before[part.at])
        found = finished(kernel, part.at, state, part)
        assert found.fingerprint == whole.fingerprint, (budget, part, found, whole)
        seen["at"] += 1
        check_behind(kernel, arguments, budget, before, whole, seen)


def check_behind(
    kernel: Kernel, arguments: tuple[Any, ...], budget: int, done: int | None, whole: Outcome, seen: Counter[str]
) -> None:
    part = interpret(kernel, copy.deepcopy(arguments), budget=budget)
    # Elsewhere an iteration may have begun since, and the loop's counter is not what it was behind the statement.
    if done is None or (done, part.at) not in neighbours(kernel.entry.body):
        return
    live = liveness(kernel.entry).after[done]
    found = finished(kernel, done, state_at(kernel, part, live), part, behind=True)
    assert found.fingerprint == whole.fingerprint, (budget, done, found, whole)
    seen["behind"] += 1


def neighbours(block: Block) -> set[tuple[int, int]]:
    """Pairs of a simple statement and the one that follows it."""
    found = {(a.id, b.id) for a, b in pairwise(block) if isinstance(a, Assign | Store | CheckBound)}
    return found.union(*(neighbours(inner) for statement in block for inner in blocks(statement)))


def lowered(source: str, name: str, arguments: tuple[Any, ...]) -> Kernel:
    return lower(function_from_source(source, name), [type_of(each) for each in arguments])


def test_generated_programs_go_on_anywhere() -> None:
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
        check_everywhere(kernel, program.arguments, 12, seen)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compare()
    assert seen["at"] > 200
    assert seen["behind"] > 100
    assert seen["refused"] * 20 <= seen["at"]


@pytest.mark.parametrize(("n", "m"), [(0, 0), (1, 3), (7, 2), (9, 6)])
def test_nested_loops_go_on_anywhere(n: int, m: int) -> None:
    seen: Counter[str] = Counter()
    check_everywhere(lowered(LOOPS, "f", (n, m)), (n, m), 25, seen)
    assert not seen["refused"]


def test_a_continuation_of_a_continuation() -> None:
    kernel = lowered(LOOPS, "f", (7, 4))
    whole = interpret(kernel, (7, 4))
    for first in range(3, whole.steps, 97):
        part, now = interpret(kernel, (7, 4), budget=first), kernel
        while part.at is not None:
            assert set(now.origin.values()) <= kernel.statements.keys()
            state = state_at(now, part, liveness(now.entry).before[part.at])
            now = continuation(now, part.at, types=types_of(state))
            part = interpret(now, list(state.values()), budget=53)
            if part.value is not None:
                assert part.value == whole.value
                break


def only(kernel: Kernel, kind: type[Any], position: int = 0) -> Any:
    return [each for each in walk(kernel.entry.body) if isinstance(each, kind)][position]


def test_an_iteration_goes_on_in_the_loop_itself() -> None:
    source = "def f(n):\n    s = 0\n    for i in range(n):\n        s += i\n    return s\n"
    kernel = lowered(source, "f", (3,))
    loop = only(kernel, ForRange)
    names = sorted(liveness(kernel.entry).before[loop.body[0].id])
    rest = continuation(kernel, loop.body[0].id, types={name: type_of(1) for name in names})
    assert only(rest, ForRange).id == loop.id
    assert not rest.origin
    assert len(rest.statements) == len(list(walk((loop,)))) + 2  # the copy of the counter and the return


def test_the_middle_of_an_iteration_without_jumps_needs_no_extra_loop() -> None:
    source = "def f(n):\n    s = 0\n    while s < n:\n        s += 1\n        s *= 2\n    return s\n"
    kernel = lowered(source, "f", (3,))
    loop = only(kernel, While)
    rest = continuation(kernel, loop.body[1].id, types={"n": type_of(1), "s": type_of(1), "%2": type_of(1)})
    assert [each.id for each in walk(rest.entry.body) if isinstance(each, While | ForRange)] == [loop.id]
    assert set(rest.origin.values()) == {each.id for each in loop.body[1:]}
    assert all(rest.statements[new][1].line == kernel.statements[old][1].line for new, old in rest.origin.items())


@pytest.mark.parametrize("leave", ["break", "return i + s"])
def test_a_body_that_only_leaves_needs_no_counter(leave: str) -> None:
    source = f"def f(n):\n    s = 1\n    for i in range(n):\n        s += i\n        {leave}\n    return s\n"
    kernel = lowered(source, "f", (3,))
    loop = only(kernel, ForRange)
    names = liveness(kernel.entry).before[loop.body[-1].id]
    assert loop.counter not in names
    parts = (interpret(kernel, (3,), budget=budget) for budget in range(20))
    part = next(each for each in parts if each.at == loop.body[-1].id)
    rest = continuation(kernel, loop.body[-1].id, types=dict.fromkeys(names, type_of(1)))
    assert interpret(rest, [part.locals[name] for name in names]).value == 1
    assert not any(isinstance(each, ForRange) for each in walk(rest.entry.body))


def test_types_follow_the_values_given() -> None:
    source = "def g(x):\n    return x * 2\ndef f(x):\n    y = g(x)\n    return g(y) + 1\n"
    kernel = lowered(source, "f", (1,))
    call = only(kernel, Assign)
    rest = continuation(kernel, call.id, behind=True, types={call.target: type_of(1.5)})
    assert str(rest.entry.result) == "float"
    assert interpret(rest, [1.5]).value == 4.0
    assert "g(float)" in rest.procedures


def test_a_recursive_function_keeps_its_ids_apart() -> None:
    source = "def f(n):\n    return n if n < 2 else f(n - 1) + f(n - 2)\n"
    kernel = lowered(source, "f", (9,))
    call = next(s for s in walk(kernel.entry.body) if isinstance(s, Assign) and isinstance(s.operation, Call))
    rest = continuation(kernel, call.id, behind=True, types={"n": type_of(9), call.target: type_of(21)})
    assert interpret(rest, [9, 21]).value == 34
    assert set(rest.origin.values()) == set(kernel.statements)


def test_a_half_built_list_is_widened() -> None:
    source = "def f(n):\n    return [i * 0.5 for i in range(n)]\n"
    kernel = lowered(source, "f", (3,))
    loop = only(kernel, ForRange)
    names = sorted(liveness(kernel.entry).before[loop.body[0].id])
    types = {name: type_of([]) if name == "%1" else type_of(1) for name in names}
    rest = continuation(kernel, loop.body[0].id, types=types)
    assert str(rest.entry.result) == "list[float]"
    assert {str(each.type) for each in rest.entry.parameters} == {"int", "list[float]"}


def test_what_cannot_be_continued_is_an_error() -> None:
    kernel = lowered(LOOPS, "f", (3, 3))
    with pytest.raises(KeyError, match="no statement 999"):
        continuation(kernel, 999, types={})
    rest = continuation(kernel, kernel.entry.body[-1].id, types={})
    with pytest.raises(TypeError, match="is a continuation"):
        rest.bind(1)


def test_guards_are_inherited() -> None:
    namespace: dict[str, Any] = {}
    function: Callable[..., Any] = function_from_source(
        "K = 2\ndef f(x):\n    y = x + K\n    return y\n", None, namespace
    )
    assert isinstance(function, FunctionType)
    kernel = lower(function, [type_of(1)])
    rest = continuation(kernel, kernel.entry.body[-1].id, types={"y": type_of(1)})
    assert rest.is_current()
    namespace["K"] = 3
    assert not rest.is_current()
