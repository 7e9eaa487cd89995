"""Runs a function in every way there is and compares with CPython: used by the tests of single constructs."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from types import FunctionType
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
        from_the_middle(kernel, function, arguments, expected)
    return expected


def same(found: Outcome, expected: Outcome, messages: bool = False) -> None:
    """The same ending, and if wanted the same message of an exception."""
    assert not messages or repr(found.exception) == repr(expected.exception)
    assert found.fingerprint == expected.fingerprint, (found, expected)


def in_python(kernel: Kernel) -> Callable[..., Any]:
    """The generated Python code as a function of the arguments."""
    names = [each.name for each in kernel.entry.parameters]
    return lambda *values: python_function(kernel)(dict(zip(names, values, strict=True)))


def from_the_middle(kernel: Kernel, function: FunctionType, arguments: tuple[Any, ...], expected: Outcome) -> None:
    """Stop at several places and go on in Python code and in a continuation."""
    live = liveness(kernel.entry)
    steps = interpret(kernel, copy.deepcopy(arguments)).steps
    for budget in range(0, steps, max(1, steps // 12)):
        part = interpret(kernel, copy.deepcopy(arguments), budget=budget)
        if part.at is None:  # in a callee
            continue
        state = {name: part.locals[name] for name in live.before[part.at] if name in part.locals}
        states = (state, part.arguments)
        copied, given = copy.deepcopy(states)
        found = outcome(lambda part=part, copied=copied: python_function(kernel, None, part.at)(copied), ())
        same(Outcome(found.ending, found.value, found.exception, given), expected)
        rest = continuation(kernel, part.at, types={name: type_of(value) for name, value in state.items()})
        copied, given = copy.deepcopy(states)
        found = interpret(rest, list(copied.values()), check_types=True)
        same(Outcome(found.ending, found.value, found.exception, given), expected)
