"""Operations on unions: one branch for each combination of the types that the operands can have.

In: values, some of union types, and a function that computes with values of single types. Out: the result, merged into
the slots of the result's type. Where the machine does the same for all combinations, it is done once and only the tag
is chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

from lean_agentic.jit_runtime.emitter import Value
from lean_agentic.jit_runtime.layout import SCALAR_TAGS
from lean_agentic.jit_runtime.lir import Block, Operand, Variable
from lean_agentic.jit_runtime.selector import Selector
from lean_agentic.jit_runtime.values import likely_first, narrowed
from lean_agentic.kernel.types import BOOL, FLOAT, INT, NEVER, NumpyScalar, Type, UnionType

MOST_COMBINATIONS = 12
"""Beyond this many, Python is asked."""
Compute = Callable[[list[Value]], Value | None]
FLOAT64, NUMPY_BOOL = NumpyScalar("float64"), NumpyScalar("bool")
DOUBLES = frozenset({FLOAT, FLOAT64})
INTEGERS = frozenset(
    {BOOL, INT, NUMPY_BOOL, *(NumpyScalar(f"{sign}int{bits}") for sign in ("", "u") for bits in (8, 16, 32, 64))}
)
"""Types whose only slot is an integer that is 0 exactly when the value is false."""


def is_union(value: Value) -> bool:
    """Whether the value has a tag."""
    return isinstance(value.type, UnionType)


def settled(s: Selector, value: Value) -> Value:
    """The value without its tag where the tag is known."""
    if isinstance(value.type, UnionType) and isinstance(value.operands[0], int):
        for member in value.type.members:
            if s.tag_of(member) == value.operands[0]:
                return narrowed(value, member)
    return value


def for_each_alternative(
    s: Selector, values: Sequence[Value], result: Type, compute: Compute, otherwise: Callable[[], Value | None]
) -> Value | None:
    """Compute with every combination of alternatives.

    Parameters
    ----------
    result : Type
        What the results are merged in.
    compute : function
        Gives the result for values of single types, or None when there is no machine form.
    otherwise : function
        Gives the result for the combinations without one, or None after ending the block itself.

    Returns
    -------
    Value or None
        None when there is nothing to branch on and `compute` has no form, or too much: nothing was emitted then.
    """
    values = [settled(s, value) for value in values]
    combinations = prod(len(value.type.members) for value in values)
    if combinations == 1:
        return compute(list(values))
    if combinations > MOST_COMBINATIONS:
        return None
    return _Merge(s, result, compute, otherwise).all(values)


class _Merge:
    """The branches of one operation and where they meet."""

    def __init__(self, s: Selector, result: Type, compute: Compute, otherwise: Callable[[], Value | None]) -> None:
        self._s = s
        self._result = result
        self._compute = compute
        self._otherwise = otherwise
        self._slots: tuple[Variable, ...] = s.variables(result, "merged")
        self._meet = s.e.new_block()
        self._ask: Block | None = None

    def all(self, values: list[Value]) -> Value:
        """Emit every combination and what the rest is for; the merged result."""
        s = self._s
        self._descend(values, 0, [])
        if self._ask is not None:
            s.begin(self._ask)
            self._arrive(self._otherwise())
        s.begin(self._meet)
        return s.taken(self._slots, self._result)

    def _descend(self, values: list[Value], position: int, chosen: list[Value]) -> None:
        if position == len(values):
            self._leaf(chosen)
            return
        s, value = self._s, values[position]
        members = likely_first(value.type)
        for member in members[:-1]:
            yes, no = s.e.new_block(), s.e.new_block()
            s.choose(s.e.op("icmp", "b", value.operands[0], s.tag_of(member), "eq"), yes, no)
            s.begin(yes)
            self._descend(values, position + 1, [*chosen, narrowed(value, member)])
            s.begin(no)
        self._descend(values, position + 1, [*chosen, narrowed(value, members[-1])])

    def _leaf(self, chosen: list[Value]) -> None:
        value = self._compute(chosen)
        if value is not None and value.type == NEVER:
            self._s.give_up()  # an element of an empty list: the check before has left already
        elif value is not None:
            self._arrive(value)
        else:
            if self._ask is None:
                self._ask = self._s.e.new_block(cold=True)
            self._s.branch(self._ask)

    def _arrive(self, value: Value | None) -> None:
        if value is not None:
            self._s.assign(self._slots, self._result, value)
            self._s.branch(self._meet)


def doubles_as_floats(values: Sequence[Value]) -> list[Value] | None:
    """The values as floats when all alternatives are `float` or `np.float64`, which `+ - *` and `<` treat alike."""
    if not all(DOUBLES.issuperset(value.type.members) for value in values):
        return None
    return [Value(FLOAT, value.operands[-1:]) for value in values]


def any_numpy(s: Selector, values: Sequence[Value], python: Type, numpy: Type) -> Operand:
    """The tag of `numpy` if some value is an `np.float64`, else that of `python`."""
    if any(value.type == FLOAT64 for value in values):
        return SCALAR_TAGS[numpy]
    tags = [value.operands[0] for value in values if isinstance(value.type, UnionType)]
    if not tags:
        return SCALAR_TAGS[python]
    tests = [s.e.op("icmp", "b", tag, SCALAR_TAGS[FLOAT64], "eq") for tag in tags]
    one = tests[0]
    for test in tests[1:]:
        one = s.e.op("bor", "b", one, test)
    return s.e.op("select", "i", one, SCALAR_TAGS[numpy], SCALAR_TAGS[python])


def with_tag(s: Selector, tag: Operand, value: Value, types: tuple[Type, Type]) -> Value:
    """A value of the type that a tag names, of two with the same slots."""
    for each in types:
        if tag == SCALAR_TAGS[each]:
            return Value(each, value.operands)
    first, second = sorted(types, key=str)
    return Value(UnionType((first, second)), (tag, *value.operands))
