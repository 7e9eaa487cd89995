"""Loops over ranges.

In: `ForRange` statements. Out: loops that end by their condition and cannot wrap, whatever the bounds. A step of 1 or
-1 compares the counter; any other step counts the iterations, which are known before the loop as an unsigned number.
"""

from __future__ import annotations

from lean_agentic.jit_runtime.errors import NotCompiledError
from lean_agentic.jit_runtime.facts import Condition, LoopVersion
from lean_agentic.jit_runtime.lir import Block, Operand, Temporary, Variable
from lean_agentic.jit_runtime.positions import range_count
from lean_agentic.jit_runtime.select_arrays import array_parts
from lean_agentic.jit_runtime.select_control import EACH_ITERATION, goes_on_at
from lean_agentic.jit_runtime.select_list_operations import ListParts
from lean_agentic.jit_runtime.selector import Loop, Selector, selects
from lean_agentic.kernel.intrinsics import range_length
from lean_agentic.kernel.ir import Append, Assign, Atom, ForRange, Local, walk
from lean_agentic.kernel.types import INT, ArrayType, ListType

STRIP = 2**14
"""Iterations between two polls of a loop that is to be vectorised."""
SHORT = 32
"""A loop of constant bounds with at most so many iterations, and neither loops nor calls inside, does not poll."""
LARGEST_OFFSET = 2**32


def _int(s: Selector, bound: Atom) -> Operand:
    if bound.type != INT:
        raise NotCompiledError(f"a range whose bound is {bound.type}, not int", s.statement.line)
    return s.read(bound).operands[0]


class _Range:
    """The bounds of a loop, and its counter."""

    def __init__(self, s: Selector, statement: ForRange) -> None:
        self.statement = statement
        self.counter: Variable = s.places[statement.counter].variables[0]
        self.start, self.stop, self.step = (_int(s, each) for each in (statement.start, statement.stop, statement.step))
        self.behind: Variable | None = None
        """Iterations still to come, where they are counted."""

    def read_stop(self, s: Selector) -> Operand:
        """The end, for use inside the loop."""
        return _int(s, self.statement.stop)

    def read_step(self, s: Selector) -> Operand:
        """The step, for use inside the loop."""
        return _int(s, self.statement.step)


@selects(ForRange)
def select_for(s: Selector, statement: ForRange) -> bool:
    """`for counter in range(start, stop, step)`, with `else`."""
    over = _Range(s, statement)
    if not isinstance(over.step, int):
        s.e.guard(s.e.op("itob", "b", over.step), s.leave())
    elif over.step == 0:
        return s.give_up()
    if isinstance(over.start, int) and over.start >= 0 and isinstance(over.step, int) and over.step > 0:
        s.nonnegative.add(statement.counter)
    _expect_appends(s, over)
    end = s.e.new_block()
    done = s.e.new_block() if statement.orelse else end
    version = s.facts.versions.get(statement.id)
    if statement.body:
        if version is not None and _versions(s, over, version):
            _two_loops(s, over, version, done, end)
        else:
            _loop(s, over, done, end)
    else:
        s.branch(done)
    if done is not end and goes_on_at(s, done) and s.block(statement.orelse):
        s.branch(end)
    return goes_on_at(s, end)


def _expect_appends(s: Selector, over: _Range) -> None:
    """Make room for what every iteration appends to a list from outside of the loop."""
    body = over.statement.body
    appended = [each.container for each in body if isinstance(each, Append)]
    made = {each.target for each in walk(body) if isinstance(each, Assign)} if appended else set()
    for container in appended:
        if over.step == 1 and isinstance(container, Local) and container.name not in made | s.survey.unsure:
            count = s.e.op("sub", "i", over.stop, over.start)
            address = s.read(container).operands[0]
            s.e.runtime("list_expect", "i", address, count)
            view = s.places[container.name].view
            if view is not None:
                s.look_into(view, address)  # the data may lie elsewhere now


def _loop(s: Selector, over: _Range, done: Block, end: Block, seldom: bool = False) -> None:
    """One copy of the loop."""
    statement = over.statement
    body, again = s.e.new_block(), s.e.new_block()
    if seldom or statement.id in s.facts.vector_width:
        s.function.vector_width[body.label] = 0 if seldom else s.facts.vector_width[statement.id]
    some = _first(s, over)
    strip = over.behind is None and statement.id in s.facts.block_polls
    limit = s.e.variable("i", "end of the strip") if strip else None
    head = s.e.new_block() if strip else body
    s.choose(some, head, done)
    s.e.depth += 1
    if limit is not None:
        s.begin(head)
        _begin_strip(s, over, limit)
        s.branch(body)
        s.e.depth += 1
    s.begin(body)
    if limit is None and not _short(s, over):
        s.poll(statement.body[0], EACH_ITERATION)
    s.loops.append(Loop(again, end))
    goes_on = s.block(statement.body)
    s.loops.pop()
    if again.label in s.used:
        if goes_on:
            s.branch(again)
        s.begin(again)
    if goes_on or again.label in s.used:
        _next(s, over, limit, body, done, head)
    s.e.depth -= 1 if limit is None else 2


