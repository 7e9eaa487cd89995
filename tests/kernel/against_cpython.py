"""Runs a function in every way there is and compares with CPython: used by the tests of single constructs."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any

from lean_agentic.jit_runtime.compiled import compile_kernel
from lean_agentic.jit_runtime.machine_code import Options
from lean_agentic.kernel import (
    Ending,
    Kernel,
    Outcome,
    continuation,
    function_from_source,
    interpret,
    liveness,
    lower,
    python_function,
    type_of,
)

WAYS = [(1, Options(engine="x86")), (1, Options(engine="llvm")), (2, Options()), (3, Options())]
"""Tier and options."""


def outcome(run: Callable[..., Any], arguments: tuple[Any, ...]) -> Outcome:
    """What a call does."""
    try:
        return Outcome(Ending.RETURNED, run(*arguments), arguments=arguments)
    except Exception as error:
        return Outcome(Ending.RAISED, exception=error, arguments=arguments)


def check(source: str, *arguments: Any, name: str | None = None, messages: bool = False) -> Outcome:
    """The outcome of a source's function, once every way of running it has given CPython's."""
    function = function_from_source(source, name)
    kernel = lower(function, [type_of(each) for each in arguments])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = outcome(function, copy.deepcopy(arguments))
        same(interpret(kernel, copy.deepcopy(arguments), check_types=True), expected, messages)
        same(outcome(in_python(kernel), copy.deepcopy(arguments)), expected, messages)
        for tier, options in WAYS:
            same(
                outcome(compile_kernel(kernel, tier, options=options).code, copy.deepcopy(arguments)),
                expected,
                messages,
            )
        from_the_middle(kernel, arguments, expected)
    return expected


def same(found: Outcome, expected: Outcome, messages: bool = False) -> None:
    """The same ending, and if wanted the same message of an exception."""
    assert not messages or repr(found.exception) == repr(expected.exception)
    assert found.fingerprint == expected.fingerprint, (found, expected)


def in_python(kernel: Kernel) -> Callable[..., Any]:
    """The generated Python code as a function of the arguments."""
    names = [each.name for each in kernel.entry.parameters]
    return lambda *values: python_function(kernel)(dict(zip(names, values, strict=True)))


def from_the_middle(kernel: Kernel, arguments: tuple[Any, ...], expected: Outcome) -> None:
    """Stop at several places and go on in Python code and in a continuation."""
    live = liveness(kernel.entry)
    steps = interpret(kernel, copy.deepcopy(arguments)).steps

    def stopped(budget: int) -> tuple[Outcome, dict[str, Any]]:
        """Runs again for each use: copies of the state would not share memory as arrays and their views do."""
        part = interpret(kernel, copy.deepcopy(arguments), budget=budget)
        names = live.before[part.at] if part.at is not None else ()
        return part, {name: part.locals[name] for name in names if name in part.locals}

    for budget in range(0, steps, max(1, steps // 12)):
        part, state = stopped(budget)
        if part.at is None:  # in a callee
            continue
        found = outcome(python_function(kernel, None, part.at), (state,))
        same(Outcome(found.ending, found.value, found.exception, part.arguments), expected)
        part, state = stopped(budget)
        assert part.at is not None
        rest = continuation(kernel, part.at, types={name: type_of(value) for name, value in state.items()})
        found = interpret(rest, list(state.values()), check_types=True)
        same(Outcome(found.ending, found.value, found.exception, part.arguments), expected)
