"""The reference interpreter against CPython, on generated programs and on the traps by name."""

from __future__ import annotations

import copy
import os
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings

from lean_agentic.kernel import (
    Ending,
    Kernel,
    Outcome,
    UnsupportedError,
    function_from_source,
    interpret,
    liveness,
    lower,
    type_of,
)
from lean_agentic.kernel.program_generator import Program, programs

EXAMPLES = int(os.environ.get("KERNEL_EXAMPLES", "300"))
SEEDED = settings(
    max_examples=EXAMPLES,
    derandomize="KERNEL_EXAMPLES" not in os.environ,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
BUDGET = 100_000


def cpython(function: Any, arguments: tuple[Any, ...]) -> Outcome:
    """What CPython does."""
    try:
        return Outcome(Ending.RETURNED, function(*arguments), arguments=arguments)
    except Exception as error:
        return Outcome(Ending.RAISED, exception=error, arguments=arguments)


def lowered(program: Program) -> Kernel:
    """The program's kernel; programs whose mixture of NumPy types raises TypeError somewhere are not taken."""
    try:
        function = function_from_source(program.source, "program")
        return lower(function, [type_of(each) for each in program.arguments])
    except UnsupportedError:
        assume(False)
        raise


@SEEDED
@given(programs())
def test_interpreter_is_cpython(program: Program) -> None:
    kernel = lowered(program)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = cpython(kernel.function, copy.deepcopy(program.arguments))
        found = interpret(kernel, copy.deepcopy(program.arguments), budget=BUDGET, check_types=True)
    assert found.fingerprint == expected.fingerprint, (found, expected)
