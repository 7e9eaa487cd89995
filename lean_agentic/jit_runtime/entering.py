"""Where in the kernel a call stands that CPython is running: from a frame at a backward jump to a statement and locals.

In: a frame of profiled code that has just jumped backward, and the kernel of its function. Out: the statement to go on
with and a value for each local that is live there. The user's variables are the frame's; the hidden ones, counters and
bounds, are computed from the Python iterators, which CPython keeps on the frame's stack.
"""

from __future__ import annotations

import dis
import linecache
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import CodeType, FrameType
from typing import Any

from lean_agentic.jit_runtime.bytecode import SUPPORTED
from lean_agentic.kernel.ir import ForRange, Local, Statement, While, walk
from lean_agentic.kernel.kernel import Kernel
from lean_agentic.kernel.liveness import liveness
from lean_agentic.kernel.loops import Iterated, Loop

if SUPPORTED:
    from lean_agentic.jit_runtime import _sampling


class NoEntryError(Exception):
    """This point of the call cannot be entered in the kernel; another one may."""


@dataclass(frozen=True)
class Entry:
    """A point of the kernel with the live locals that have a value."""

    statement: int
    values: Mapping[str, Any]
    line: int
    trips: int
    """Iterations that the innermost loop has begun."""


@dataclass(frozen=True)
class _Head:
    """Where a backward jump leads."""

    loop: Loop
    tested: bool
    """The test of a `while` has been evaluated: its body comes next."""
    around: tuple[Loop, ...]
    """The `for` loops whose iterators are on the stack, outer before inner."""


class LoopHeads:
    """The loop heads of one code object, by the place where its backward jumps lead."""

    def __init__(self, code: CodeType, loops: Sequence[Loop]) -> None:
        self.code = code
        self._loops = loops
        line = linecache.getline(code.co_filename, code.co_firstlineno)
        self._indentation = len(line) - len(line.lstrip())

    def at(self, jump: int) -> _Head:
        """The head that the backward jump at a place leads to."""
        target = self._targets.get(jump)
        if target is None or target not in self._heads:
            raise NoEntryError(f"the jump at {jump} of {self.code.co_qualname} leads to no loop that is known")
        return self._heads[target]

    @cached_property
    def _instructions(self) -> list[dis.Instruction]:
        return list(dis.get_instructions(self.code))

    @cached_property
    def _targets(self) -> dict[int, int]:
        return {each.offset: each.argval for each in self._instructions if "JUMP_BACKWARD" in each.opname}

    @cached_property
    def _heads(self) -> dict[int, _Head]:
        found: dict[int, _Head] = {}
        iterations = {self._place(each): each.offset for each in self._instructions if each.opname == "FOR_ITER"}
        ends = {each.offset: each.argval for each in self._instructions if each.opname == "FOR_ITER"}
        spans = {
            start: (loop, ends[start])
            for loop in self._loops
            if loop.source and (start := iterations.get((loop.line, loop.column))) is not None
        }

        def around(place: int) -> tuple[Loop, ...]:
            return tuple(loop for start, (loop, end) in sorted(spans.items()) if start <= place < end)

        for start, (loop, _) in spans.items():
            found[start] = _Head(loop, False, around(start))
        for loop in self._loops:
            for place, tested in self._while_places(loop):
                found.setdefault(place, _Head(loop, tested, around(place)))
        return found

    def _while_places(self, loop: Loop) -> Iterator[tuple[int, bool]]:
        if loop.source:
            return
        for extent, tested in ((loop.test, False), (loop.body, True)):
            places = [each.offset for each in self._instructions if self._is_within(each, extent)]
            if places:
                yield min(places), tested

    def _place(self, instruction: dis.Instruction) -> tuple[int | None, int | None]:
        position = instruction.positions
        if position is None or position.col_offset is None:
            return (None, None)
        return (position.lineno, position.col_offset - self._indentation)

    def _is_within(self, instruction: dis.Instruction, extent: tuple[int, int, int, int]) -> bool:
        begin, end = self._place(instruction), instruction.positions
        if end is None or None in begin or end.end_lineno is None or end.end_col_offset is None:
            return False
        last = (end.end_lineno, end.end_col_offset - self._indentation)
        return extent[:2] <= begin and last <= extent[2:]


