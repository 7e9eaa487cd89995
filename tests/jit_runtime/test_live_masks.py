"""Live locals as masks are those of `kernel.liveness`, which works by names and iterates to a fixed point."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings

from lean_agentic.jit_runtime.live_masks import live_masks
from lean_agentic.jit_runtime.survey import survey
from lean_agentic.kernel import UnsupportedError, liveness, lower, type_of
from lean_agentic.kernel.ir import Assign, Procedure, walk
from lean_agentic.kernel.program_generator import Program, programs
from lean_agentic.kernel.types import INT, NEVER, ListType
from tests.jit_runtime.against_cpython import as_function
from tests.kernel.test_programs import PROGRAMS


def check(procedure: Procedure) -> None:
    """Compare at every statement."""
    seen, expected = survey(procedure), liveness(procedure)
    found = live_masks(procedure, seen)
    raising = any(isinstance(each, Assign) and each.type == NEVER for each in walk(procedure.body))
    for masks, names in ((found.before, expected.before), (found.after, expected.after)):
        assert masks.keys() == names.keys()
        for statement, mask in masks.items():
            live = {name for name, bit in seen.bits.items() if mask & bit}
            # Nothing is live behind what always raises, which the masks know and the names do not.
            assert live <= names[statement] if raising else live == names[statement], statement


def test_everyday_programs() -> None:
    for function, arguments in PROGRAMS:
        for procedure in lower(function, [type_of(each) for each in arguments]).procedures.values():  # type: ignore[arg-type]
            check(procedure)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(program=programs())
def test_generated_programs(program: Program) -> None:
    try:
        kernel = lower(as_function(program.source), [type_of(each) for each in program.arguments])
    except UnsupportedError:
        return
    for procedure in kernel.procedures.values():
        check(procedure)


def test_jumps_out_of_nested_loops() -> None:
    source = """
def f(n, a, b, c, d):
    while n > a:
        for i in range(n):
            if i == b:
                continue
            if i > c:
                break
            n = n - 1
        else:
            if n == d:
                break
            a = 5
            continue
        b = a
    else:
        c = 3
    return a, b, c
"""
    check(lower(as_function(source), [INT] * 5).entry)


def test_what_follows_an_endless_loop_is_live_only_where_it_is_left() -> None:
    source = """
def f(n):
    while True:
        n = n + 1
        if n > 5:
            y = n
            break
    return y
"""
    kernel = lower(as_function(source), [INT])
    seen = survey(kernel.entry)
    found = live_masks(kernel.entry, seen)
    assert found.before[kernel.entry.body[0].id] == seen.bits["n"]


def test_nothing_is_live_behind_what_always_raises() -> None:
    source = """
def refuse(n):
    raise ValueError(n)

def f(n, xs):
    if n > 3:
        y = refuse(n)
    else:
        y = [n]
    return y, xs
"""
    kernel = lower(as_function(source), [INT, ListType(INT)])
    seen = survey(kernel.entry)
    found = live_masks(kernel.entry, seen)
    call = next(each for each in walk(kernel.entry.body) if isinstance(each, Assign) and each.type == NEVER)
    assert found.before[call.id] == seen.bits["n"]
    assert found.after[call.id] == 0
