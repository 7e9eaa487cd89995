"""Whole programs, everyday and generated: selected, compiled, and compared with CPython."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from lean_agentic.jit_runtime.errors import NotCompiledError
from lean_agentic.jit_runtime.facts import Facts
from lean_agentic.jit_runtime.lir import Mode
from lean_agentic.jit_runtime.selection import select
from lean_agentic.kernel import UnsupportedError, lower, type_of
from lean_agentic.kernel.ir import NewArray
from lean_agentic.kernel.program_generator import Program, programs
from lean_agentic.kernel.types import FLOAT, INT, ListType
from tests.jit_runtime.against_cpython import again, as_function, compiled, same
from tests.kernel.test_programs import PROGRAMS

EXAMPLES = int(os.environ.get("JIT_EXAMPLES", "40"))


@pytest.mark.parametrize(("function", "arguments"), PROGRAMS)
@pytest.mark.parametrize("tier", [1, 2])
def test_everyday_programs_run_as_in_cpython(
    function: Callable[..., Any], arguments: tuple[Any, ...], tier: int
) -> None:
    same(function, *arguments, tier=tier)  # type: ignore[arg-type]


@pytest.mark.parametrize("tier", [1, 2])
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(program=programs())
def test_generated_programs_run_as_in_cpython(program: Program, tier: int) -> None:
    with contextlib.suppress(UnsupportedError):
        same(program.source, *program.arguments, tier=tier)


def test_everyday_programs_ask_little() -> None:
    for function, arguments in PROGRAMS:
        selected = select(lower(function, [type_of(each) for each in arguments]))  # type: ignore[arg-type]
        asked = [point.operation for point in selected.exits if point.mode is Mode.ASK]
        assert all(isinstance(each, NewArray) or getattr(each, "name", "").startswith("np.") for each in asked), (
            function
        )


def test_what_goes_with_the_code() -> None:
    kernel = lower(as_function("def f(xs, n):\n    xs[0] = n\n    return [0.5] * n, xs"), [ListType(INT), INT])
    selected = select(kernel)
    assert selected.parameters == [("list", ("int",), True), ("int",)]
    assert selected.result == ("tuple", [("list", ("float",), False), ("list", ("int",), True)])
    assert selected.lists == [("list", ("float",), False)]
    assert selected.written == {ListType(INT)}
    assert [each.name for each in selected.unit.functions] == [kernel.entry.name]


def test_exits_are_numbered_in_the_order_of_their_points() -> None:
    selected = select(lower(as_function("def f(x, xs):\n    return xs[x] + xs[x + 1]"), [INT, ListType(FLOAT)]))
    assert selected.unit.exits == len(selected.exits) == 3
    assert [point.statement for point in selected.exits] == [1, 2, 3]
    assert [point.names for point in selected.exits] == [("xs", "x"), ("x", "xs", "%1"), ("xs", "%2", "%1")] or all(
        {"xs"} <= set(point.names) for point in selected.exits
    )


def test_the_same_kernel_gives_the_same_code() -> None:
    function, arguments = PROGRAMS[1]
    kernel = lower(function, [type_of(each) for each in arguments])  # type: ignore[arg-type]
    one, other = (
        [block.instructions for each in select(kernel).unit.functions for block in each.blocks] for _ in range(2)
    )
    assert repr(one) == repr(other)


def test_procedures_in_a_cycle_are_recursive() -> None:
    source = """
def is_even(n):
    return True if n == 0 else is_odd(n - 1)

def is_odd(n):
    return False if n == 0 else is_even(n - 1)

def f(n):
    return is_even(n)
"""
    run = same(source, 7)
    recursive = {each.name.split("(")[0]: each.recursive for each in run.compiled.selected.unit.functions}
    assert recursive == {"f": False, "is_even": True, "is_odd": True}


def test_assumptions_are_tested_at_the_entry() -> None:
    run = same("def f(n):\n    return n + 1", 5, facts=Facts(exact=frozenset({1}), assumed={"n": (0, 100)}))
    assert not run.left
    assert again(run, 2**63 - 1).left == [1]


def test_a_variable_of_too_many_types_has_no_form() -> None:
    lines = [f"    x = a{k}[0]\n    t += float(x)" for k in range(9)]
    source = f"def f({', '.join(f'a{k}' for k in range(9))}):\n    t = 0.0\n" + "\n".join(lines) + "\n    return t"
    dtypes = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32")
    import numpy as np

    with pytest.raises(NotCompiledError, match="more than 8 types"):
        compiled(source, *(np.ones(1, dtype=each) for each in dtypes))
