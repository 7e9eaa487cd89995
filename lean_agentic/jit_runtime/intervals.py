"""What is known of an integer: bounds by number, and bounds relative to other values (a simple octagon-like domain).

In and out: `Number`s. A symbol stands for a value that does not change, such as a length or a parameter;
`below = {s: c}` says the value is at most s + c, `above` that it is at least s + c. All numbers are those of compiled
code, which leaves when a result does not fit 64 bits; so results are clipped, and `fits` tells whether that happened.
Interval arithmetic after Cousot and Cousot (POPL 1977), the relations after Bodik, Gupta and Sarkar (ABCD, PLDI 2000).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

LOWEST, HIGHEST = -(2**63), 2**63 - 1
LONGEST = 2**44
"""No list or array axis is longer: the boundary refuses longer ones."""
Relations = Mapping[int, int]
EMPTY: Relations = {}


@dataclass(frozen=True)
class Number:
    """An integer between bounds (inclusive), with its relations to symbols."""

    low: int = LOWEST
    high: int = HIGHEST
    below: Relations = field(default_factory=dict)
    above: Relations = field(default_factory=dict)

    def shifted(self, offset: int) -> Number:
        """This plus a constant."""
        below = {symbol: bound + offset for symbol, bound in self.below.items()}
        above = {symbol: bound + offset for symbol, bound in self.above.items()}
        return Number(self.low + offset, self.high + offset, below, above)

    @property
    def fits(self) -> bool:
        """Whether every value is a 64-bit integer."""
        return self.low >= LOWEST and self.high <= HIGHEST

    def clipped(self) -> Number:
        """The values for which compiled code goes on."""
        if self.fits:
            return self
        return Number(max(LOWEST, self.low), min(HIGHEST, self.high), self.below, self.above)

    def less_than(self, other: Number) -> bool:
        """Whether every value is surely less than the other."""
        if self.high < other.low:
            return True
        return any(bound < other.above.get(symbol, LOWEST) for symbol, bound in self.below.items())

    def offset_from(self, symbol: int) -> int | None:
        """c when the value surely is symbol + c."""
        bound = self.below.get(symbol)
        return bound if bound is not None and self.above.get(symbol) == bound else None


ANY_INT = Number(LOWEST - 1, HIGHEST + 1)
"""The result of arithmetic that may leave 64 bits."""


def known(value: int) -> Number:
    """A constant."""
    return Number(value, value)


def join(one: Number, other: Number) -> Number:
    """What holds on either of two paths."""
    below = {s: max(c, other.below[s]) for s, c in one.below.items() if s in other.below}
    above = {s: min(c, other.above[s]) for s, c in one.above.items() if s in other.above}
    return Number(min(one.low, other.low), max(one.high, other.high), below, above)


def widen(old: Number, new: Number) -> Number:
    """An upper bound of `join` after which loops settle: bounds that move go as far as they can."""
    below = {s: c for s, c in old.below.items() if new.below.get(s, HIGHEST) <= c}
    above = {s: c for s, c in old.above.items() if new.above.get(s, LOWEST) >= c}
    low = old.low if new.low >= old.low else (0 if new.low >= 0 else LOWEST)
    return Number(low, old.high if new.high <= old.high else HIGHEST, below, above)


def meet_less(smaller: Number, larger: Number, strict: bool) -> tuple[Number, Number]:
    """Both numbers, given that the first is less than (or equal to) the second."""
    gap = int(strict)
    below = dict(smaller.below)
    for symbol, bound in larger.below.items():
        below[symbol] = min(below.get(symbol, bound - gap), bound - gap)
    above = dict(larger.above)
    for symbol, bound in smaller.above.items():
        above[symbol] = max(above.get(symbol, bound + gap), bound + gap)
    less = Number(smaller.low, min(smaller.high, larger.high - gap), below, smaller.above)
    return less, Number(max(larger.low, smaller.low + gap), larger.high, larger.below, above)


def add(left: Number, right: Number) -> Number:
    """left + right."""
    if left.low == left.high:
        return right.shifted(left.low)
    if right.low == right.high:
        return left.shifted(right.low)
    below = {s: c + right.high for s, c in left.below.items()} | {s: c + left.high for s, c in right.below.items()}
    above = {s: c + right.low for s, c in left.above.items()} | {s: c + left.low for s, c in right.above.items()}
    return Number(left.low + right.low, left.high + right.high, below, above)


def negate(number: Number) -> Number:
    """-number; relations turn into ones with minus the symbol, which are not kept."""
    return Number(-number.high, -number.low)


def subtract(left: Number, right: Number) -> Number:
    """left - right."""
    below = {s: c - right.low for s, c in left.below.items()}
    above = {s: c - right.high for s, c in left.above.items()}
    return Number(left.low - right.high, left.high - right.low, below, above)


def multiply(left: Number, right: Number) -> Number:
    """left * right."""
    corners = [a * b for a in (left.low, left.high) for b in (right.low, right.high)]
    return Number(min(corners), max(corners))


def _divisor(number: Number) -> Number:
    """What a divisor is behind the check that it is not zero."""
    return Number(1, number.high, number.below, number.above) if number.low == 0 < number.high else number


def floor_divide(left: Number, right: Number) -> Number:
    """left // right."""
    right = _divisor(right)
    if right.low <= 0:
        reach = max(abs(left.low), abs(left.high))
        return Number(-reach, reach)
    corners = [a // b for a in (left.low, left.high) for b in (right.low, right.high)]
    # A number that is not negative does not grow by division.
    return Number(min(corners), max(corners), left.below if left.low >= 0 else EMPTY)


def modulo(left: Number, right: Number) -> Number:
    """left % right."""
    right = _divisor(right)
    if right.low <= 0:
        reach = max(abs(right.low), abs(right.high))
        return Number(-reach, reach)
    high = right.high - 1 if left.low < 0 else min(right.high - 1, left.high)
    return Number(0, high, {s: c - 1 for s, c in right.below.items()})


def shift_right(left: Number, right: Number) -> Number:
    """left >> right; a negative count raises."""
    least, most = max(0, min(right.low, 64)), max(0, min(right.high, 64))
    corners = [a >> b for a in (left.low, left.high) for b in (least, most)]
    return Number(min(corners), max(corners), left.below if left.low >= 0 else EMPTY)


def shift_left(left: Number, right: Number) -> Number:
    """left << right."""
    if right.high > 63:
        return ANY_INT
    factor = 1 << max(0, right.high)
    return multiply(left, Number(1, factor))


def bitwise_and(left: Number, right: Number) -> Number:
    """left & right."""
    bounds = [each for each in (left, right) if each.low >= 0]
    if not bounds:
        return _by_bits(left, right)
    return Number(0, min(each.high for each in bounds), {s: c for each in bounds for s, c in each.below.items()})


def _by_bits(left: Number, right: Number) -> Number:
    """`|`, `^`: no more bits than the longer operand has."""
    bits = max(each.bit_length() for each in (left.low, left.high, right.low, right.high))
    return Number(0 if left.low >= 0 and right.low >= 0 else -(1 << bits), (1 << bits) - 1)


def smallest(left: Number, right: Number) -> Number:
    """min(left, right)."""
    below = dict(left.below)
    for symbol, bound in right.below.items():
        below[symbol] = min(bound, below.get(symbol, bound))
    return Number(min(left.low, right.low), min(left.high, right.high), below, join(left, right).above)


def largest(left: Number, right: Number) -> Number:
    """max(left, right)."""
    above = dict(left.above)
    for symbol, bound in right.above.items():
        above[symbol] = max(bound, above.get(symbol, bound))
    return Number(max(left.low, right.low), max(left.high, right.high), join(left, right).below, above)


def absolute(number: Number) -> Number:
    """abs(number)."""
    if number.low >= 0:
        return number
    return Number(0 if number.high >= 0 else -number.high, max(-number.low, abs(number.high)))


BINARY: dict[str, Callable[[Number, Number], Number]] = {
    "+": add, "-": subtract, "*": multiply, "//": floor_divide, "%": modulo, ">>": shift_right, "<<": shift_left,
    "&": bitwise_and, "|": _by_bits, "^": _by_bits,
}  # fmt: skip
