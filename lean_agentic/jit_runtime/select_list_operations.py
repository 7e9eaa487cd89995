"""Rules for lists: elements, new lists, appending, slices, `+` and `*`.

In: list values, each the address of a NativeList (length at 0, data at 8, capacity at 16). Out: values, and code that
reads and writes the elements' slots.
"""

from __future__ import annotations

from collections.abc import Callable

from lean_agentic.jit_runtime.emitter import Value
from lean_agentic.jit_runtime.layout import element_size, slots
from lean_agentic.jit_runtime.lir import Operand
from lean_agentic.jit_runtime.local_places import CAPACITY, DATA, LENGTH
from lean_agentic.jit_runtime.positions import span
from lean_agentic.jit_runtime.selector import Selector, selects
from lean_agentic.kernel.ir import Append, Atom, Binary, Local, MakeList, Pop, Slice
from lean_agentic.kernel.types import BOOL, ListType, Type

WIDTHS = {"i": "i64", "f": "f64", "p": "ptr"}


class ListParts:
    """Length and data of a list: from the list, or from the variables that a local has for them."""

    def __init__(self, s: Selector, value: Value, atom: Atom | None = None) -> None:
        assert isinstance(value.type, ListType)
        self.address = value.operands[0]
        self.element = value.type.element
        self._s = s
        place = s.places.get(atom.name) if isinstance(atom, Local) else None
        self._view = place.view if place is not None else None

    def length(self) -> Operand:
        """Number of elements."""
        return self._part(0, "i", LENGTH, "n64")

    def data(self) -> Operand:
        """Address of the first element."""
        return self._part(1, "p", DATA, "ptr")

    def capacity(self) -> Operand:
        """Number of elements that there is room for."""
        return self._part(2, "i", CAPACITY, "n64")

    def _part(self, which: int, letter: str, offset: int, width: str) -> Operand:
        if self._view is not None and which < len(self._view):
            return self._s.get(self._view[which])
        return self._s.e.op("load", letter, self.address, offset, width)


def element_address(s: Selector, parts: ListParts, position: Operand) -> tuple[Operand, int]:
    """Address and offset of an element's slots."""
    data, size = parts.data(), element_size(parts.element)
    if isinstance(position, int):
        return data, position * size
    return s.e.op("advance", "p", data, position, size), 0


def load_slots(s: Selector, element: Type, address: Operand, offset: int) -> Value:
    """Read an element."""
    if element == BOOL:
        return Value(BOOL, (s.e.op("load", "i", address, offset, "u8"),))
    letters = slots(element)
    return Value(
        element, tuple([s.e.op("load", each, address, offset + 8 * k, WIDTHS[each]) for k, each in enumerate(letters)])
    )


def store_slots(s: Selector, element: Type, address: Operand, offset: int, value: Value) -> None:
    """Write an element; the value may be of fewer types."""
    if element == BOOL:
        s.e.do("store", address, offset, value.operands[0], "i8")
        return
    for k, (letter, operand) in enumerate(zip(slots(element), s.widened(value, element), strict=True)):
        s.e.do("store", address, offset + 8 * k, operand, WIDTHS[letter])


def made(s: Selector, address: Operand, list_type: Type) -> Value:
    """The list that a runtime function gave; when there was no memory Python tries again and reports it."""
    s.e.guard(s.e.op("icmp", "b", address, None, "ne"), s.leave())
    return Value(list_type, (address,))


@selects(MakeList)
def select_make_list(s: Selector, operation: MakeList, result: Type) -> Value | None:
    """`[a, b]`."""
    assert isinstance(result, ListType)
    items = [s.read(item) for item in operation.items]
    new = made(s, s.e.runtime("list_new", "p", s.tables.layout_number(result), len(items)), result)
    if items:
        data, size = ListParts(s, new).data(), element_size(result.element)
        for position, item in enumerate(items):
            store_slots(s, result.element, data, position * size, item)
    return new


@selects(Append)
def select_append(s: Selector, statement: Append) -> bool:
    """Append to a list that nobody has looked at; it has its new length at once, as exits show it."""
    e, container, value = s.e, statement.container, s.read(statement.value)
    view = s.places[container.name].view if isinstance(container, Local) else None
    parts = ListParts(s, s.read(container), container)
    full = e.op("icmp", "b", parts.length(), parts.capacity(), "sge")
    grow, room = e.new_block(cold=True), e.new_block()
    s.choose(full, grow, room)
    s.begin(grow)
    e.guard(e.op("icmp", "b", e.runtime("list_reserve", "i", parts.address), 0, "eq"), s.leave())
    if view is not None:
        s.look_into(view, parts.address)
    s.branch(room)
    s.begin(room)
    store_slots(s, parts.element, *element_address(s, parts, parts.length()), value)
    length = e.op("add", "i", parts.length(), 1)
    if view is not None:
        s.set(view[0], length)
    e.do("store", parts.address, LENGTH, length, "n64")
    return True


@selects(Pop)
def select_pop(s: Selector, statement: Pop) -> bool:
    """Take the last element off a list that nobody else has; the element has been read before."""
    container = statement.container
    parts = ListParts(s, s.read(container), container)
    length = parts.length()
    s.e.guard(s.e.op("icmp", "b", length, 0, "sgt"), s.leave())
    shorter = s.e.op("sub", "i", length, 1)
    view = s.places[container.name].view if isinstance(container, Local) else None
    if view is not None:
        s.set(view[0], shorter)
    s.e.do("store", parts.address, LENGTH, shorter, "n64")
    return True


def list_slice(s: Selector, parts: ListParts, part: Slice) -> Value:
    """`xs[a:b:c]`, a new list."""
    start, stop, step, _ = span(s, part, parts.length())
    return made(s, s.e.runtime("list_slice", "p", parts.address, start, stop, step), ListType(parts.element))


def select_list_binary(s: Selector, operation: Binary, result: Type) -> Value | None:
    """`xs + ys` and `xs * n`, new lists."""
    left, right = s.read(operation.left), s.read(operation.right)
    functions: dict[str, Callable[[], Operand]] = {
        "+": lambda: s.e.runtime("list_concat", "p", left.operands[0], right.operands[0]),
        "*": lambda: s.e.runtime("list_repeat", "p", left.operands[0], right.operands[-1]),
    }
    if not isinstance(left.type, ListType):
        return None
    return made(s, functions[operation.operator](), result)
