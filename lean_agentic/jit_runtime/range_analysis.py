"""Range analysis: which overflow and bounds checks of a kernel can never fail.

In: a kernel. Out: `Facts`. A forward abstract interpretation of the structured IR (Cousot and Cousot, POPL 1977) over
`intervals.Number`; loops settle by widening and one narrowing step, sums get the bound trip count times increment.
What cannot be proved outright becomes the condition of a loop version when it can be tested once before the loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import count

from lean_agentic.jit_runtime.abstract_operations import evaluate, integer
from lean_agentic.jit_runtime.abstract_values import Abstract, Constraint, Items, Lengths, State, Truth, joined, of_type
from lean_agentic.jit_runtime.facts import Condition, Facts, LoopVersion
from lean_agentic.jit_runtime.intervals import Number, meet_less
from lean_agentic.kernel.ir import (
    Append,
    Assign,
    Atom,
    Binary,
    Block,
    Break,
    Call,
    CheckBound,
    Constant,
    Continue,
    ForRange,
    If,
    Index,
    Local,
    Parameter,
    Pop,
    Procedure,
    Raise,
    Return,
    Slice,
    Statement,
    Store,
    Unary,
    While,
    walk,
)
from lean_agentic.kernel.kernel import Kernel
from lean_agentic.kernel.types import INT, ArrayType

USUAL_INT = (-(2**31), 2**31 - 1)
"""What int parameters are assumed to be until a call shows otherwise."""

Constraints = frozenset[Constraint] | None
DEEPEST_WIDENING = 2
"""Loops nested deeper than this start from nothing known, since each level multiplies the passes over its body."""


def analyse(kernel: Kernel, assume: Callable[[str], bool] = lambda name: True) -> Facts:
    """Facts about all procedures of a kernel.

    Parameters
    ----------
    kernel : Kernel
        What will be selected.
    assume : callable
        Which parameters of the entry may be assumed to be as usual: ints within 32 bits (where nothing assigns
        them), arrays without gaps in the last axis. `Facts` says for which that was done, and selection guards it.
    """
    found = _Found()
    for name in _callers_first(kernel):
        procedure = kernel.procedures[name]
        guarded = name == kernel.entry.name and not is_called(procedure, kernel)
        names = [each.name for each in procedure.parameters if guarded and assume(each.name)]
        _Analysis(procedure, found, frozenset(names)).run()
    return found.facts()


def _callees(procedure: Procedure) -> set[str]:
    assigns = (each for each in walk(procedure.body) if isinstance(each, Assign))
    return {each.operation.procedure for each in assigns if isinstance(each.operation, Call)}


def _reached(procedure: Procedure, kernel: Kernel) -> set[str]:
    """Procedures that one calls, directly or not."""
    reached: set[str] = set()
    waiting = _callees(procedure)
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting |= _callees(kernel.procedures[name])
    return reached


def is_called(procedure: Procedure, kernel: Kernel) -> bool:
    """Whether a procedure of the kernel calls this one."""
    return any(procedure.name in _callees(each) for each in kernel.procedures.values())


def _callers_first(kernel: Kernel) -> list[str]:
    """Names of all procedures, callers before callees where there is no cycle."""
    return sorted(kernel.procedures, key=lambda name: -len(_reached(kernel.procedures[name], kernel)))


@dataclass
class _Found:
    exact: set[int] = field(default_factory=set)
    nonnegative: set[tuple[int, int]] = field(default_factory=set)
    within: set[tuple[int, int]] = field(default_factory=set)
    versions: dict[int, LoopVersion] = field(default_factory=dict)
    assumed: dict[str, tuple[int, int]] = field(default_factory=dict)
    unit_stride: set[int] = field(default_factory=set)
    assumed_unit_stride: set[str] = field(default_factory=set)
    block_polls: set[int] = field(default_factory=set)
    arguments: dict[str, list[Abstract]] = field(default_factory=dict)
    """What the calls seen so far give to a procedure, by position."""

    def facts(self) -> Facts:
        return Facts(
            exact=frozenset(self.exact),
            nonnegative=frozenset(self.nonnegative),
            within=frozenset(self.within),
            versions=self.versions,
            assumed=self.assumed,
            unit_stride=frozenset(self.unit_stride),
            assumed_unit_stride=frozenset(self.assumed_unit_stride),
            block_polls=frozenset(self.block_polls),
        )


@dataclass
class _Loop:
    """A loop on the way: the states of its jumps."""

    statement: Statement
    breaks: list[State] = field(default_factory=list)
    continues: list[State] = field(default_factory=list)


class _Analysis:
    """One procedure."""

    def __init__(self, procedure: Procedure, found: _Found, assume: frozenset[str]) -> None:
        self._procedure = procedure
        self._found = found
        self._assume = assume
        self._symbols = count()
        self._loops: list[_Loop] = []
        self._recording = True
        self._operands: dict[int, tuple[Number, Number]] = {}
        self._trips: dict[int, int] = {}
        self._assigned: dict[int, frozenset[str]] = {}
        self._conditions: dict[int, dict[tuple[int, int], Condition]] = {}

    def run(self) -> None:
        state = State()
        seen = self._found.arguments.get(self._procedure.name, [])
        for position, parameter in enumerate(self._procedure.parameters):
            given = seen[position] if seen else of_type(parameter.type)
            value = self.fresh(given)
            if parameter.name in self._assume:
                value = self._assumed_value(parameter, value)
            state.assign(parameter.name, value)
        self._block(self._procedure.body, state)
        for loop, conditions in self._conditions.items():
            self._found.versions[loop] = LoopVersion(tuple(dict.fromkeys(conditions.values())), frozenset(conditions))

    def _assumed_value(self, parameter: Parameter, value: Abstract) -> Abstract:
        assigned = parameter.name in set(_assigned(walk(self._procedure.body)))
        if parameter.type == INT and isinstance(value, Number) and not assigned:
            self._found.assumed[parameter.name] = USUAL_INT
            return Number(*USUAL_INT, value.below, value.above)
        if isinstance(parameter.type, ArrayType) and isinstance(value, Lengths) and value.numbers:
            self._found.assumed_unit_stride.add(parameter.name)
            return Lengths(value.numbers, unit=True)
        return value

    def fresh(self, value: Abstract) -> Abstract:
        """The value with a symbol of its own wherever it is a number without relations."""
        if isinstance(value, Number) and not value.below and not value.above and value.low != value.high:
            symbol = next(self._symbols)
            return Number(value.low, value.high, {symbol: 0}, {symbol: 0})
        if isinstance(value, Lengths):
            return Lengths(tuple(self._number(each) for each in value.numbers), value.unit)
        if isinstance(value, Items):
            return Items(tuple(self.fresh(each) for each in value.values))
        return value

    def _number(self, value: Number) -> Number:
        made = self.fresh(value)
        assert isinstance(made, Number)
        return made

    def _block(self, block: Block, state: State | None) -> State | None:
        for statement in block:
            if state is None:
                return None
            state = self._statement(statement, state)
        return state

    def _statement(self, statement: Statement, state: State) -> State | None:
        match statement:
            case Assign():
                self._assign(statement, state)
            case Store():
                self._check_items(statement.id, statement.container, statement.items, state)
            case If():
                return self._if(statement, state)
            case While():
                return self._while(statement, state)
            case ForRange():
                return self._for(statement, state)
            case Break():
                self._loops[-1].breaks.append(state)
                return None
            case Continue():
                self._loops[-1].continues.append(state)
                return None
            case Return() | Raise():
                return None
            case Append() | Pop():
                # Its length is another one from here on.
                if isinstance(statement.container, Local):
                    state.assign(statement.container.name, self.fresh(of_type(statement.container.type)))
            case CheckBound():
                pass
        return state

    def _assign(self, statement: Assign, state: State) -> None:
        operation = statement.operation
        if isinstance(operation, Index):
            self._check_items(statement.id, operation.container, operation.items, state)
        if isinstance(operation, Call) and self._recording:
            self._note_arguments(operation, state)
        value = evaluate(operation, statement.type, state)
        if isinstance(operation, Binary):
            left, right = integer(operation.left, state), integer(operation.right, state)
            if left is not None and right is not None:
                self._operands[statement.id] = (left, right)
        if isinstance(value, Number):
            if self._recording and isinstance(operation, Binary | Unary):
                (self._found.exact.add if value.fits else self._found.exact.discard)(statement.id)
            value = value.clipped()
        state.assign(statement.target, self.fresh(value))

    def _note_arguments(self, operation: Call, state: State) -> None:
        """Callees are analysed for all their calls together; relations mean nothing there."""
        given = [_alone(state.read(each), of_type(each.type)) for each in operation.arguments]
        before = self._found.arguments.get(operation.procedure, given)
        self._found.arguments[operation.procedure] = list(map(joined, before, given))

    def _check_items(self, statement: int, container: Atom, items: Iterable[Atom | Slice], state: State) -> None:
        lengths = state.read(container)
        if not isinstance(lengths, Lengths):
            return
        if lengths.unit and self._recording:
            self._found.unit_stride.add(statement)
        for axis, item in enumerate(items):
            if isinstance(item, Slice) or axis >= len(lengths.numbers):
                return  # axes behind a slice are counted otherwise
            index, length = state.read(item), lengths.numbers[axis]
            if isinstance(index, Number):
                if self._recording:
                    self._check(statement, axis, container, index, length, state)
                if isinstance(item, Local):
                    # Behind the statement the index has passed the check, so the next one like it cannot fail.
                    state.replace(item.name, meet_less(index, length, strict=True)[0])

    def _check(self, statement: int, axis: int, container: Atom, index: Number, length: Number, state: State) -> None:
        if index.low >= 0:
            self._found.nonnegative.add((statement, axis))
            if index.less_than(length):
                self._found.within.add((statement, axis))
                return
        self._propose(statement, axis, container, index, state)

    def _propose(self, statement: int, axis: int, container: Atom, index: Number, state: State) -> None:
        """A test before the innermost loop that makes the check needless."""
        loop = self._loops[-1].statement if self._loops else None
        if not isinstance(loop, ForRange) or not isinstance(container, Local) or not self._is_innermost(loop):
            return
        assigned = self._names(loop)
        if container.name in assigned or not isinstance(loop.step, Constant) or loop.step.value != 1:
            return
        base = self._base(loop, index, state, assigned)
        if base is not None:
            name, offset = base
            found = Condition(container.name, axis, name, offset)
            self._conditions.setdefault(loop.id, {})[statement, axis] = found

    def _base(
        self, loop: ForRange, index: Number, state: State, assigned: frozenset[str]
    ) -> tuple[str | None, int] | None:
        """The counter (None) or an invariant local, and the index's distance from it."""
        for symbol in index.below:
            offset = index.offset_from(symbol)
            if offset is None or abs(offset) > 2**20:
                continue
            for name in (loop.counter, *state.names()):
                value = state.get(name)
                if isinstance(value, Number) and (own := value.offset_from(symbol)) is not None:
                    if name == loop.counter:
                        return None, offset - own
                    if name not in assigned:
                        return name, offset - own
        return None

    def _is_innermost(self, loop: ForRange) -> bool:
        return not any(isinstance(each, ForRange | While) for each in walk(loop.body))

    def _names(self, loop: Statement) -> frozenset[str]:
        """Names that a loop assigns."""
        if loop.id not in self._assigned:
            self._assigned[loop.id] = frozenset(_assigned(walk((loop,))))
        return self._assigned[loop.id]

    def _if(self, statement: If, state: State) -> State | None:
        truth = state.read(statement.condition)
        yes, no = state.copy(), state
        if isinstance(truth, Truth):
            if isinstance(statement.condition, Local):
                # What `a and b` implies: where a is false, the whole is not true.
                yes.replace(statement.condition.name, Truth(truth.when_true, None))
                no.replace(statement.condition.name, Truth(None, truth.when_false))
            yes_possible, no_possible = yes.refine(truth.when_true), no.refine(truth.when_false)
        else:
            yes_possible = no_possible = True
        after_yes = self._block(statement.body, yes if yes_possible else None)
        after_no = self._block(statement.orelse, no if no_possible else None)
        if isinstance(truth, Truth):
            _on_path(statement.body, after_yes, truth.when_true)
            _on_path(statement.orelse, after_no, truth.when_false)
        return merge([after_yes, after_no])

    def _for(self, statement: ForRange, state: State) -> State | None:
        bounds = [state.read(each) for each in (statement.start, statement.stop, statement.step)]
        start, stop, step = (each if isinstance(each, Number) else Number() for each in bounds)
        self._trips[statement.id] = trips = trip_bound(start, stop, step)
        if self._recording and self._is_innermost(statement):
            self._found.block_polls.add(statement.id)

        def iteration(head: State) -> State | None:
            body = head.copy()
            symbol = next(self._symbols)
            counter = _counter(start, stop, step)
            below, above = {**counter.below, symbol: 0}, {**counter.above, symbol: 0}
            body.assign(statement.counter, Number(counter.low, counter.high, below, above))
            return self._block(statement.body, body)

        head, loop = self._settle(statement, state, iteration, trips)
        after = self._block(statement.orelse, head)
        return merge([after, *loop.breaks])

    def _while(self, statement: While, state: State) -> State | None:
        leaving: list[State | None] = []

        def iteration(head: State) -> State | None:
            leaving.clear()
            tested = self._block(statement.test, head.copy())
            if tested is None:
                return None
            truth = tested.read(statement.condition)
            body, out = tested.copy(), tested
            inside = body.refine(truth.when_true) if isinstance(truth, Truth) else True
            outside = out.refine(truth.when_false) if isinstance(truth, Truth) else True
            leaving.append(out if outside else None)
            return self._block(statement.body, body if inside else None)

        _, loop = self._settle(statement, state, iteration, None)
        after = self._block(statement.orelse, merge(leaving))
        return merge([after, *loop.breaks])

    def _settle(
        self, statement: Statement, entry: State, iteration: Callable[[State], State | None], trips: int | None
    ) -> tuple[State, _Loop]:
        """A state that holds at the head of every iteration, and the jumps of the last pass over the body."""
        names = self._names(statement)

        def once(head: State) -> tuple[State, _Loop]:
            self._loops.append(_Loop(statement))
            end = iteration(head)
            loop = self._loops.pop()
            joined = merge([entry, end, *loop.continues])
            assert joined is not None
            return joined, loop

        recording, self._recording = self._recording, False
        head = entry.forgetting(names, self.fresh)
        if len(self._loops) < DEEPEST_WIDENING:
            tried, _ = once(entry.copy())
            wide = entry.widened(tried, names)
            after, _ = once(wide)
            head = after if wide.covers(after, names) else once(head)[0]
        else:
            head, _ = once(head)
        if trips is not None:
            self._bound_sums(statement, entry, head, trips)
        self._recording = recording
        _, loop = once(head)
        return head, loop

    def _bound_sums(self, statement: Statement, entry: State, head: State, trips: int) -> None:
        """A variable that an iteration changes only by adding stays within trips times what it adds."""
        for name, adds in _sums(statement).items():
            before, value = entry.get(name), head.get(name)
            low = high = 0
            for each, left, inner in adds:
                if each not in self._operands or any(loop not in self._trips for loop in inner):
                    break
                amount = self._operands[each][1 if left else 0]
                times = 1
                for loop in inner:
                    times *= self._trips[loop]
                low += min(0, amount.low) * times
                high += max(0, amount.high) * times
            else:
                if isinstance(before, Number) and isinstance(value, Number):
                    least, most = before.low + trips * low, before.high + trips * high
                    bounded = Number(max(value.low, least), min(value.high, most), value.below, value.above)
                    head.replace(name, bounded)


