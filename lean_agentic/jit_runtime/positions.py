"""Indexes into sequences: from Python's indexes and slices to checked positions.

In: index values and a length. Out: positions that are within the sequence; the statement is left when one is not.
"""

from __future__ import annotations

from typing import NamedTuple

from lean_agentic.jit_runtime.emitter import Value
from lean_agentic.jit_runtime.lir import Operand, Temporary
from lean_agentic.jit_runtime.selector import Selector
from lean_agentic.jit_runtime.values import LARGEST, SMALLEST
from lean_agentic.kernel.ir import Atom, Local, Slice
from lean_agentic.kernel.types import NONE, NumpyScalar

UINT64 = NumpyScalar("uint64")


def integer(s: Selector, value: Value) -> Operand:
    """An index as an int64; what is beyond is left to Python."""
    operand = value.operands[-1]
    if UINT64 in value.type.members:
        # Beyond int64 only if it is an uint64 that looks negative; other members may really be negative.
        large = s.e.op("icmp", "b", operand, 0, "sge")
        if len(value.type.members) > 1:
            large = s.e.op("bor", "b", large, s.e.op("icmp", "b", value.operands[0], s.tag_of(UINT64), "ne"))
        s.e.guard(large, s.leave())
    return operand


def position(s: Selector, index: Atom, length: Operand, axis: int = 0) -> Operand:
    """The position that an index means on an axis of the statement's container."""
    check = (s.statement.id, axis)
    operand = integer(s, s.read(index))
    if isinstance(operand, int) and operand < 0:
        from_end = s.e.op("add", "i", length, operand)
        if check not in s.within:
            s.e.guard(s.e.op("icmp", "b", from_end, 0, "sge"), s.leave())
        return from_end
    if check in s.within:
        return operand
    known = isinstance(index, Local) and index.name in s.nonnegative
    if isinstance(operand, Temporary) and not known and check not in s.facts.nonnegative:
        negative = s.e.op("icmp", "b", operand, 0, "slt")
        operand = s.e.op("select", "i", negative, s.e.op("add", "i", operand, length), operand)
    s.e.guard(s.e.op("icmp", "b", operand, length, "ult"), s.leave())
    return operand


class Span(NamedTuple):
    """A slice as `slice.indices` gives it, and its number of positions."""

    start: Operand
    stop: Operand
    step: Operand
    number: Operand


def span(s: Selector, part: Slice, length: Operand) -> Span:
    """The positions that a slice means."""
    step: Operand = 1 if part.step.type == NONE else integer(s, s.read(part.step))
    if step == 0:
        s.e.guard(s.e.op("itob", "b", 0), s.leave())
        step = 1
    if isinstance(step, int):
        return _known_direction(s, part, length, step)
    s.e.guard(s.e.op("itob", "b", step), s.leave())
    # -2**63 has no counterpart; CPython takes the next one too.
    step = s.e.op("select", "i", s.e.op("icmp", "b", step, SMALLEST, "eq"), SMALLEST + 1, step)
    return _unknown_direction(s, part, length, step)


def _known_direction(s: Selector, part: Slice, length: Operand, step: int) -> Span:
    step = max(step, SMALLEST + 1)
    start, stop = _bound(s, part.start), _bound(s, part.stop)
    if step > 0:
        start = 0 if start is None else _clamped(s, start, length, 0, length)
        stop = length if stop is None else _clamped(s, stop, length, 0, length)
        return Span(start, stop, step, _count(s, start, stop, step))
    last = s.e.op("sub", "i", length, 1)
    start = last if start is None else _clamped(s, start, length, -1, last)
    stop = -1 if stop is None else _clamped(s, stop, length, -1, last)
    return Span(start, stop, step, _count(s, stop, start, -step))


def _unknown_direction(s: Selector, part: Slice, length: Operand, step: Operand) -> Span:
    e = s.e
    down = e.op("icmp", "b", step, 0, "slt")
    low = e.op("select", "i", down, -1, 0)
    high = e.op("select", "i", down, e.op("sub", "i", length, 1), length)
    start, stop = _bound(s, part.start), _bound(s, part.stop)
    start = e.op("select", "i", down, high, 0) if start is None else _clamped(s, start, length, low, high)
    stop = e.op("select", "i", down, -1, high) if stop is None else _clamped(s, stop, length, low, high)
    first, last = e.op("select", "i", down, stop, start), e.op("select", "i", down, start, stop)
    size = e.op("select", "i", down, e.op("ineg", "i", step), step)
    return Span(start, stop, step, _count(s, first, last, size))


def _bound(s: Selector, atom: Atom) -> Operand:
    """Start or stop; None when left out."""
    return None if atom.type == NONE else integer(s, s.read(atom))


def _clamped(s: Selector, bound: Operand, length: Operand, low: Operand, high: Operand) -> Operand:
    """A start or stop counted from the front, within bounds that are themselves positions or one beside."""
    e = s.e
    if isinstance(bound, int):
        if bound >= 0:
            return 0 if bound == 0 == low else _smaller(s, bound, high)
        return _larger(s, e.op("add", "i", bound, length), low)
    negative = e.op("icmp", "b", bound, 0, "slt")
    counted = e.op("select", "i", negative, e.op("add", "i", bound, length), bound)
    return _smaller(s, _larger(s, counted, low), high)


def _smaller(s: Selector, one: Operand, other: Operand) -> Operand:
    return s.e.op("select", "i", s.e.op("icmp", "b", one, other, "slt"), one, other)


def _larger(s: Selector, one: Operand, other: Operand) -> Operand:
    return s.e.op("select", "i", s.e.op("icmp", "b", one, other, "sgt"), one, other)


def _count(s: Selector, low: Operand, high: Operand, step: Operand) -> Operand:
    """How many positions lie from `low` to before `high`, a positive step apart."""
    e = s.e
    distance = e.op("sub", "i", high, low)
    if step == 1:
        return _larger(s, distance, 0)
    steps = e.op("add", "i", e.op("udiv", "i", e.op("sub", "i", distance, 1), step), 1)
    return e.op("select", "i", e.op("icmp", "b", low, high, "slt"), steps, 0)


def range_count(s: Selector, start: Operand, stop: Operand, step: Operand) -> tuple[Temporary, Operand]:
    """Whether a range has elements, and how many come behind the first, unsigned; the step is not 0.

    Distances are taken as unsigned numbers, so bounds at the ends of int64 do not wrap.
    """
    e = s.e
    if isinstance(step, int):
        low, high = (start, stop) if step > 0 else (stop, start)
        size: Operand = abs(step)
    else:
        up = e.op("icmp", "b", step, 0, "sgt")
        low, high = e.op("select", "i", up, start, stop), e.op("select", "i", up, stop, start)
        size = e.op("select", "i", up, step, e.op("ineg", "i", step))
    some = e.op("icmp", "b", low, high, "slt")
    behind: Operand = e.op("sub", "i", e.op("sub", "i", high, low), 1)
    if size != 1:
        # Of -2**63 the magnitude is 2**63, which as an immediate is written as its bits.
        behind = e.op("udiv", "i", behind, size if size != LARGEST + 1 else SMALLEST)
    return some, behind
