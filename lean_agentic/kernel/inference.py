"""Type inference: forward data flow over the structured IR, with joins where paths meet.

In: a procedure's untyped body and its parameter types. Out: the body with a type at every use of a local, and the
result type. A variable may have another type at each point; where paths that disagree meet it has the union, and an
operation on a union is taken only if it is taken for every alternative. Loops are run to a fixed point.

What has been found is kept, because nested loops come to the same statements again and again: a statement's typed form
by the types of its operands, and a loop's types by those it is reached with. At the head of a loop and behind
branches and loops only the types of live variables are kept, so temporaries do not make a loop look unfinished.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from lean_agentic.kernel.errors import UnsupportedError
from lean_agentic.kernel.ir import (
    Append,
    Assign,
    Atom,
    Binary,
    Block,
    Break,
    Call,
    CheckBound,
    Compare,
    Constant,
    Continue,
    Copy,
    ForRange,
    If,
    Local,
    MakeList,
    Operation,
    Raise,
    Return,
    Statement,
    Store,
    While,
    changed,
    map_atoms,
)
from lean_agentic.kernel.liveness import LiveSets, Names
from lean_agentic.kernel.operation_types import as_equality, check_condition, result_type
from lean_agentic.kernel.stores import checked_store, element_type
from lean_agentic.kernel.types import (
    DEEPEST_NESTING,
    INT,
    NEVER,
    NONE,
    ListType,
    Type,
    is_index,
    join,
    nesting,
)

Types = dict[str, Type]
"""Types of the locals at a point; changed in place while statements follow one another."""


class _WidenedError(Exception):
    """The elements of a comprehension have another type than was assumed: start over with it."""


@dataclass
class _Loop:
    breaks: list[Types] = field(default_factory=list)
    continues: list[Types] = field(default_factory=list)


def merge(names: Names, *paths: Types | None) -> Types | None:
    """Types of some names where paths meet; None is a path that is never taken."""
    reached = [path for path in paths if path is not None]
    if len(reached) < 2:
        return reached[0] if reached else None
    merged: Types = {}
    for name in names:
        found = {path[name] for path in reached if name in path}
        if found:
            merged[name] = found.pop() if len(found) == 1 else join(found)
    return merged


def widened(names: Names, head: Types, *paths: Types | None) -> Types | None:
    """Types at the head of a loop where its iterations come back with others than were assumed; None if they do not."""
    wider = merge(names, {name: head[name] for name in names if name in head}, *paths)
    assert wider is not None
    return None if all(head.get(name) is a_type for name, a_type in wider.items()) else {**head, **wider}


class Inference:
    """Types one body. `call` gives the procedure name and result type for a callee handle and argument types."""

    def __init__(self, body: Block, call: Callable[[str, tuple[Type, ...]], tuple[str, Type]]) -> None:
        self.results: list[Type] = []
        self.parameters: Types = {}
        self._body = body
        self._call = call
        self._live = LiveSets(body)
        self._loops: list[_Loop] = []
        self._growing: Types = {}
        self._known: dict[str, bool] = {}
        self._typed: dict[tuple[int | Type, ...], Statement] = {}
        self._done: dict[tuple[int, frozenset[tuple[str, Type]]], tuple[Statement, Types | None]] = {}

    def procedure(self, parameters: Mapping[str, Type]) -> tuple[Block, Type]:
        """The typed body and the join of all results.

        Afterwards `parameters` has the types that were assumed: a parameter that is a comprehension's half-built list
        is widened by what is still appended to it. Call again when result types of callees have changed.
        """
        while True:
            self.results, self._loops, self._known, self._done = [], [], {}, {}
            self.parameters = {name: self._grown(name, a_type) for name, a_type in parameters.items()}
            try:
                typed, after = self._block(self._body, dict(self.parameters))
            except _WidenedError:
                continue
            return typed, join([*self.results, *([NONE] if after is not None else [])])

    def _block(self, block: Block, types: Types | None) -> tuple[Block, Types | None]:
        """Type statements in order; those that cannot be reached are left out."""
        typed: list[Statement] = []
        for statement in block:
            if types is None:
                break
            try:
                if isinstance(statement, Assign):
                    types = self._assign(statement, types, typed)
                elif isinstance(statement, If):
                    types = self._if(statement, types, typed)
                elif isinstance(statement, While | ForRange):
                    types = self._loop(statement, types, typed)
                else:
                    types = self._leaf(statement, types, typed)
            except UnsupportedError as error:
                raise error if error.line else UnsupportedError(error.reason, statement.line) from None
        return tuple(typed), types

    def _key(self, statement: Statement, types: Types) -> tuple[int | Type, ...]:
        """What the typed form of a statement depends on."""
        return (statement.id, *[types.get(name, NEVER) for name in self._live.operands[statement.id]])

    def _leaf(self, statement: Statement, types: Types, typed: list[Statement]) -> Types | None:
        key = self._key(statement, types)
        found = self._typed.get(key)
        if found is None:
            found = map_atoms(statement, lambda atom: with_type(atom, types))
            if isinstance(found, Store):
                found = checked_store(found)
            elif isinstance(found, Append):
                self._append(found)
            self._typed[key] = found
        typed.append(found)
        return self._after_leaf(found, types)

    def _after_leaf(self, statement: Statement, types: Types) -> Types | None:
        if isinstance(statement, CheckBound):
            return types if statement.name in types else None
        if isinstance(statement, Return):
            self.results.append(statement.value.type)
        elif isinstance(statement, Break):
            self._loops[-1].breaks.append(types)
        elif isinstance(statement, Continue):
            self._loops[-1].continues.append(types)
        return None if isinstance(statement, Return | Raise | Break | Continue) else types

    def _append(self, statement: Append) -> None:
        assert isinstance(statement.container, Local)
        element = join([element_type(statement.container.type), statement.value.type])
        if any(member != ListType(element) for member in statement.container.type.members):
            self._growing[statement.container.name] = element
            raise _WidenedError

    def _grown(self, name: str, a_type: Type) -> Type:
        return ListType(join([element_type(a_type), self._growing[name]])) if name in self._growing else a_type

    def _assign(self, statement: Assign, types: Types, typed: list[Statement]) -> Types | None:
        key = self._key(statement, types)
        found = self._typed.get(key)
        if found is None:
            found = self._typed_assignment(statement, types)
            operation = statement.operation
            if not isinstance(operation, Call) and not (isinstance(operation, MakeList) and operation.growing):
                self._typed[key] = found  # the others' result may still grow
        assert isinstance(found, Assign)
        typed.append(found)
        self._note_known(statement.target, found.operation)
        if found.type is NEVER:
            # An operation without a result always raises, or is a recursive call whose result is not known yet.
            return None
        types[statement.target] = found.type
        return types

    def _typed_assignment(self, statement: Assign, types: Types) -> Assign:
        operation: Operation = map_atoms(statement.operation, lambda atom: with_type(atom, types))
        if isinstance(operation, Call):
            name, result = self._call(operation.procedure, tuple(each.type for each in operation.arguments))
            operation = changed(operation, procedure=name)
        elif isinstance(operation, Compare) and operation.operator in ("in", "inset"):
            operation = as_equality(operation)
            result = result_type(operation)
        elif isinstance(operation, MakeList) and operation.growing:
            result = ListType(self._growing.get(statement.target, NEVER))
        else:
            result = result_type(operation)
        if nesting(result) > DEEPEST_NESTING:
            raise UnsupportedError("a tuple or list nests without bound")
        if isinstance(operation, Binary) and operation.augmented:
            operation = changed(operation, augmented=False)
        return changed(statement, operation=operation, type=result)

    def _note_known(self, target: str, operation: Operation) -> None:
        """Remember `x is None` where the type decides it, so that the branch not taken is not typed."""
        self._known.pop(target, None)
        if isinstance(operation, Copy) and isinstance(operation.source, Local) and operation.source.name in self._known:
            self._known[target] = self._known[operation.source.name]
        if isinstance(operation, Compare) and operation.operator in ("is", "isnot"):
            left, right = operation.left.type, operation.right.type
            if left == right == NONE or NONE not in (set(left.members) & set(right.members)):
                self._known[target] = (left == right) == (operation.operator == "is")

    def _truth(self, condition: Atom) -> bool | None:
        check_condition(condition.type)
        if isinstance(condition, Constant):
            return bool(condition.value)
        return self._known.get(condition.name)

    def _if(self, statement: If, types: Types, typed: list[Statement]) -> Types | None:
        condition = with_type(statement.condition, types)
        truth = self._truth(condition)
        if truth is not None:
            taken, after = self._block(statement.body if truth else statement.orelse, types)
            typed += taken
            return after
        known = dict(self._known)
        body, after_body = self._block(statement.body, dict(types))
        self._known = known
        orelse, after_orelse = self._block(statement.orelse, types)
        self._known = {}
        typed.append(changed(statement, condition=condition, body=body, orelse=orelse))
        return merge(self._live.names(self._live.after[statement.id]), after_body, after_orelse)

    def _loop(self, statement: While | ForRange, types: Types, typed: list[Statement]) -> Types | None:
        """A loop; one that has been typed before is taken again where what it reads and assigns has the same types."""
        run = self._while if isinstance(statement, While) else self._for
        if statement.orelse:  # may jump to the loop around, which wants the types of all variables
            typed_loop, after = run(statement, types)  # type: ignore[arg-type]
            typed.append(typed_loop)
            return after
        number = statement.id
        touched = self._live.names(self._live.heads[number] & self._live.touched[number])
        inside = {name: types[name] for name in touched if name in types}
        key = (number, frozenset(inside.items()))
        if key not in self._done:
            self._done[key] = run(statement, inside)  # type: ignore[arg-type]
        typed_loop, after = self._done[key]
        typed.append(typed_loop)
        self._known = {}
        if after is None:
            return None
        passed = self._live.names(self._live.after[number] & ~self._live.touched[number])
        return {name: types[name] for name in passed if name in types} | after

    def _while(self, statement: While, head: Types) -> tuple[Statement, Types | None]:
        live = self._live.names(self._live.heads[statement.id])
        while True:
            self._known = {}
            test, tested = self._block(statement.test, dict(head))
            condition = with_type(statement.condition, tested or {})
            truth = bool(condition.value) if isinstance(condition, Constant) else None
            check_condition(condition.type)
            entered = None if truth is False or tested is None else dict(tested)
            loop, body, end = self._loop_body(statement.body, entered)
            wider = widened(live, head, end, *loop.continues)
            if wider is None:
                break
            head = wider
        self._known = {}
        orelse, after = self._block(statement.orelse, None if truth is True else tested)
        made = changed(statement, test=test, condition=condition, body=body, orelse=orelse)
        return made, merge(self._live.names(self._live.after[statement.id]), after, *loop.breaks)

    def _for(self, statement: ForRange, head: Types) -> tuple[Statement, Types | None]:
        start, stop, step = (with_type(each, head) for each in (statement.start, statement.stop, statement.step))
        if not all(is_index(each.type) for each in (start, stop, step)):
            raise UnsupportedError(f"range takes ints, not {start.type}, {stop.type}, {step.type}")
        live = self._live.names(self._live.heads[statement.id] & ~self._live.bit(statement.counter))
        while True:
            loop, body, end = self._loop_body(statement.body, {**head, statement.counter: INT})
            wider = widened(live, head, end, *loop.continues)
            if wider is None:
                break
            head = wider
        self._known = {}
        orelse, after = self._block(statement.orelse, dict(head))
        made = changed(statement, start=start, stop=stop, step=step, body=body, orelse=orelse)
        return made, merge(self._live.names(self._live.after[statement.id]), after, *loop.breaks)

    def _loop_body(self, body: Block, types: Types | None) -> tuple[_Loop, Block, Types | None]:
        self._known = {}
        self._loops.append(_Loop())
        typed, end = self._block(body, types)
        return self._loops.pop(), typed, end


def with_type(atom: Atom, types: Types) -> Atom:
    """An operand with the type it has at a point."""
    return Local(atom.name, types.get(atom.name, NEVER)) if isinstance(atom, Local) else atom