def _first(s: Selector, over: _Range) -> Operand:
    """Set up the first iteration; whether there is one."""
    s.set(over.counter, over.start)
    if over.step in (1, -1):
        return s.e.op("icmp", "b", over.start, over.stop, "slt" if over.step == 1 else "sgt")
    some, behind = range_count(s, over.start, over.stop, over.step)
    over.behind = s.e.variable("i", "iterations to come")
    s.set(over.behind, behind)
    return some


def _next(s: Selector, over: _Range, limit: Variable | None, body: Block, done: Block, head: Block) -> None:
    """Go to the next iteration if there is one."""
    e = s.e
    if over.behind is not None:
        to_come, go_on = s.get(over.behind), e.new_block()
        s.choose(e.op("icmp", "b", to_come, 0, "eq"), done, go_on)
        s.begin(go_on)
        s.set(over.behind, e.op("sub", "i", s.get(over.behind), 1))
        s.set(over.counter, e.op("add", "i", s.get(over.counter), over.read_step(s)))
        s.branch(body)
        return
    counter = e.op("add", "i", s.get(over.counter), over.step)
    s.set(over.counter, counter)
    compare = "slt" if over.step == 1 else "sgt"
    if limit is None:
        s.choose(e.op("icmp", "b", counter, over.read_stop(s), compare), body, done)
        return
    strip_done = e.new_block()
    s.choose(e.op("icmp", "b", counter, s.get(limit), compare), body, strip_done)
    e.depth -= 1
    s.begin(strip_done)
    s.choose(e.op("icmp", "b", s.get(over.counter), over.read_stop(s), compare), head, done)
    e.depth += 1


def _begin_strip(s: Selector, over: _Range, limit: Variable) -> None:
    """Poll, and set the end of the next iterations that do not."""
    e = s.e
    s.poll(over.statement.body[0], STRIP)
    counter, stop = s.get(over.counter), over.read_stop(s)
    low, high = (counter, stop) if over.step == 1 else (stop, counter)
    left = e.op("sub", "i", high, low)
    size = e.op("select", "i", e.op("icmp", "b", left, STRIP, "ult"), left, STRIP)
    s.set(limit, e.op("add" if over.step == 1 else "sub", "i", counter, size))


def _short(s: Selector, over: _Range) -> bool:
    bounds = [bound for bound in (over.start, over.stop, over.step) if isinstance(bound, int)]
    if len(bounds) < 3 or over.statement.id in s.survey.loops_inside:
        return False
    return range_length(*bounds) <= SHORT


# -- versions ----------------------------------------------------------------------------------------------------------


def _versions(s: Selector, over: _Range, version: LoopVersion) -> bool:
    """Whether the conditions of a version can be tested here."""
    containers = [s.places[condition.container].type for condition in version.conditions]
    return all(isinstance(each, ArrayType | ListType) for each in containers) and all(
        abs(condition.offset) < LARGEST_OFFSET for condition in version.conditions
    )


def _two_loops(s: Selector, over: _Range, version: LoopVersion, done: Block, end: Block) -> None:
    """The loop with fewer checks where all conditions hold, and as it is."""
    fast, slow = s.e.new_block(), s.e.new_block(cold=True)
    tests = [test for condition in version.conditions for test in _tests(s, over, condition)]
    holds = tests[0]
    for test in tests[1:]:
        holds = s.e.op("band", "b", holds, test)
    s.choose(holds, fast, slow)
    s.begin(fast)
    before, s.within = s.within, s.within | version.within
    _loop(s, over, done, end)
    s.within = before
    s.select_again()
    s.statement = over.statement
    s.begin(slow)
    _loop(s, over, done, end, seldom=True)
    s.select_again()


def _tests(s: Selector, over: _Range, condition: Condition) -> list[Temporary]:
    """`0 <= base + offset < length` for all iterations."""
    e = s.e
    length = _length(s, condition)
    if condition.base is not None:
        base = s.read(Local(condition.base, s.places[condition.base].type)).operands[-1]
        return [e.op("icmp", "b", e.op("add", "i", base, condition.offset), length, "ult")]
    # The counter runs from the start to before the stop, or down to behind it.
    if isinstance(over.step, int):
        low, high = (over.start, over.stop) if over.step > 0 else (over.stop, over.start)
        extra = 0 if over.step > 0 else 1
    else:
        up = e.op("icmp", "b", over.step, 0, "sgt")
        low, high = e.op("select", "i", up, over.start, over.stop), e.op("select", "i", up, over.stop, over.start)
        extra = 1
    return [
        e.op("icmp", "b", low, -condition.offset, "sge"),
        e.op("icmp", "b", high, e.op("sub", "i", length, condition.offset + extra), "sle"),
    ]


def _length(s: Selector, condition: Condition) -> Operand:
    container = Local(condition.container, s.places[condition.container].type)
    array = array_parts(s, container)
    return ListParts(s, s.read(container), container).length() if array is None else array.length(condition.axis)
