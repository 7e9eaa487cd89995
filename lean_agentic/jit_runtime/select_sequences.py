"""Rules for what holds values: indexing, stores, tuples, attributes, new arrays.

In: operations on lists, tuples and arrays. Out: values. A tuple is only the slots of its elements, one after the other.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lean_agentic.jit_runtime.alternatives import for_each_alternative, is_union
from lean_agentic.jit_runtime.emitter import Value
from lean_agentic.jit_runtime.layout import slots
from lean_agentic.jit_runtime.lir import Operand
from lean_agentic.jit_runtime.positions import integer, position
from lean_agentic.jit_runtime.select_arrays import ArrayParts, array_attribute, array_parts, index_array, store_array
from lean_agentic.jit_runtime.select_list_operations import (
    ListParts,
    element_address,
    list_slice,
    load_slots,
    store_slots,
)
from lean_agentic.jit_runtime.selector import Selector, selects
from lean_agentic.jit_runtime.values import FILLER
from lean_agentic.kernel.ir import Atom, Attribute, Constant, Index, MakeTuple, NewArray, Slice, Store, Unpack
from lean_agentic.kernel.types import BOOL, COMPLEX, FLOAT, INT, NONE, ArrayType, ListType, TupleType, Type

STORED = Value(NONE, ())
"""The result of a store that is done."""


def tuple_items(value: Value) -> list[Value]:
    """The elements of a tuple value."""
    assert isinstance(value.type, TupleType)
    items, start = [], 0
    for element in value.type.elements:
        end = start + len(slots(element))
        items.append(Value(element, value.operands[start:end]))
        start = end
    return items


@selects(MakeTuple)
def select_make_tuple(s: Selector, operation: MakeTuple, result: Type) -> Value:
    """`(a, b)`."""
    items = [s.read(item) for item in operation.items]
    return Value(result, tuple([operand for item in items for operand in item.operands]))


@selects(Unpack)
def select_unpack(s: Selector, operation: Unpack, result: Type) -> Value | None:
    """One element of a tuple of known length."""
    return for_each_alternative(
        s, [s.read(operation.source)], result,
        lambda singles: tuple_items(singles[0])[operation.position], lambda: s.ask(operation, result),
    )  # fmt: skip


@selects(Index)
def select_index(s: Selector, operation: Index, result: Type) -> Value | None:
    """`container[items]`."""
    array = array_parts(s, operation.container)
    if array is not None:
        return index_array(s, array, operation.items)
    container = s.read(operation.container)
    if isinstance(container.type, ListType):
        return _list_item(s, ListParts(s, container, operation.container), operation.items[0])
    return for_each_alternative(
        s, [container], result,
        lambda singles: _indexed(s, singles[0], operation.items, result), lambda: s.ask(operation, result),
    )  # fmt: skip


def _indexed(s: Selector, container: Value, items: Sequence[Atom | Slice], result: Type) -> Value | None:
    array = array_parts(s, container)
    if array is not None:
        return index_array(s, array, items)
    if isinstance(container.type, ListType):
        return _list_item(s, ListParts(s, container), items[0])
    assert not isinstance(items[0], Slice)
    return _tuple_item(s, container, items[0], result)


def _list_item(s: Selector, parts: ListParts, item: Atom | Slice) -> Value:
    if isinstance(item, Slice):
        return list_slice(s, parts, item)
    place = position(s, item, parts.length())
    return load_slots(s, parts.element, *element_address(s, parts, place))


def _tuple_item(s: Selector, container: Value, item: Atom, result: Type) -> Value | None:
    items = tuple_items(container)
    if isinstance(item, Constant):
        return items[item.value] if -len(items) <= item.value < len(items) else None
    place = position(s, item, len(items))
    merged = s.variables(result, "item")
    meet = s.e.new_block()
    for number, each in enumerate(items):
        chosen, otherwise = s.e.new_block(), s.e.new_block()
        if number < len(items) - 1:
            s.choose(s.e.op("icmp", "b", place, number, "eq"), chosen, otherwise)
            s.begin(chosen)
        s.assign(merged, result, each)
        s.branch(meet)
        if number < len(items) - 1:
            s.begin(otherwise)
    s.begin(meet)
    return s.taken(merged, result)


@selects(Store)
def select_store(s: Selector, statement: Store) -> bool:
    """`container[items] = value`."""
    array, value = array_parts(s, statement.container), s.read(statement.value)
    if array is not None:
        stored = for_each_alternative(
            s, [value], NONE, lambda each: _store_array(s, array, statement.items, each[0]), s.leaves
        )
        return stored is not None or s.give_up()
    container = s.read(statement.container)
    if isinstance(container.type, ListType):
        parts = ListParts(s, container, statement.container)
        return _store_in_list(s, parts, statement.items, value) is not None or s.give_up()
    stored = for_each_alternative(
        s, [container, value], NONE, lambda each: _store(s, each[0], statement.items, each[1]), s.leaves
    )
    return stored is not None or s.give_up()


def _store(s: Selector, container: Value, items: Sequence[Atom], value: Value) -> Value | None:
    array = array_parts(s, container)
    if array is not None:
        return _store_array(s, array, items, value)
    return _store_in_list(s, ListParts(s, container), items, value)


def _store_array(s: Selector, array: ArrayParts, items: Sequence[Atom], value: Value) -> Value | None:
    return STORED if store_array(s, array, items, value) else None


def _store_in_list(s: Selector, parts: ListParts, items: Sequence[Atom], value: Value) -> Value | None:
    if not parts.element.members:
        return None  # there is no element to be replaced
    place = position(s, items[0], parts.length())
    store_slots(s, parts.element, *element_address(s, parts, place), value)
    return STORED


@selects(Attribute)
def select_attribute(s: Selector, operation: Attribute, result: Type) -> Value | None:
    """`shape`, `ndim`, `size`, `T` of an array; `real`, `imag` of a number."""
    array = array_parts(s, operation.source)
    if array is not None:
        return array_attribute(s, array, operation.name)
    return for_each_alternative(
        s, [s.read(operation.source)], result,
        lambda singles: _attribute(s, singles[0], operation.name), lambda: s.ask(operation, result),
    )  # fmt: skip


def _attribute(s: Selector, value: Value, name: str) -> Value | None:
    array = array_parts(s, value)
    if array is not None:
        return array_attribute(s, array, name)
    if value.type == COMPLEX:
        return Value(FLOAT, (value.operands[name == "imag"],))
    kind = INT if value.type == BOOL else value.type
    return Value(kind, value.operands if name == "real" else tuple([FILLER[letter] for letter in slots(kind)]))


FILLS = {"empty": 0, "zeros": 1, "ones": 2, "arange": 3}


@selects(NewArray)
def select_new_array(s: Selector, operation: NewArray, result: Type) -> Value | None:
    """`np.zeros`, `np.ones`, `np.empty`, `np.arange(n)`; its like are made by NumPy in Python."""
    if operation.kind == "copy":
        return _copied(s, operation.arguments[0], result)
    fill = FILLS.get(operation.kind)
    if fill is None or not isinstance(result, ArrayType):
        return None
    shape = s.read(operation.arguments[0])
    items = tuple_items(shape) if isinstance(shape.type, TupleType) else [shape]
    if any(is_union(item) or item.type == BOOL for item in items):
        return None
    lengths = [integer(s, item) for item in items]
    if operation.kind == "arange":
        if len(operation.arguments) > 1 or items[0].type != INT or result.dtype != "int64":
            return None
        lengths = [s.e.op("select", "i", s.e.op("icmp", "b", lengths[0], 0, "sgt"), lengths[0], 0)]
    area = s.e.op("scratch", "p", len(lengths) + len(slots(result)))
    for axis, length in enumerate(lengths):
        s.e.do("store", area, 8 * axis, length, "i64")
    failed = s.e.runtime("array_new", "i", np.dtype(result.dtype).num, result.rank, fill, area)
    return _handed_over(s, failed, result, area, len(lengths))


def _handed_over(s: Selector, failed: Operand, result: ArrayType, area: Operand, first: int) -> Value:
    """The array whose slots a runtime function stored behind the first slots of an area."""
    s.e.guard(s.e.op("icmp", "b", failed, 0, "eq"), s.leave())
    found = [
        s.e.op("load", letter, area, 8 * (first + k), "ptr" if letter == "p" else "i64")
        for k, letter in enumerate(slots(result))
    ]
    return Value(result, tuple(found))


def _copied(s: Selector, source: Atom, result: Type) -> Value | None:
    """`x.copy()` of a list or an array."""
    if isinstance(source.type, ListType):
        nothing = Constant(None, NONE)
        everything = Slice(nothing, nothing, nothing)
        return list_slice(s, ListParts(s, s.read(source), source), everything)
    array = array_parts(s, source)
    if array is None or not isinstance(result, ArrayType):
        return None
    parts = (*array.shape(), *array.strides())
    area = s.e.op("scratch", "p", len(parts) + 1 + len(slots(result)))
    for place, part in enumerate(parts):
        s.e.do("store", area, 8 * place, part, "i64")
    s.e.do("store", area, 8 * len(parts), array.data(), "ptr")
    failed = s.e.runtime("array_copy", "i", np.dtype(result.dtype).num, result.rank, area)
    return _handed_over(s, failed, result, area, len(parts) + 1)
