"""Rules for the intrinsics: `len`, `sum`, `min` and `max` of containers, and all those of numbers.

In: `Intrinsic` operations. Out: values. A reduction goes through a container in CPython's order with CPython's types: a
sum starts as the int 0, and the least element is the first one that no later one is less than.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Sequence

from lean_agentic.jit_runtime import arithmetic
from lean_agentic.jit_runtime.alternatives import for_each_alternative, settled
from lean_agentic.jit_runtime.arithmetic_compare import as_bool, condition
from lean_agentic.jit_runtime.arithmetic_operands import is_literal
from lean_agentic.jit_runtime.elements import Elements, each_item, element_of
from lean_agentic.jit_runtime.emitter import Value
from lean_agentic.jit_runtime.lir import Variable
from lean_agentic.jit_runtime.positions import range_count
from lean_agentic.jit_runtime.select_arrays import array_parts
from lean_agentic.jit_runtime.select_extremes import BETTER, best_in, best_of
from lean_agentic.jit_runtime.select_list_operations import ListParts
from lean_agentic.jit_runtime.select_scalars import binary
from lean_agentic.jit_runtime.select_sequences import tuple_items
from lean_agentic.jit_runtime.selector import Selector, selects
from lean_agentic.kernel.ir import Intrinsic
from lean_agentic.kernel.operation_types import probed
from lean_agentic.kernel.types import (
    BOOL,
    COMPLEX,
    FLOAT,
    INT,
    ListType,
    TupleType,
    Type,
    is_scalar,
)

COMPENSATED = sys.version_info >= (3, 12)
"""Whether `sum` adds floats with compensation, which only CPython does here."""
LOWER = 2**32 - 1


@selects(Intrinsic)
def select_intrinsic(s: Selector, operation: Intrinsic, result: Type) -> Value | None:
    """A built-in function."""
    name = operation.name
    if name == "len":
        return _len(s, operation, result)
    values = [s.read(argument, large=True) for argument in operation.arguments]
    if name == "range_length":
        return _range_length(s, values)
    if name == "in_range":
        return _in_range(s, values)
    if name in ("sum", *BETTER) and not all(map(_fits, values)):
        return None
    if name in ("sum", "min", "max") and not is_scalar(values[0].type):
        return _reduced(s, operation, settled(s, values[0]), values[1:], result)
    complex_too = any(COMPLEX in value.type.members for value in values)  # those raise TypeError
    if name in BETTER and not complex_too and len({value.type for value in values}) > 1:
        return best_of(s, name, values, result)
    return for_each_alternative(
        s, values, result, lambda each: arithmetic.intrinsic(s.e, name, each, s.leave), lambda: s.ask(operation, result)
    )


def _len(s: Selector, operation: Intrinsic, result: Type) -> Value | None:
    container = operation.arguments[0]
    array = array_parts(s, container)
    if array is not None:
        return Value(INT, (array.length(0),))
    value = s.read(container)
    if isinstance(value.type, ListType):
        return Value(INT, (ListParts(s, value, container).length(),))
    return for_each_alternative(s, [value], INT, lambda each: _length(s, each[0]), lambda: s.ask(operation, result))


def _length(s: Selector, container: Value) -> Value:
    if isinstance(container.type, TupleType):
        return Value(INT, (len(container.type.elements),))
    array = array_parts(s, container)
    return Value(INT, (ListParts(s, container).length() if array is None else array.length(0),))


def _range_length(s: Selector, values: list[Value]) -> Value | None:
    if any(value.type != INT for value in values):
        return None
    start, stop, step = (value.operands[0] for value in values)
    if not all(map(_fits, values)) or step == 0:
        return None
    if not isinstance(step, int):
        s.e.guard(s.e.op("itob", "b", step), s.leave())
    some, behind = range_count(s, start, stop, step)
    count = s.e.op("select", "i", some, s.e.op("add", "i", behind, 1), 0)
    # Up to 2**64 - 1 elements: what looks negative has no form. All 2**64 - 1 of them and one more cannot be.
    s.e.guard(s.e.op("icmp", "b", count, 0, "sge"), s.leave())
    return Value(INT, (count,))


def _in_range(s: Selector, values: list[Value]) -> Value | None:
    """`x in range(a, b)` of ints: two comparisons."""
    step = values[3].operands[0]
    if any(value.type not in (INT, BOOL) for value in values) or not all(map(_fits, values)) or step not in (1, -1):
        return None
    value, start, stop, _ = values
    lower = condition(s.e, "<=" if step == 1 else ">=", start, value, s.leave)
    upper = condition(s.e, "<" if step == 1 else ">", value, stop, s.leave)
    if is_literal(lower) or is_literal(upper):
        known, other = (lower, upper) if is_literal(lower) else (upper, lower)
        return as_bool(s.e, other if known else 0)
    return as_bool(s.e, s.e.op("band", "b", lower, upper))


def _fits(value: Value) -> bool:
    """Whether no operand is an int constant beyond 64 bits."""
    return all(not isinstance(operand, int) or arithmetic.fits(operand) for operand in value.operands)


def _reduced(s: Selector, operation: Intrinsic, container: Value, more: list[Value], result: Type) -> Value | None:
    def one(singles: list[Value]) -> Value | None:
        if operation.name == "sum":
            return _sum(s, singles[0], more[0] if more else Value(INT, (0,)), result)
        return best_in(s, operation.name, singles[0])

    return for_each_alternative(s, [container], result, one, lambda: s.ask(operation, result))


def _sum(s: Selector, container: Value, start: Value, result: Type) -> Value | None:
    element = element_of(container.type)
    added = {*start.type.members, *element.members}
    if COMPENSATED and added & {FLOAT, COMPLEX}:
        return None
    if isinstance(container.type, TupleType):
        total: Value | None = start
        for item in tuple_items(container):
            total = total and _plus(s, total, item, result)
        return total
    if not element.members:
        return start
    elements = Elements(s, container)
    if start.type == INT and element in (INT, BOOL):
        return _int_sum(s, elements, start)
    first = probed(operator.add, (start.type, element))
    steady = len(first.members) == 1 and probed(operator.add, (first, element)) == first
    if steady and first != start.type:
        return _sum_with_first(s, elements, start, first, result)
    kind = first if steady else result
    total_slots = s.variables(kind, "total")
    s.assign(total_slots, kind, start)
    _add_all(s, elements, total_slots, kind, 0)
    return s.taken(total_slots, kind)


def _int_sum(s: Selector, elements: Elements, start: Value) -> Value:
    """A sum of ints in two halves that cannot overflow, so that only the end is checked and the loop can be vectorised.

    For fewer than 2**31 elements the lower halves, as unsigned numbers, stay below 2**63.
    """
    e = s.e
    e.guard(e.op("icmp", "b", elements.count(), 2**31, "slt"), s.leave())
    low, high = e.variable("i", "lower half"), e.variable("i", "upper half")
    s.set(low, 0)
    s.set(high, 0)

    def add(item: Value) -> bool:
        s.set(low, e.op("add", "i", s.get(low), e.op("and", "i", item.operands[0], LOWER)))
        if item.type == INT:
            s.set(high, e.op("add", "i", s.get(high), e.op("ashr", "i", item.operands[0], 32)))
        return True

    each_item(s, elements, 0, add)
    upper = e.op("add", "i", s.get(high), e.op("lshr", "i", s.get(low), 32))
    e.guard(e.op("icmp", "b", e.op("sext32", "i", upper), upper, "eq"), s.leave())
    total = e.op("or", "i", e.op("shl", "i", upper, 32), e.op("and", "i", s.get(low), LOWER))
    return Value(INT, (total if start.operands[0] == 0 else e.op("addo", "i", total, start.operands[0], s.leave()),))


def _sum_with_first(s: Selector, elements: Elements, start: Value, kind: Type, result: Type) -> Value:
    """A sum whose type is another one from the first element on, and then stays."""
    merged, total_slots = s.variables(result, "sum"), s.variables(kind, "total")
    s.assign(merged, result, start)
    some, meet = s.e.new_block(), s.e.new_block()
    s.choose(s.e.op("icmp", "b", elements.count(), 0, "sgt"), some, meet)
    s.begin(some)
    total = _plus(s, start, elements.item(0), kind)
    if total is None:
        s.give_up()
    else:
        s.assign(total_slots, kind, total)
        _add_all(s, elements, total_slots, kind, 1)
        s.assign(merged, result, s.taken(total_slots, kind))
        s.branch(meet)
    s.begin(meet)
    return s.taken(merged, result)


def _add_all(s: Selector, elements: Elements, total_slots: Sequence[Variable], kind: Type, start: int) -> None:
    def add(item: Value) -> bool:
        total = _plus(s, s.taken(total_slots, kind), item, kind)
        if total is None:
            return s.give_up()
        s.assign(total_slots, kind, total)
        return True

    each_item(s, elements, start, add)


def _plus(s: Selector, total: Value, item: Value, result: Type) -> Value | None:
    return binary(s, "+", [total, item], result, s.leaves)
