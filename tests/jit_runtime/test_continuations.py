"""Compiled continuations: a call that the interpreter began and machine code ends is the whole call."""

from __future__ import annotations

import copy
import os
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from lean_agentic.jit_runtime.compiled import compile_kernel
from lean_agentic.jit_runtime.machine_code import Options
from lean_agentic.kernel import (
    Ending,
    Outcome,
    UnsupportedError,
    function_from_source,
    interpret,
    liveness,
    lower,
    type_of,
)
from lean_agentic.kernel.continuation import continuation
from lean_agentic.kernel.kernel import Kernel
from lean_agentic.kernel.program_generator import Program, programs

PROGRAMS = int(os.environ.get("JIT_PROGRAMS", "25"))
STOPS = 6


def finished(kernel: Kernel, part: Outcome, tier: int, engine: str) -> Outcome | None:
    """The rest of an interrupted run in machine code; None where the rest is outside of the language."""
    assert part.at is not None
    names = [name for name in liveness(kernel.entry).before[part.at] if name in part.locals]
    try:
        types = {name: type_of(part.locals[name]) for name in names}
        rest = continuation(kernel, part.at, types=types)
    except UnsupportedError:
        return None
    code = compile_kernel(rest, tier, options=Options(engine=engine)).code
    values = [part.locals[parameter.name] for parameter in rest.entry.parameters]
    try:
        return Outcome(Ending.RETURNED, code(*values), arguments=part.arguments)
    except Exception as error:
        return Outcome(Ending.RAISED, exception=error, arguments=part.arguments)


@pytest.mark.parametrize(("tier", "engine"), [(1, "x86"), (2, "llvm")])
@settings(
    max_examples=PROGRAMS, derandomize="JIT_PROGRAMS" not in os.environ, deadline=None, database=None,
    suppress_health_check=list(HealthCheck), phases=(Phase.generate, Phase.shrink),
)  # fmt: skip
@given(program=programs())
def test_the_rest_of_a_run_in_machine_code(tier: int, engine: str, program: Program) -> None:
    try:
        kernel = lower(function_from_source(program.source, "program"), [type_of(each) for each in program.arguments])
    except UnsupportedError:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole = interpret(kernel, copy.deepcopy(program.arguments))
        for budget in range(0, whole.steps, max(1, whole.steps // STOPS)):
            part = interpret(kernel, copy.deepcopy(program.arguments), budget=budget)
            found = finished(kernel, part, tier, engine) if part.at is not None else None
            assert found is None or found.fingerprint == whole.fingerprint, (budget, part.at, found, whole)


def test_an_exit_shows_a_view_that_was_only_noted() -> None:
    source = (
        "def f(n, g):\n    w = 0\n    while w < 3 and g[2][1] >= n:\n        w += 1\n"
        "        n = divmod(3, divmod(g.shape[0], n)[0])[1]\n    return n\n"
    )
    arguments = (2, np.ones((3, 2), dtype=np.int8) * 5)
    kernel = lower(function_from_source(source), [type_of(each) for each in arguments])
    whole = interpret(kernel, arguments)
    for budget in range(0, 25, 2):
        part = interpret(kernel, arguments, budget=budget)
        if part.at is not None:
            found = finished(kernel, part, 1, "x86")
            assert found is not None
            assert found.fingerprint == whole.fingerprint
