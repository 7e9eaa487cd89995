"""Locals that may have no value where they are live: found by running every path of small programs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from lean_agentic.jit_runtime.live_masks import live_masks
from lean_agentic.jit_runtime.survey import survey
from lean_agentic.jit_runtime.unsure_locals import unsure_locals
from lean_agentic.kernel import UnsupportedError, interpret, lower, type_of
from lean_agentic.kernel.program_generator import Program, programs
from lean_agentic.kernel.types import INT, ArrayType, ListType, Type
from tests.jit_runtime.against_cpython import as_function, same


def unsure(source: str, *types: Type) -> set[str]:
    """Of the entry, without hidden locals."""
    procedure = lower(as_function(source), types).entry
    seen = survey(procedure)
    return {each for each in unsure_locals(procedure, seen, live_masks(procedure, seen)) if not each.startswith("%")}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("if n:\n        x = 1\n    return x", {"x"}),
        ("if n:\n        x = 1\n    else:\n        x = 2\n    return x", set()),
        ("if n:\n        x = 1\n    else:\n        return 0\n    return x", set()),
        ("for i in range(n):\n        x = i\n    return x", {"x"}),
        ("for i in range(n):\n        x = i\n    else:\n        x = 2\n    return x", set()),
        ("for x in range(n):\n        if x:\n            break\n    else:\n        x = 2\n    return x", set()),
        ("while True:\n        x = n\n        if x:\n            break\n    return x", set()),
        ("while n > 1:\n        x = n\n        n -= 1\n    return n", set()),
        ("while n > 1:\n        if n == 3:\n            n = n - x\n        x = 1\n        n -= 1\n    return n", {"x"}),
    ],
)
def test_paths(body: str, expected: set[str]) -> None:
    assert unsure(f"def f(n):\n    {body}", INT) == expected


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(program=programs())
def test_all_others_have_a_value_wherever_a_run_stops(program: Program) -> None:
    try:
        kernel = lower(as_function(program.source), [type_of(each) for each in program.arguments])
    except UnsupportedError:
        return
    seen = survey(kernel.entry)
    live = live_masks(kernel.entry, seen)
    allowed = unsure_locals(kernel.entry, seen, live)
    with np.errstate(all="ignore"):
        for budget in range(0, 60, 3):
            part = interpret(kernel, program.arguments, budget=budget)
            if part.at is not None:
                missing = {name for name, bit in seen.bits.items() if live.before[part.at] & bit} - part.locals.keys()
                assert missing <= allowed


def test_exits_before_a_branch_that_always_raises() -> None:
    source = """
def f(n, ys, g):
    total = 0
    for i in range(n):
        x = ys[1] if g[i, 0] > 2.0 else g[i] if n > 100 else 2.5
        total += 1
    return total, x
"""
    assert "x" in unsure(source, INT, ListType(INT), ArrayType("float64", 2))
    for limit in (1.0, 3.0):
        same(source, 3, [], np.full((3, 2), limit))
