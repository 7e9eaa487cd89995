"""Type inference: forward data flow over the structured IR, with joins where paths meet.

In: a procedure's untyped body and its parameter types. Out: the body with a type at every use of a local, and the
result type. A variable may have another type at each point; where paths that disagree meet it has the union, and an
operation on a union is taken only if it is taken for every alternative. Loops are run to a fixed point.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

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
    Raise,
    Return,
    Statement,
    Store,
    While,
    map_atoms,
)
from lean_agentic.kernel.operation_types import check_condition, check_items, result_type
from lean_agentic.kernel.types import (
    DEEPEST_NESTING,
    INT,
    NEVER,
    NONE,
    ArrayType,
    ListType,
    NumpyScalar,
    Type,
    is_index,
    is_scalar,
    join,
    nesting,
)

Types = Mapping[str, Type]
"""Types of the locals at a point."""


class _WidenedError(Exception):
    """The elements of a comprehension have another type than was assumed: start over with it."""


@dataclass
class _Loop:
    breaks: list[Types | None] = field(default_factory=list)
    continues: list[Types | None] = field(default_factory=list)


def merge(*paths: Types | None) -> Types | None:
    """Types where paths meet; None is a path that is never taken."""
    reached = [path for path in paths if path is not None]
    if len(reached) < 2:
        return reached[0] if reached else None
    names = {name for path in reached for name in path}
    return {name: join(path[name] for path in reached if name in path) for name in names}


class Inference:
    """Types one body. `call` gives the procedure name and result type for a callee handle and argument types."""

    def __init__(self, call: Callable[[str, tuple[Type, ...]], tuple[str, Type]]) -> None:
        self.results: list[Type] = []
        self._call = call
        self._loops: list[_Loop] = []
        self._growing: dict[str, Type] = {}
        self._known: dict[str, bool] = {}

    def procedure(self, body: Block, parameters: Types) -> tuple[Block, Type]:
        """The typed body and the join of all results."""
        while True:
            self.results, self._loops, self._known = [], [], {}
            try:
                typed, after = self.block(body, dict(parameters))
            except _WidenedError:
                continue
            return typed, join([*self.results, *([NONE] if after is not None else [])])

    def block(self, block: Block, types: Types | None) -> tuple[Block, Types | None]:
        """Type statements in order; those that cannot be reached are left out."""
        typed: list[Statement] = []
        for statement in block:
            if types is None:
                break
            try:
                parts, types = self.statement(statement, types)
            except UnsupportedError as error:
                raise error if error.line else UnsupportedError(error.reason, statement.line) from None
            typed += parts
        return tuple(typed), types

    def statement(self, statement: Statement, types: Types) -> tuple[Block, Types | None]:
        """The statements that take this one's place, and the types after it."""
        typed = map_atoms(statement, lambda atom: _typed(atom, types))
        if isinstance(typed, If):
            return self._if(typed, types)
        if isinstance(typed, While):
            return self._while(typed, types)
        if isinstance(typed, ForRange):
            return self._for(typed, types)
        if isinstance(typed, Assign):
            return self._assign(typed, types)
        return (typed,), self._leaf(typed, types)

    def _leaf(self, statement: Statement, types: Types) -> Types | None:
        if isinstance(statement, Store):
            check_store(statement)
        elif isinstance(statement, Append):
            self._append(statement)
        elif isinstance(statement, CheckBound):
            return types if statement.name in types else None
        elif isinstance(statement, Return):
            self.results.append(statement.value.type)
        elif isinstance(statement, Break):
            self._loops[-1].breaks.append(types)
        elif isinstance(statement, Continue):
            self._loops[-1].continues.append(types)
        return None if isinstance(statement, Return | Raise | Break | Continue) else types

    def _append(self, statement: Append) -> None:
        assert isinstance(statement.container, Local)
        name = statement.container.name
        element = join([self._growing.get(name, NEVER), statement.value.type])
        if element != self._growing.get(name):
            self._growing[name] = element
            raise _WidenedError

    def _assign(self, statement: Assign, types: Types) -> tuple[Block, Types | None]:
        operation = statement.operation
        if isinstance(operation, Call):
            name, result = self._call(operation.procedure, tuple(each.type for each in operation.arguments))
            operation = replace(operation, procedure=name)
        elif isinstance(operation, MakeList) and operation.growing:
            result = ListType(self._growing.get(statement.target, NEVER))
        else:
            result = result_type(operation)
        if nesting(result) > DEEPEST_NESTING:
            raise UnsupportedError("a tuple or list nests without bound")
        if isinstance(operation, Binary):
            operation = replace(operation, augmented=False)
        self._note_known(statement.target, operation)
        # An operation without a result always raises, or is a recursive call whose result is not known yet.
        after = None if result == NEVER else {**types, statement.target: result}
        return (replace(statement, operation=operation, type=result),), after

    def _note_known(self, target: str, operation: object) -> None:
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

    def _if(self, statement: If, types: Types) -> tuple[Block, Types | None]:
        truth = self._truth(statement.condition)
        if truth is not None:
            return self.block(statement.body if truth else statement.orelse, types)
        known = dict(self._known)
        body, after_body = self.block(statement.body, types)
        self._known = known
        orelse, after_orelse = self.block(statement.orelse, types)
        self._known = {}
        return (replace(statement, body=body, orelse=orelse),), merge(after_body, after_orelse)

    def _while(self, statement: While, types: Types) -> tuple[Block, Types | None]:
        while True:
            self._known = {}
            test, tested = self.block(statement.test, types)
            condition = _typed(statement.condition, tested or {})
            truth = self._truth(condition) if isinstance(condition, Constant) else None
            check_condition(condition.type)
            loop, body, end = self._body(statement.body, None if truth is False else tested)
            wider = merge(types, end, *loop.continues)
            if wider is None or wider == types:
                break
            types = wider
        self._known = {}
        orelse, after = self.block(statement.orelse, None if truth is True else tested)
        typed = replace(statement, test=test, condition=condition, body=body, orelse=orelse)
        return (typed,), merge(after, *loop.breaks)

    def _for(self, statement: ForRange, types: Types) -> tuple[Block, Types | None]:
        bounds = (statement.start.type, statement.stop.type, statement.step.type)
        if not all(map(is_index, bounds)):
            raise UnsupportedError(f"range takes ints, not {', '.join(map(str, bounds))}")
        while True:
            loop, body, end = self._body(statement.body, {**types, statement.counter: INT})
            wider = merge(types, end, *loop.continues)
            if wider is None or {**wider, statement.counter: INT} == {**types, statement.counter: INT}:
                break
            types = wider
        self._known = {}
        orelse, after = self.block(statement.orelse, types)
        return (replace(statement, body=body, orelse=orelse),), merge(after, *loop.breaks)

    def _body(self, body: Block, types: Types | None) -> tuple[_Loop, Block, Types | None]:
        self._known = {}
        self._loops.append(_Loop())
        typed, end = self.block(body, types)
        return self._loops.pop(), typed, end


def _typed(atom: Atom, types: Types) -> Atom:
    return replace(atom, type=types.get(atom.name, NEVER)) if isinstance(atom, Local) else atom


def check_store(statement: Store) -> None:
    """Refuse stores that change what a list holds, or that NumPy does not do element by element."""
    check_items(statement.items)
    for member in statement.container.type.members:
        _check_store_into(member, len(statement.items), statement.value.type)


def _check_store_into(container: Type, indexes: int, value: Type) -> None:
    if isinstance(container, ListType) and indexes == 1:
        # Nothing can be stored in a list without elements: IndexError, whatever the value.
        if container.element != NEVER and not set(value.members) <= set(container.element.members):
            raise UnsupportedError(f"a {container} would hold {value}; convert the value or start with the wider type")
    elif isinstance(container, ArrayType) and indexes == container.rank:
        numbers = all(isinstance(each, NumpyScalar) or each.name in ("bool", "int", "float") for each in value.members)  # type: ignore[attr-defined]
        if not is_scalar(value) or not numbers:
            raise UnsupportedError(f"{value} cannot be stored in one element of {container}")
    else:
        raise UnsupportedError(f"a store into {container} with {indexes} indexes is outside the kernel language")
