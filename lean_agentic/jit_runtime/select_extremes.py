"""`min` and `max` of numbers of several types, and of containers.

In: values in order. Out: the first one that no later one is better than, with the type that it has.
"""

from __future__ import annotations

from lean_agentic.jit_runtime.alternatives import NUMPY_BOOL
from lean_agentic.jit_runtime.elements import Elements, each_item, element_of
from lean_agentic.jit_runtime.emitter import Value
from lean_agentic.jit_runtime.lir import Operand
from lean_agentic.jit_runtime.select_scalars import compare, truth
from lean_agentic.jit_runtime.select_sequences import tuple_items
from lean_agentic.jit_runtime.selector import Selector
from lean_agentic.jit_runtime.values import narrowed
from lean_agentic.kernel.types import BOOL, TupleType, Type, join

BETTER = {"min": "<", "max": ">"}
TRUTHS = join([BOOL, NUMPY_BOOL])


def best_of(s: Selector, name: str, values: list[Value], result: Type) -> Value | None:
    """`min(a, b)` where the type of the result depends on which it is."""
    best = values[0]
    for value in values[1:]:
        chosen = _better(s, BETTER[name], best, value)
        if chosen is None:
            return None
        best = chosen
    # An alternative that the result does not have, such as a complex number, has left in a comparison.
    return narrowed(best, join(member for member in best.type.members if member in result.members))


def best_in(s: Selector, name: str, container: Value) -> Value | None:
    """`min` or `max` of a container."""
    compare_by = BETTER[name]
    if isinstance(container.type, TupleType):
        best: Value | None = None
        for item in tuple_items(container):
            best = item if best is None else _better(s, compare_by, best, item)
            if best is None:
                return None
        return best
    element = element_of(container.type)
    if not element.members:
        return None  # always empty: Python raises
    elements = Elements(s, container)
    s.e.guard(s.e.op("icmp", "b", elements.count(), 0, "sgt"), s.leave())
    slots = s.variables(element, "best")
    s.assign(slots, element, elements.item(0))

    def look(item: Value) -> bool:
        better = _better(s, compare_by, s.taken(slots, element), item)
        if better is None:
            return s.give_up()
        s.assign(slots, element, better)
        return True

    each_item(s, elements, 1, look)
    return s.taken(slots, element)


def _better(s: Selector, compare_by: str, best: Value, value: Value) -> Value | None:
    """The value if it is better than the best so far, else that."""
    wins = _compared(s, compare_by, value, best)
    if wins is None:
        return None
    both = join([best.type, value.type])
    pairs = zip(s.widened(value, both), s.widened(best, both), strict=True)
    return Value(both, tuple([_chosen(s, wins, one, other) for one, other in pairs]))


def _chosen(s: Selector, test: Operand, one: Operand, other: Operand) -> Operand:
    if one == other and type(one) is type(other) and one != 0:
        return one
    letter = "f" if isinstance(one, float) or getattr(one, "machine", "") == "f" else "i"
    return s.e.op("select", letter, test, one, other)


def _compared(s: Selector, compare_by: str, left: Value, right: Value) -> Operand | None:
    """A comparison as a truth value; None when it has no machine form at all."""
    made = compare(s, compare_by, [left, right], TRUTHS, s.leaves)
    return None if made is None else truth(s, made)