def entry(frame: FrameType, kernel: Kernel, heads: LoopHeads) -> Entry:
    """Where a frame that has just jumped backward stands.

    Raises
    ------
    NoEntryError
        If the point has no counterpart: an exhausted loop, a loop that the types say is not reached.
    """
    head = heads.at(frame.f_lasti)
    iterators = _sampling.stack(frame, len(head.around))
    values, trips = dict(frame.f_locals), 0
    for loop, iterator in zip(head.around, iterators, strict=True):
        assert loop.source is not None
        trips = _loop_values(loop, iterator, loop is head.loop, values)
    statement = _statement(kernel, head)
    names = liveness(kernel.entry).before[statement.id]
    lacking = [name for name in names if name.startswith("%") and name not in values]
    if lacking:
        raise NoEntryError(f"line {head.loop.line}: the values of {', '.join(sorted(lacking))} are not known")
    live = {name: values[name] for name in sorted(names) if name in values}
    return Entry(statement.id, live, head.loop.line, trips)


def _statement(kernel: Kernel, head: _Head) -> Statement:
    """The first statement of the next iteration, or the `while` itself."""
    found = next((each for each in walk(kernel.entry.body) if each.id == head.loop.statement), None)
    if not isinstance(found, ForRange | While):
        raise NoEntryError(f"line {head.loop.line}: the loop is not reached with these types")
    if isinstance(found, While) and not head.tested:
        return found
    if not found.body:
        raise NoEntryError(f"line {head.loop.line}: the loop has an empty body")
    return found.body[0]


def _loop_values(loop: Loop, iterator: Any, at_head: bool, values: dict[str, Any]) -> int:
    """Put the hidden locals of a loop among the values; how many items its iterator has given."""
    assert loop.source is not None
    given = _known(loop.source, iterator, values)
    if at_head and given >= _length(loop.source, iterator):
        raise NoEntryError(f"line {loop.line}: the loop is about to end")
    position = given if at_head else given - 1
    if loop.direct:
        _, (run,), *_ = iterator.__reduce__()
        position = run.start + position * run.step
    values[loop.counter] = position
    return given


def _known(source: Iterated, iterator: Any, values: dict[str, Any]) -> int:
    """Compute the hidden locals of what a loop runs over; how many items have been taken from it."""
    if source.kind == "enumerate":
        _, (inner, count) = iterator.__reduce__()
        given = _known(source.inner[0], inner, values)
        _put(values, source.parts, [count - given])
        return given
    if source.kind == "zip":
        inners = iterator.__reduce__()[1]
        counts = [_known(each, inner, values) for each, inner in zip(source.inner, inners, strict=True)]
        lengths = [_length(each, inner) for each, inner in zip(source.inner, inners, strict=True)]
        _put(values, source.parts, [min(lengths[: k + 2]) for k in range(len(source.parts))])
        return counts[-1]
    return _simple(source, iterator, values)


def _simple(source: Iterated, iterator: Any, values: dict[str, Any]) -> int:
    reduced = iterator.__reduce__()
    if len(reduced) < 3:
        raise NoEntryError("the loop is about to end")
    _, (container,), index = reduced
    if source.kind == "range":
        _put(values, source.parts, [container.start, container.stop, container.step, len(container)])
        return int(index)
    if source.kind == "items":
        _put(values, source.parts, [container, len(container)])
        return int(index)
    return _backward(source, container, int(index), values)


def _backward(source: Iterated, container: Any, index: int, values: dict[str, Any]) -> int:
    """A `reversed`: over a range it is a range itself, otherwise its index counts down."""
    inner, size = source.inner[0], len(container)
    _put(values, source.parts, [size - 1])
    if inner.kind == "range":
        forward = container[::-1]
        _put(values, inner.parts, [forward.start, forward.stop, forward.step, size])
        return index
    _put(values, inner.parts, [container, size])
    return size - 1 - index


def _length(source: Iterated, iterator: Any) -> int:
    """Items of an iterator altogether, those taken included."""
    if source.kind == "enumerate":
        return _length(source.inner[0], iterator.__reduce__()[1][0])
    if source.kind == "zip":
        pairs = zip(source.inner, iterator.__reduce__()[1], strict=True)
        return min(_length(each, inner) for each, inner in pairs)
    return len(iterator.__reduce__()[1][0])


def _put(values: dict[str, Any], atoms: Sequence[Any], computed: Sequence[Any]) -> None:
    values.update((atom.name, each) for atom, each in zip(atoms, computed, strict=True) if isinstance(atom, Local))
