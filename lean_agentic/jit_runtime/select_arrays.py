"""Arrays: elements, views, and their parts.

In: array values (owner, data address, writeable flag, shape, strides in bytes). Out: elements as NumPy scalars, views
that share the memory, and stores.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from lean_agentic.jit_runtime import arithmetic
from lean_agentic.jit_runtime.emitter import Value
from lean_agentic.jit_runtime.lir import Operand
from lean_agentic.jit_runtime.positions import position, span
from lean_agentic.jit_runtime.selector import Selector
from lean_agentic.kernel.ir import Assign, Atom, Local, Slice
from lean_agentic.kernel.types import INT, ArrayType, TupleType


def item_size(array: ArrayType) -> int:
    """Bytes of one element."""
    return np.dtype(array.dtype).itemsize


class ArrayParts:
    """The parts of an array, taken one by one."""

    def __init__(self, a_type: ArrayType, take: Callable[[int], Operand]) -> None:
        self.dtype = a_type.dtype
        self.rank = a_type.rank
        self._take = take

    def owner(self) -> Operand:
        """The ndarray whose memory it shares."""
        return self._take(0)

    def data(self) -> Operand:
        """Address of the first element."""
        return self._take(1)

    def writeable(self) -> Operand:
        """Whether elements may be stored."""
        return self._take(2)

    def length(self, axis: int) -> Operand:
        """Number of positions on an axis."""
        return self._take(3 + axis)

    def stride(self, axis: int) -> Operand:
        """Bytes from one position on an axis to the next."""
        return self._take(3 + self.rank + axis)

    def shape(self, first: int = 0) -> tuple[Operand, ...]:
        """Lengths from an axis on."""
        return tuple([self.length(axis) for axis in range(first, self.rank)])

    def strides(self, first: int = 0) -> tuple[Operand, ...]:
        """Strides from an axis on."""
        return tuple([self.stride(axis) for axis in range(first, self.rank)])


def array_parts(s: Selector, array: Atom | Value) -> ArrayParts | None:
    """Parts of an operand that is surely an array, else None; only those that are taken are read."""
    kind = array.type
    if not isinstance(kind, ArrayType):
        return None
    if isinstance(array, Local):
        place = s.places[array.name]
        if place.held is None and place.type == kind:
            return ArrayParts(kind, lambda part: s.get(place.variables[part]))
    value = array if isinstance(array, Value) else s.read(array)
    return ArrayParts(kind, lambda part: value.operands[part])


def is_seen(s: Selector) -> bool:
    """Whether the identity of the array that the present statement makes can be seen.

    Compiled code has no object for a view: it could not tell two views of the same elements apart, nor a view of all
    elements from the array. So views that are returned or stored are made by NumPy.
    """
    return isinstance(s.statement, Assign) and s.statement.target in s.survey.escaping


def index_array(s: Selector, array: ArrayParts, items: Sequence[Atom | Slice]) -> Value | None:
    """`a[items]`: an element or a view; None when NumPy has to make the view."""
    is_element = len(items) == array.rank and not any(isinstance(item, Slice) for item in items)
    if not is_element and is_seen(s):
        return None
    address, shape, strides = _selected(s, array, items)
    if is_element:
        return arithmetic.load_element(s.e, array.dtype, address, 0)
    shape, strides = (*shape, *array.shape(len(items))), (*strides, *array.strides(len(items)))
    operands = (array.owner(), address, array.writeable(), *shape, *strides)
    return Value(ArrayType(array.dtype, len(shape)), operands)


def store_array(s: Selector, array: ArrayParts, items: Sequence[Atom], value: Value) -> bool:
    """`a[items] = value` for one element; False when the value has no native form there."""
    s.e.guard(s.e.op("itob", "b", array.writeable()), s.leave())
    address, _, _ = _selected(s, array, items)
    return arithmetic.store_element(s.e, array.dtype, address, 0, value, s.leave)


def _selected(
    s: Selector, array: ArrayParts, items: Sequence[Atom | Slice]
) -> tuple[Operand, tuple[Operand, ...], tuple[Operand, ...]]:
    """Address of what items select, shape and strides of the axes that they go through by slices."""
    shape: list[Operand] = []
    strides: list[Operand] = []
    offset: Operand = 0
    for axis, item in enumerate(items):
        length = array.length(axis)
        # A constant stride is what lets a loop along the axis be vectorised.
        unit = axis == array.rank - 1 and s.statement.id in s.facts.unit_stride
        stride = item_size(ArrayType(array.dtype, array.rank)) if unit else array.stride(axis)
        if isinstance(item, Slice):
            start, _, step, count = span(s, item, length)
            shape.append(count)
            strides.append(_times(s, stride, step))
        else:
            start = position(s, item, length, axis)
        offset = _plus(s, offset, _times(s, stride, start))
    data = array.data() if offset == 0 else s.e.op("advance", "p", array.data(), offset, 1)
    return data, tuple(shape), tuple(strides)


def _times(s: Selector, one: Operand, other: Operand) -> Operand:
    if one == 0 or other == 0:
        return 0
    return one if other == 1 else other if one == 1 else s.e.op("mul", "i", one, other)


def _plus(s: Selector, one: Operand, other: Operand) -> Operand:
    return other if one == 0 else one if other == 0 else s.e.op("add", "i", one, other)


def array_attribute(s: Selector, array: ArrayParts, name: str) -> Value | None:
    """`shape`, `ndim`, `size` or `T`; None when NumPy has to make the view."""
    if name == "shape":
        return Value(TupleType((INT,) * array.rank), array.shape())
    if name == "ndim":
        return Value(INT, (array.rank,))
    if name == "size":
        size: Operand = 1
        for length in array.shape():
            size = _times(s, size, length)
        return Value(INT, (size,))
    if is_seen(s):
        return None
    axes = (*reversed(array.shape()), *reversed(array.strides()))
    return Value(ArrayType(array.dtype, array.rank), (array.owner(), array.data(), array.writeable(), *axes))
