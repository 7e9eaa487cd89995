"""Abstract values of the range analysis and the state that maps locals to them.

In: kernel types. Out: `Number` (an int), `Lengths` (a list or array, by its axes), `Items` (a tuple), `Truth` (a bool
and what it implies), or `UNKNOWN`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np

from lean_agentic.jit_runtime.intervals import LONGEST, Number, join, known, meet_less, widen
from lean_agentic.kernel.ir import Atom, Constant
from lean_agentic.kernel.types import BOOL, INT, ArrayType, ListType, NumpyScalar, TupleType, Type

_stamps = count(1)


@dataclass(frozen=True)
class Constraint:
    """`left operator right`, of locals (with the stamp of the assignment seen) or numbers."""

    operator: str
    left: tuple[str, int] | int
    right: tuple[str, int] | int


@dataclass(frozen=True)
class Truth:
    """A bool: what follows from its being true or false; None where it cannot be that."""

    when_true: frozenset[Constraint] | None
    when_false: frozenset[Constraint] | None


@dataclass(frozen=True)
class Lengths:
    """A list (one axis) or an array: its lengths."""

    numbers: tuple[Number, ...]
    unit: bool = False
    """Of an array: the elements of its last axis are next to each other."""


@dataclass(frozen=True)
class Items:
    """A tuple."""

    values: tuple[Abstract, ...]


Abstract = Number | Truth | Lengths | Items | None
UNKNOWN: Abstract = None
"""Nothing is known."""
LENGTH = Number(0, LONGEST)
BOOLEAN = Truth(frozenset(), frozenset())


def of_type(a_type: Type) -> Abstract:
    """What the type alone says."""
    if a_type == INT:
        return Number()
    if a_type == BOOL:
        return BOOLEAN
    if isinstance(a_type, NumpyScalar) and np.dtype(a_type.dtype).kind in "iu":
        limits = np.iinfo(a_type.dtype)
        return Number(int(limits.min), int(limits.max))
    if isinstance(a_type, ListType):
        return Lengths((LENGTH,))
    if isinstance(a_type, ArrayType):
        return Lengths((LENGTH,) * a_type.rank)
    if isinstance(a_type, TupleType):
        return Items(tuple(map(of_type, a_type.elements)))
    return UNKNOWN


def joined(one: Abstract, other: Abstract) -> Abstract:
    """What holds of both."""
    if one is other:
        return one
    if isinstance(one, Number) and isinstance(other, Number):
        return join(one, other)
    if isinstance(one, Truth) and isinstance(other, Truth):
        return Truth(_both(one.when_true, other.when_true), _both(one.when_false, other.when_false))
    if isinstance(one, Lengths) and isinstance(other, Lengths) and len(one.numbers) == len(other.numbers):
        return Lengths(tuple(map(join, one.numbers, other.numbers)), one.unit and other.unit)
    if isinstance(one, Items) and isinstance(other, Items) and len(one.values) == len(other.values):
        return Items(tuple(map(joined, one.values, other.values)))
    return UNKNOWN


def _both(one: frozenset[Constraint] | None, other: frozenset[Constraint] | None) -> frozenset[Constraint] | None:
    if one is None or other is None:
        return other if one is None else one
    return one & other


def widened(old: Abstract, new: Abstract) -> Abstract:
    """An upper bound of both after which loops settle."""
    if isinstance(old, Number) and isinstance(new, Number):
        return widen(old, new)
    if isinstance(old, Items) and isinstance(new, Items) and len(old.values) == len(new.values):
        return Items(tuple(map(widened, old.values, new.values)))
    if isinstance(old, Lengths) and isinstance(new, Lengths) and len(old.numbers) == len(new.numbers):
        return Lengths(tuple(map(widen, old.numbers, new.numbers)), old.unit and new.unit)
    if isinstance(old, Truth) and isinstance(new, Truth):
        return joined(old, new)
    return UNKNOWN


def covers(wide: Abstract, narrow: Abstract) -> bool:
    """Whether everything that `wide` says holds of `narrow`."""
    if wide is None:
        return True
    if isinstance(wide, Number) and isinstance(narrow, Number):
        within = wide.low <= narrow.low and narrow.high <= wide.high
        below = all(narrow.below.get(symbol, bound + 1) <= bound for symbol, bound in wide.below.items())
        return within and below and all(narrow.above.get(s, bound - 1) >= bound for s, bound in wide.above.items())
    if isinstance(wide, Lengths) and isinstance(narrow, Lengths):
        same = len(wide.numbers) == len(narrow.numbers) and wide.unit <= narrow.unit
        return same and all(map(covers, wide.numbers, narrow.numbers))
    if isinstance(wide, Items) and isinstance(narrow, Items):
        return len(wide.values) == len(narrow.values) and all(map(covers, wide.values, narrow.values))
    return isinstance(wide, Truth) and isinstance(narrow, Truth) and joined(wide, narrow) == wide


class State:
    """Abstract values of the locals at one point, each with the stamp of its assignment."""

    def __init__(self, values: dict[str, tuple[Abstract, int]] | None = None) -> None:
        self._values = values or {}

    def copy(self) -> State:
        """An independent copy."""
        return State(dict(self._values))

    def names(self) -> Iterable[str]:
        """Locals with a value."""
        return list(self._values)

    def get(self, name: str) -> Abstract:
        """What is known of a local."""
        return self._values.get(name, (UNKNOWN, 0))[0]

    def stamp(self, name: str) -> int:
        """Number of the assignment that gave the local its value."""
        return self._values.get(name, (UNKNOWN, 0))[1]

    def read(self, atom: Atom) -> Abstract:
        """What is known of an operand."""
        if not isinstance(atom, Constant):
            return self.get(atom.name)
        value: Any = atom.value
        if type(value) is bool:
            return Truth(frozenset() if value else None, None if value else frozenset())
        return known(value) if type(value) is int else UNKNOWN

    def assign(self, name: str, value: Abstract) -> None:
        """Give a local a value."""
        self._values[name] = (value, next(_stamps))

    def replace(self, name: str, value: Abstract) -> None:
        """Know more of the value that a local has."""
        self._values[name] = (value, self.stamp(name))

    def joined(self, other: State) -> State:
        """What holds on either of two paths."""
        both: dict[str, tuple[Abstract, int]] = {}
        for name, (value, stamp) in self._values.items():
            if name in other._values:
                theirs, their_stamp = other._values[name]
                both[name] = (joined(value, theirs), stamp if stamp == their_stamp else next(_stamps))
        return State(both)

    def widened(self, later: State, names: frozenset[str]) -> State:
        """This state at the head of a loop, the locals in `names` widened by what an iteration made of them."""
        result = self.copy()
        for name in names:
            if name in self._values:
                result.assign(name, widened(self.get(name), later.get(name)))
        return result

    def covers(self, later: State, names: frozenset[str]) -> bool:
        """Whether this state still holds after an iteration."""
        return all(covers(self.get(name), later.get(name)) for name in names if name in self._values)

    def forgetting(self, names: frozenset[str], fresh: Callable[[Abstract], Abstract]) -> State:
        """Only the kind of value is kept of some locals."""
        result = self.copy()
        for name in names & self._values.keys():
            result.assign(name, fresh(_kind(self.get(name))))
        return result

    def refine(self, constraints: frozenset[Constraint] | None) -> bool:
        """Use what a condition says; False when it cannot be so."""
        if constraints is None:
            return False
        return all(self._use(each) for each in constraints)

    def _use(self, constraint: Constraint) -> bool:
        left, right = self._current(constraint.left), self._current(constraint.right)
        if left is None or right is None:
            return True
        operator = constraint.operator
        if operator in (">", ">="):
            right, left = meet_less(right, left, operator == ">")
        elif operator in ("<", "<="):
            left, right = meet_less(left, right, operator == "<")
        elif operator == "==":
            left, right = meet_less(left, right, False)
            right, left = meet_less(right, left, False)
        else:
            left, right = _unequal(left, right), _unequal(right, left)
        for side, value in ((constraint.left, left), (constraint.right, right)):
            if not isinstance(side, int):
                self.replace(side[0], value)
        return left.low <= left.high and right.low <= right.high

    def _current(self, side: tuple[str, int] | int) -> Number | None:
        if isinstance(side, int):
            return known(side)
        value = self.get(side[0])
        return value if isinstance(value, Number) and self.stamp(side[0]) == side[1] else None


def _unequal(number: Number, other: Number) -> Number:
    """The number, given that it is not the other one."""
    if other.low == other.high == number.low:
        return Number(number.low + 1, number.high, number.below, number.above)
    if other.low == other.high == number.high:
        return Number(number.low, number.high - 1, number.below, number.above)
    return number


def _kind(value: Abstract) -> Abstract:
    if isinstance(value, Number):
        return Number()
    if isinstance(value, Lengths):
        return Lengths((LENGTH,) * len(value.numbers))
    if isinstance(value, Items):
        return Items(tuple(map(_kind, value.values)))
    return BOOLEAN if isinstance(value, Truth) else UNKNOWN