def _on_path(block: Block, state: State | None, constraints: Constraints) -> None:
    """Truths that a branch assigned imply, either way, the condition under which the branch was taken."""
    for each in block:
        value = state.get(each.target) if state and isinstance(each, Assign) else None
        if isinstance(value, Truth) and constraints and state and isinstance(each, Assign):
            more = Truth(_with(value.when_true, constraints), _with(value.when_false, constraints))
            state.replace(each.target, more)


def _with(some: Constraints, more: frozenset[Constraint]) -> Constraints:
    return None if some is None else some | more


def merge(states: Iterable[State | None]) -> State | None:
    """What holds wherever one of several paths comes together; None when none does."""
    reached = [each for each in states if each is not None]
    if not reached:
        return None
    result = reached[0]
    for each in reached[1:]:
        result = result.joined(each)
    return result


def _alone(value: Abstract, otherwise: Abstract) -> Abstract:
    """A number without its relations; other values as their type says."""
    return Number(value.low, value.high) if isinstance(value, Number) else otherwise


def trip_bound(start: Number, stop: Number, step: Number) -> int:
    """Most iterations that a range can have."""
    if step.low > 0:
        return max(0, -(-(stop.high - start.low) // step.low))
    if step.high < 0:
        return max(0, -(-(start.high - stop.low) // -step.high))
    return max(0, stop.high - start.low, start.high - stop.low)


def _counter(start: Number, stop: Number, step: Number) -> Number:
    if step.low > 0:
        last = stop.shifted(-1)
        return Number(start.low, max(start.low, last.high), last.below, start.above)
    if step.high < 0:
        last = stop.shifted(1)
        return Number(min(start.high, last.low), start.high, start.below, last.above)
    return Number(min(start.low, stop.low), max(start.high, stop.high))


def _assigned(statements: Iterable[Statement]) -> Iterable[str]:
    for each in statements:
        if isinstance(each, Assign):
            yield each.target
        elif isinstance(each, ForRange):
            yield each.counter
        elif isinstance(each, Append | Pop) and isinstance(each.container, Local):
            yield each.container.name


Sums = Mapping[str, list[tuple[int, bool, tuple[int, ...]]]]


def _sums(loop: Statement) -> Sums:
    """Variables that a loop changes only by `x = x + e`: the additions, whether x is left, the inner loops around."""
    changes: dict[str, list[tuple[int, bool, tuple[int, ...]]] | None] = {}
    temporaries: dict[str, Assign] = {}

    def visit(block: Block, inner: tuple[int, ...]) -> None:
        for each in block:
            if isinstance(each, Assign):
                change(each, inner)
            elif isinstance(each, ForRange):
                changes[each.counter] = None
                visit(each.body, (*inner, each.id))
                visit(each.orelse, inner)
            elif isinstance(each, While):
                # How often it runs is not known: -1 is no loop's id.
                visit(each.test, (*inner, -1))
                visit(each.body, (*inner, -1))
                visit(each.orelse, inner)
            elif isinstance(each, If):
                visit(each.body, inner)
                visit(each.orelse, inner)

    def change(each: Assign, inner: tuple[int, ...]) -> None:
        if each.target.startswith("%"):
            temporaries[each.target] = each
            changes[each.target] = None
            return
        source = getattr(each.operation, "source", None)
        made = temporaries.get(source.name) if isinstance(source, Local) else None
        known = changes.setdefault(each.target, [])
        place = _addition(made, each.target) if made else None
        if place is None or known is None or made is None:
            changes[each.target] = None
        else:
            known.append((made.id, place, inner))

    visit(loop.body, ())  # type: ignore[attr-defined]
    return {name: adds for name, adds in changes.items() if adds}


def _addition(made: Assign, name: str) -> bool | None:
    """Whether `name` is the left (True) or right operand of the addition; None when it is no such addition."""
    operation = made.operation
    if not isinstance(operation, Binary) or operation.operator != "+" or made.type != INT:
        return None
    left = isinstance(operation.left, Local) and operation.left.name == name
    right = isinstance(operation.right, Local) and operation.right.name == name
    return left if left != right else None
