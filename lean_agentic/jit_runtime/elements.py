"""Going through the elements of a list or an array inside one operation.

In: a container value. Out: a loop over its elements, whose length and addresses are read once.
"""

from __future__ import annotations

from collections.abc import Callable

from lean_agentic.jit_runtime import arithmetic
from lean_agentic.jit_runtime.emitter import Value
from lean_agentic.jit_runtime.layout import element_size
from lean_agentic.jit_runtime.lir import Operand
from lean_agentic.jit_runtime.select_arrays import array_parts
from lean_agentic.jit_runtime.select_list_operations import ListParts, load_slots
from lean_agentic.jit_runtime.selector import Selector
from lean_agentic.kernel.types import ArrayType, ListType, TupleType, Type, join


def element_of(container: Type) -> Type:
    """Type of the elements of a container."""
    if isinstance(container, TupleType):
        return join(container.elements)
    assert isinstance(container, ArrayType | ListType)
    return container.element


class Elements:
    """The elements of a list or an array, whose parts are read once."""

    def __init__(self, s: Selector, container: Value) -> None:
        self._s = s
        self._type = container.type
        array = array_parts(s, container)
        if array is None:
            parts = ListParts(s, container)
            values: list[tuple[str, Operand]] = [("i", parts.length()), ("p", parts.data())]
        else:
            values = [("i", array.length(0)), ("p", array.data()), ("i", array.stride(0))]
        self._variables = [s.e.variable(letter, "reduced") for letter, _ in values]
        for variable, (_, value) in zip(self._variables, values, strict=True):
            s.set(variable, value)

    def count(self) -> Operand:
        """How many there are."""
        return self._s.get(self._variables[0])

    def item(self, position: Operand) -> Value:
        """The one at a position."""
        s, data = self._s, self._s.get(self._variables[1])
        if isinstance(self._type, ListType):
            element = self._type.element
            return load_slots(s, element, s.e.op("advance", "p", data, position, element_size(element)), 0)
        assert isinstance(self._type, ArrayType)
        offset = s.e.op("mul", "i", s.get(self._variables[2]), position)
        return arithmetic.load_element(s.e, self._type.dtype, s.e.op("advance", "p", data, offset, 1), 0)


def each_item(s: Selector, elements: Elements, start: int, body: Callable[[Value], bool]) -> None:
    """Go through the elements from a position on."""
    e = s.e
    counter = e.variable("i", "position")
    s.set(counter, start)
    inside, done = e.new_block(), e.new_block()
    s.choose(e.op("icmp", "b", start, elements.count(), "slt"), inside, done)
    e.depth += 1
    s.begin(inside)
    if body(elements.item(s.get(counter))):
        following = e.op("add", "i", s.get(counter), 1)
        s.set(counter, following)
        s.choose(e.op("icmp", "b", following, elements.count(), "slt"), inside, done)
    e.depth -= 1
    s.begin(done)
