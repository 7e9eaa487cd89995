"""Instruction selection: from a kernel to the low-level IR.

In: a kernel, and what is proved about it. Out: `Selected`: the LIR of all its procedures, and the tables that the
native boundary and the handler of exits need. All of Python's semantics is decided here: what the machine cannot do
exactly is checked for and left to Python, by an exit that carries the live locals.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lean_agentic.jit_runtime import (  # noqa: F401  (they register their rules)
    select_control,
    select_moves,
    select_ranges,
    select_reductions,
    select_sequences,
)
from lean_agentic.jit_runtime.errors import NotCompiledError
from lean_agentic.jit_runtime.exit_points import ExitPoint
from lean_agentic.jit_runtime.facts import NOTHING, Facts
from lean_agentic.jit_runtime.layout import Descriptor
from lean_agentic.jit_runtime.lir import Function, Unit
from lean_agentic.jit_runtime.select_arrays import item_size
from lean_agentic.jit_runtime.selector import Selector
from lean_agentic.jit_runtime.survey import Survey, surveys
from lean_agentic.jit_runtime.unit_tables import UnitTables
from lean_agentic.jit_runtime.values import constant_value
from lean_agentic.kernel.ir import Constant, Local, Procedure
from lean_agentic.kernel.kernel import Kernel
from lean_agentic.kernel.types import INT, NONE, ArrayType, Type

__all__ = ["NotCompiledError", "Selected", "select"]


@dataclass(frozen=True, eq=False)
class Selected:
    """A kernel as LIR."""

    unit: Unit
    exits: list[ExitPoint]
    """By number."""
    parameters: list[Descriptor]
    result: Descriptor
    lists: list[Descriptor]
    """By the layout number of `list_new`."""
    written: frozenset[Type]
    """List types that are stored into or appended to."""

    def __repr__(self) -> str:
        count = sum(len(block.instructions) for each in self.unit.functions for block in each.blocks)
        return f"<Selected {self.unit.functions[0].name}, {count} instructions, {len(self.exits)} exits>"


def select(kernel: Kernel, facts: Facts | None = None) -> Selected:
    """Select instructions for a kernel.

    Parameters
    ----------
    kernel : Kernel
        From `lower` or `continuation`.
    facts : Facts, optional
        What is proved about it; without, every check stays.

    Raises
    ------
    NotCompiledError
        If something has no machine form at all.
    """
    procedures = [kernel.entry, *(each for each in kernel.procedures.values() if each is not kernel.entry)]
    known = surveys(procedures)
    written = {a_type for each in known.values() for a_type in each.written}
    tables = UnitTables(kernel, facts or NOTHING, written)
    functions = [_function(tables, each, known) for each in procedures]
    return Selected(
        Unit(functions, len(tables.exits)),
        tables.exits,
        [tables.descriptor(each.type) for each in kernel.entry.parameters],
        tables.descriptor(kernel.entry.result),
        tables.lists,
        tables.written,
    )


def _function(tables: UnitTables, procedure: Procedure, known: Mapping[str, Survey]) -> Function:
    s = Selector(tables, procedure, known[procedure.name], _calls_itself(procedure.name, known))
    if procedure is tables.kernel.entry:
        _assume(s, tables.facts)
    if s.block(procedure.body):
        if NONE in procedure.result.members:
            s.e.do("ret", s.widened(constant_value(Constant(None, NONE)), procedure.result))
        else:
            s.e.do("unreachable")
    return s.finish()


def _assume(s: Selector, facts: Facts) -> None:
    """Leave at the first statement unless the arguments are what the facts assume."""
    if not facts.assumed and not facts.assumed_unit_stride:
        return
    leave = s.leave_because("argument beyond what was assumed of it")
    for name, (low, high) in facts.assumed.items():
        value = s.read(Local(name, INT)).operands[0]
        s.e.guard(s.e.op("icmp", "b", value, low, "sge"), leave)
        s.e.guard(s.e.op("icmp", "b", value, high, "sle"), leave)
    for parameter in s.procedure.parameters:
        if parameter.name in facts.assumed_unit_stride and isinstance(parameter.type, ArrayType):
            stride = s.read(Local(parameter.name, parameter.type)).operands[-1]
            s.e.guard(s.e.op("icmp", "b", stride, item_size(parameter.type), "eq"), leave)


def _calls_itself(name: str, known: Mapping[str, Survey]) -> bool:
    """Whether a procedure is in a cycle of calls."""
    reached: set[str] = set()
    waiting = list(known[name].calls)
    while waiting:
        called = waiting.pop()
        if called not in reached:
            reached.add(called)
            waiting += known[called].calls
    return name in reached
