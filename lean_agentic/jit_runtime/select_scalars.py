"""Rules for operations on numbers: unary, binary, comparisons, intrinsics, truth.

In: operations whose operands may be unions. Out: values; the arithmetic on single types is `arithmetic`'s.
"""

from __future__ import annotations

from collections.abc import Callable

from lean_agentic.jit_runtime import arithmetic
from lean_agentic.jit_runtime.alternatives import (
    DOUBLES,
    FLOAT64,
    INTEGERS,
    NUMPY_BOOL,
    any_numpy,
    doubles_as_floats,
    for_each_alternative,
    is_union,
    settled,
    with_tag,
)
from lean_agentic.jit_runtime.emitter import Value
from lean_agentic.jit_runtime.layout import SCALAR_TAGS
from lean_agentic.jit_runtime.lir import Instruction, Operand, Temporary
from lean_agentic.jit_runtime.select_list_operations import select_list_binary
from lean_agentic.jit_runtime.selector import Selector, selects
from lean_agentic.kernel.ir import Binary, Compare, Unary
from lean_agentic.kernel.types import BOOL, FLOAT, NONE, ListType, TupleType, Type

Otherwise = Callable[[], Value | None]
UNCHECKED = {"addo": "add", "subo": "sub", "mulo": "mul"}
SAME_FOR_DOUBLES = frozenset("+-*")


@selects(Unary)
def select_unary(s: Selector, operation: Unary, result: Type) -> Value | None:
    """`- + ~ not`."""
    value = s.read(operation.operand, large=True)
    if operation.operator == "not":
        return Value(BOOL, (s.e.op("btoi", "i", s.e.op("bnot", "b", truth(s, value))),))
    if operation.operator in "+-" and is_union(value) and DOUBLES.issuperset(value.type.members):
        made = arithmetic.unary(s.e, operation.operator, Value(FLOAT, value.operands[1:]), s.leave)
        return made and Value(value.type, (value.operands[0], *made.operands))
    return for_each_alternative(
        s, [value], result,
        lambda singles: arithmetic.unary(s.e, operation.operator, singles[0], s.leave),
        lambda: s.ask(operation, result),
    )  # fmt: skip


@selects(Binary)
def select_binary(s: Selector, operation: Binary, result: Type) -> Value | None:
    """`+ - * / // % ** << >> & | ^`, also of lists."""
    if any(isinstance(each, ListType) for each in operation.left.type.members):
        return select_list_binary(s, operation, result)
    values = [s.read(operation.left, large=True), s.read(operation.right, large=True)]
    return binary(s, operation.operator, values, result, lambda: s.ask(operation, result))


def binary(s: Selector, operator: str, values: list[Value], result: Type, otherwise: Otherwise) -> Value | None:
    """A binary operation on numbers of any types."""
    start = len(s.e.block.instructions)
    first_block = s.e.block
    made = _binary(s, operator, values, result, otherwise)
    if s.statement.id in s.facts.exact:
        # A proof covers the whole statement, so that arithmetic need not know of it.
        blocks = s.function.blocks[s.function.blocks.index(first_block) :]
        for block in blocks:
            _drop_overflow_checks(block.instructions, start if block is first_block else 0)
    return made


def _drop_overflow_checks(instructions: list[Instruction], start: int) -> None:
    for place in range(start, len(instructions)):
        each = instructions[place]
        if each[0] in UNCHECKED:
            instructions[place] = (UNCHECKED[each[0]], *each[1:4])


def _binary(s: Selector, operator: str, values: list[Value], result: Type, otherwise: Otherwise) -> Value | None:
    if operator in SAME_FOR_DOUBLES and any(map(is_union, values)):
        floats = doubles_as_floats(values)
        if floats:
            made = arithmetic.binary(s.e, operator, floats[0], floats[1], s.leave)
            return made and with_tag(s, any_numpy(s, values, FLOAT, FLOAT64), made, (FLOAT, FLOAT64))
    return for_each_alternative(
        s, values, result, lambda singles: arithmetic.binary(s.e, operator, singles[0], singles[1], s.leave), otherwise
    )


@selects(Compare)
def select_compare(s: Selector, operation: Compare, result: Type) -> Value | None:
    """`== != < <= > >=`, and `is` against None."""
    if operation.operator in ("is", "isnot"):
        return _is_none(s, operation)
    values = [s.read(operation.left, large=True), s.read(operation.right, large=True)]
    return compare(s, operation.operator, values, result, lambda: s.ask(operation, result))


def compare(s: Selector, operator: str, values: list[Value], result: Type, otherwise: Otherwise) -> Value | None:
    """A comparison of numbers of any types."""
    if any(map(is_union, values)):
        floats = doubles_as_floats(values)
        if floats:
            made = arithmetic.compare(s.e, operator, floats[0], floats[1], s.leave)
            return made and with_tag(s, any_numpy(s, values, BOOL, NUMPY_BOOL), made, (BOOL, NUMPY_BOOL))
    return for_each_alternative(
        s, values, result, lambda singles: arithmetic.compare(s.e, operator, singles[0], singles[1], s.leave), otherwise
    )


def _is_none(s: Selector, operation: Compare) -> Value:
    other = operation.left if operation.right.type == NONE else operation.right
    if NONE not in other.type.members:
        return Value(BOOL, (int(operation.operator == "isnot"),))
    if other.type == NONE:
        return Value(BOOL, (int(operation.operator == "is"),))
    test = s.e.op(
        "icmp", "b", s.read(other).operands[0], SCALAR_TAGS[NONE], "eq" if operation.operator == "is" else "ne"
    )
    return Value(BOOL, (s.e.op("btoi", "i", test),))


def truth(s: Selector, value: Value) -> Operand:
    """The truth of a value as a `b`."""
    value = settled(s, value)
    members = value.type.members
    if INTEGERS.issuperset(members):
        return _as_truth(s, value.operands[-1])
    if DOUBLES.issuperset(members):
        return s.e.op("fcmp", "b", value.operands[-1], 0.0, "une")
    if len(members) == 1:
        return _single_truth(s, value)
    merged = for_each_alternative(
        s, [value], BOOL,
        lambda singles: Value(BOOL, (s.e.op("btoi", "i", _single_truth(s, singles[0])),)), lambda: None,
    )  # fmt: skip
    assert merged is not None
    return s.e.op("itob", "b", merged.operands[0])


def _as_truth(s: Selector, operand: Operand) -> Operand:
    """`itob`, or what a `btoi` just before was made from."""
    instructions = s.e.block.instructions
    if instructions and instructions[-1][0] == "btoi" and instructions[-1][1] == operand:
        test: Temporary = instructions[-1][2]
        return test
    return s.e.op("itob", "b", operand)


def _single_truth(s: Selector, value: Value) -> Operand:
    kind = value.type
    if isinstance(kind, ListType):
        return s.e.op("icmp", "b", s.e.op("load", "i", value.operands[0], 0, "n64"), 0, "ne")
    if isinstance(kind, TupleType):
        return s.e.op("itob", "b", int(bool(kind.elements)))
    return arithmetic.truth(s.e, value)
