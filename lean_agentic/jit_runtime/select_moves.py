"""Rules for assignments as such: copies, calls of other procedures, and the statement around an operation.

In: `Assign` statements. Out: locals with their new values.
"""

from __future__ import annotations

from lean_agentic.jit_runtime.emitter import Value
from lean_agentic.jit_runtime.layout import slots
from lean_agentic.jit_runtime.selector import OPERATIONS, Selector, selects
from lean_agentic.jit_runtime.values import NoMachineFormError
from lean_agentic.kernel.ir import (
    Assign,
    Atom,
    Binary,
    Call,
    CheckBound,
    Constant,
    Copy,
    Intrinsic,
    Operation,
    StoreSlice,
)
from lean_agentic.kernel.types import INT, Type

CLOSED = frozenset(("+", "*", "//", ">>", "&", "|", "^"))
"""Operators that give no negative int for operands that are not negative."""


@selects(Assign)
def select_assign(s: Selector, statement: Assign) -> bool:
    """`target = operation`."""
    operation, result = statement.operation, statement.type
    if type(operation) is Call:
        return _call(s, statement, operation)
    if not result.members:
        return s.give_up()  # it always raises
    if statement.target in s.survey.same:
        if s.survey.same[statement.target] in s.nonnegative:
            s.nonnegative.add(statement.target)
        return True
    try:
        value = OPERATIONS[type(operation)](s, operation, result)
    except NoMachineFormError:
        value = None
    s.write(statement.target, s.ask(operation, result) if value is None else value)
    if result == INT and len(s.survey.types[statement.target]) == 1 and _is_nonnegative(s, operation):
        s.nonnegative.add(statement.target)
    return True


def _is_nonnegative(s: Selector, operation: Operation) -> bool:
    """Whether an int operation surely gives no negative number; on overflow it gives none."""
    if isinstance(operation, Copy):
        return _all_nonnegative(s, operation.source)
    if isinstance(operation, Intrinsic):
        return operation.name == "len" or (
            operation.name in ("index", "min", "max") and _all_nonnegative(s, *operation.arguments)
        )
    if not isinstance(operation, Binary):
        return False
    if operation.operator == "%":
        return _all_nonnegative(s, operation.right)
    return operation.operator in CLOSED and _all_nonnegative(s, operation.left, operation.right)


def _all_nonnegative(s: Selector, *atoms: Atom) -> bool:
    return all(
        atom.type == INT and (atom.value >= 0 if isinstance(atom, Constant) else atom.name in s.nonnegative)
        for atom in atoms
    )


@selects(Copy)
def select_copy(s: Selector, operation: Copy, result: Type) -> Value:
    """The same value under another name."""
    return s.read(operation.source)


@selects(StoreSlice)
def select_store_slice(s: Selector, operation: StoreSlice, result: Type) -> None:
    """Left to NumPy, which copies first where memory overlaps, broadcasts and converts."""


def _call(s: Selector, statement: Assign, operation: Call) -> bool:
    callee = s.tables.kernel.procedures[operation.procedure]
    try:
        values = [s.read(argument) for argument in operation.arguments]
    except NoMachineFormError:
        return s.give_up()
    arguments = tuple(
        [
            operand
            for parameter, value in zip(callee.parameters, values, strict=True)
            for operand in s.widened(value, parameter.type)
        ]
    )
    targets = tuple([s.e.temporary(letter) for letter in slots(callee.result)])
    s.e.do("call", targets, callee.name, arguments, s.behind())
    if not callee.result.members:
        s.e.do("unreachable")
        return False
    s.write(statement.target, Value(callee.result, targets))
    return True


@selects(CheckBound)
def select_check_bound(s: Selector, statement: CheckBound) -> bool:
    """Leave when a local has no value."""
    if statement.name not in s.places:
        return s.give_up()
    flag = s.places[statement.name].flag
    if flag is not None:
        s.e.guard(s.e.op("itob", "b", s.get(flag)), s.leave())
    return True
