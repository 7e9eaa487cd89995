"""What is known of an operation's result, from what is known of its operands.

In: an operation of the kernel IR and a state. Out: an abstract value; a `Number` may exceed 64 bits, which shows that
the operation's check can fail.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lean_agentic.jit_runtime import intervals
from lean_agentic.jit_runtime.abstract_values import (
    BOOLEAN,
    LENGTH,
    UNKNOWN,
    Abstract,
    Constraint,
    Items,
    Lengths,
    State,
    Truth,
    joined,
    of_type,
)
from lean_agentic.jit_runtime.intervals import Number, known
from lean_agentic.kernel.ir import (
    Atom,
    Attribute,
    Binary,
    Compare,
    Constant,
    Copy,
    Index,
    Intrinsic,
    Local,
    MakeList,
    MakeTuple,
    NewArray,
    Operation,
    Slice,
    StoreSlice,
    Unary,
    Unpack,
)
from lean_agentic.kernel.types import BOOL, INT, ArrayType, ListType, Type

NEGATED = {"<": ">=", ">=": "<", ">": "<=", "<=": ">", "==": "!=", "!=": "=="}


def evaluate(operation: Operation, result: Type, state: State) -> Abstract:
    """The result of an operation, as far as it is known; `result` is its type."""
    rule = RULES.get(type(operation))
    value = rule(operation, state) if rule else UNKNOWN
    return of_type(result) if value is UNKNOWN else value


def integer(atom: Atom, state: State) -> Number | None:
    """An int or bool operand as a number."""
    value = state.read(atom)
    if isinstance(value, Truth) and atom.type == BOOL:
        return Number(0, 1)
    return value if isinstance(value, Number) and atom.type == INT else None


def _binary(operation: Binary, state: State) -> Abstract:
    if isinstance(operation.left.type, ListType):
        return _list_arithmetic(operation, state)
    if operation.left.type == operation.right.type == BOOL and operation.operator in "&|^":
        return BOOLEAN
    left, right = integer(operation.left, state), integer(operation.right, state)
    if left is None or right is None:
        return UNKNOWN
    if operation.operator == "**":
        return _power(left, right)
    rule = intervals.BINARY.get(operation.operator)
    return rule(left, right) if rule else UNKNOWN


def _power(left: Number, right: Number) -> Abstract:
    if not 0 <= right.low == right.high <= 64:
        return intervals.ANY_INT
    corners = [left.low**right.low, left.high**right.low, *([0] if left.low < 0 < left.high else [])]
    return Number(min(corners), max(corners))


def _list_arithmetic(operation: Binary, state: State) -> Abstract:
    container, other = state.read(operation.left), state.read(operation.right)
    if not isinstance(container, Lengths):
        return UNKNOWN
    (length,) = container.numbers
    if operation.operator == "+" and isinstance(other, Lengths):
        return Lengths((intervals.add(length, other.numbers[0]),))
    times = integer(operation.right, state)
    if times is None or operation.operator != "*":
        return Lengths((LENGTH,))
    # A negative count gives an empty list, so the length is at least the count.
    product = times if length == known(1) else intervals.multiply(length, times)
    return Lengths((intervals.largest(product, known(0)),))


def _unary(operation: Unary, state: State) -> Abstract:
    if operation.operator == "not":
        truth = state.read(operation.operand)
        return Truth(truth.when_false, truth.when_true) if isinstance(truth, Truth) else BOOLEAN
    number = integer(operation.operand, state)
    if number is None:
        return UNKNOWN
    if operation.operator == "-":
        return intervals.negate(number)
    return intervals.negate(number).shifted(-1) if operation.operator == "~" else number


def _compare(operation: Compare, state: State) -> Abstract:
    if operation.operator not in NEGATED:
        return UNKNOWN
    left, right = _side(operation.left, state), _side(operation.right, state)
    if left is None or right is None:
        return UNKNOWN
    return Truth(
        frozenset([Constraint(operation.operator, left, right)]),
        frozenset([Constraint(NEGATED[operation.operator], left, right)]),
    )


def _side(atom: Atom, state: State) -> tuple[str, int] | int | None:
    if isinstance(atom, Local) and atom.type == INT and isinstance(state.get(atom.name), Number):
        return atom.name, state.stamp(atom.name)
    return atom.value if isinstance(atom, Constant) and type(atom.value) is int else None


def _intrinsic(operation: Intrinsic, state: State) -> Abstract:
    if operation.name == "len":
        container = state.read(operation.arguments[0])
        return container.numbers[0] if isinstance(container, Lengths) and container.numbers else LENGTH
    if operation.name in ("index", "int"):
        # Of a NumPy integer the value stays what it is.
        value = state.read(operation.arguments[0])
        exact = operation.arguments[0].type == BOOL
        return Number(0, 1) if exact else value if isinstance(value, Number) else UNKNOWN
    numbers = [integer(each, state) for each in operation.arguments]
    if any(each is None for each in numbers):
        return UNKNOWN
    return _of_integers(operation.name, [each for each in numbers if each is not None])


def _of_integers(name: str, numbers: list[Number]) -> Abstract:
    if name == "abs":
        return intervals.absolute(numbers[0])
    if name in ("min", "max") and len(numbers) > 1:
        rule = intervals.smallest if name == "min" else intervals.largest
        result = numbers[0]
        for each in numbers[1:]:
            result = rule(result, each)
        return result
    if name == "range_length":
        start, stop, step = numbers
        if start == known(0) and step == known(1):
            return intervals.largest(stop, known(0))
        return Number(0, intervals.HIGHEST)
    return UNKNOWN


def _index(operation: Index, state: State) -> Abstract:
    container = state.read(operation.container)
    if isinstance(container, Items):
        return _item(container, operation.items, state)
    if not isinstance(container, Lengths) or not isinstance(operation.container.type, ArrayType):
        return UNKNOWN
    rest = container.numbers[len(operation.items) :]
    sliced = sum(isinstance(item, Slice) for item in operation.items)
    unit = container.unit and (bool(rest) or _whole_steps(operation.items[-1]))
    return Lengths((LENGTH,) * sliced + rest, unit) if sliced or rest else UNKNOWN


def _whole_steps(item: Atom | Slice) -> bool:
    """Whether a slice leaves neighbours together."""
    return isinstance(item, Slice) and isinstance(item.step, Constant) and item.step.value in (None, 1)


def _item(container: Items, items: Any, state: State) -> Abstract:
    position = state.read(items[0]) if len(items) == 1 and not isinstance(items[0], Slice) else UNKNOWN
    if isinstance(position, Number) and position.low == position.high:
        place = position.low
        if -len(container.values) <= place < len(container.values):
            return container.values[place]
    result = container.values[0] if container.values else UNKNOWN
    for each in container.values:
        result = joined(result, each)
    return result


def _unpack(operation: Unpack, state: State) -> Abstract:
    source = state.read(operation.source)
    if isinstance(source, Items) and len(source.values) == operation.count:
        return source.values[operation.position]
    return UNKNOWN


def _attribute(operation: Attribute, state: State) -> Abstract:
    container = state.read(operation.source)
    if not isinstance(container, Lengths):
        return UNKNOWN
    if operation.name == "shape":
        return Items(container.numbers)
    if operation.name == "T":
        return Lengths(container.numbers[::-1], container.unit and len(container.numbers) < 2)
    return known(len(container.numbers)) if operation.name == "ndim" else UNKNOWN


def _new_array(operation: NewArray, state: State) -> Abstract:
    if operation.kind == "arange":
        stop = integer(operation.arguments[0], state) if len(operation.arguments) == 1 else None
        return Lengths((LENGTH if stop is None else _as_length(intervals.largest(stop, known(0))),), True)
    shape = state.read(operation.arguments[0])
    if operation.kind == "copy":
        return Lengths(shape.numbers, True) if isinstance(shape, Lengths) else UNKNOWN
    if operation.kind.endswith("_like"):
        # Of a view that is not contiguous NumPy orders the axes as it likes.
        return Lengths(shape.numbers) if isinstance(shape, Lengths) else UNKNOWN
    sides = shape.values if isinstance(shape, Items) else (integer(operation.arguments[0], state),)
    lengths = [each for each in sides if isinstance(each, Number)]
    # A negative length raises, so behind the operation none is.
    return Lengths(tuple(map(_as_length, lengths)), True) if len(lengths) == len(sides) else UNKNOWN


def _as_length(number: Number) -> Number:
    return Number(max(0, number.low), min(intervals.LONGEST, number.high), number.below, number.above)


def _make_list(operation: MakeList, state: State) -> Abstract:
    return UNKNOWN if operation.growing else Lengths((known(len(operation.items)),))


RULES: dict[type[Operation], Callable[[Any, State], Abstract]] = {
    Copy: lambda operation, state: state.read(operation.source),
    Binary: _binary,
    Unary: _unary,
    Compare: _compare,
    Intrinsic: _intrinsic,
    Index: _index,
    Unpack: _unpack,
    MakeTuple: lambda operation, state: Items(tuple(map(state.read, operation.items))),
    MakeList: _make_list,
    Attribute: _attribute,
    NewArray: _new_array,
    StoreSlice: lambda operation, state: UNKNOWN,
}
