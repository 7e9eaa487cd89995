"""One pass over a procedure before selection: what is known of each local, and which lists are written.

In: a kernel procedure. Out: `Survey`. It decides where locals live: one that is assigned once and read only behind
that, in the same block, is a name for temporaries; all others are variables of the LIR.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from lean_agentic.kernel.ir import (
    Append,
    Assign,
    Atom,
    Attribute,
    Binary,
    Block,
    Call,
    CheckBound,
    Compare,
    Copy,
    ForRange,
    If,
    Index,
    Intrinsic,
    Local,
    MakeList,
    MakeTuple,
    NewArray,
    Operation,
    Pop,
    Procedure,
    Raise,
    Return,
    Slice,
    Store,
    StoreSlice,
    Unary,
    Unpack,
    While,
    atoms,
)
from lean_agentic.kernel.types import INT, ListType, Type


def _flat(items: tuple[Atom | Slice, ...]) -> tuple[Atom, ...]:
    atoms: list[Atom] = []
    for item in items:
        if isinstance(item, Slice):
            atoms += (item.start, item.stop, item.step)
        else:
            atoms.append(item)
    return tuple(atoms)


OPERANDS: dict[type[Operation], Callable[[Any], tuple[Atom, ...]]] = {
    Copy: lambda operation: (operation.source,),
    Unary: lambda operation: (operation.operand,),
    Binary: lambda operation: (operation.left, operation.right),
    Compare: lambda operation: (operation.left, operation.right),
    Intrinsic: lambda operation: operation.arguments,
    Call: lambda operation: operation.arguments,
    Index: lambda operation: _flat((operation.container, *operation.items)),
    Unpack: lambda operation: (operation.source,),
    MakeTuple: lambda operation: operation.items,
    MakeList: lambda operation: operation.items,
    Attribute: lambda operation: (operation.source,),
    NewArray: lambda operation: operation.arguments,
    StoreSlice: lambda operation: _flat((operation.container, *operation.items, operation.value)),
}
"""Operands of an operation in the order of `ir.atoms`, which is general and slower."""
NOWHERE = -1


@dataclass(eq=False)
class Survey:
    """What one procedure does with its locals."""

    types: dict[str, list[Type]] = field(default_factory=dict)
    """Types of the values assigned to each local, one for each assignment, parameters included."""
    bits: dict[str, int] = field(default_factory=dict)
    """A bit for each local that is read or assigned, for sets of locals as ints."""
    reads: dict[int, int] = field(default_factory=dict)
    """The locals that each statement itself reads, by id."""
    spread: set[str] = field(default_factory=set)
    """Locals read outside the block that assigns them, or before it."""
    checked: set[str] = field(default_factory=set)
    """Locals of a `CheckBound`."""
    calls: set[str] = field(default_factory=set)
    written: set[Type] = field(default_factory=set)
    """List types that are stored into."""
    loops_inside: set[int] = field(default_factory=set)
    """Ids of loops whose body has another loop or a call in it."""
    same: dict[str, str] = field(default_factory=dict)
    """Locals that only rename another: neither changes, so both can live in the same variables."""
    used_at: dict[str, int] = field(default_factory=dict)
    """How many loops deep a local is indexed, or asked for its length, at most."""
    assigned_at: dict[str, int] = field(default_factory=dict)
    """How many loops deep a local is assigned, at most."""
    appended: set[str] = field(default_factory=set)
    """Locals that are appended to, or popped from."""
    escaping: set[str] = field(default_factory=set)
    """Locals whose value's identity may be seen: returned, or put into a tuple or a list, also by a callee."""
    unsure: set[str] = field(default_factory=set)
    """Locals that may have no value where they are live, from `unsure_locals`."""
    passed: list[tuple[str, str, int]] = field(default_factory=list)
    """Local, procedure, position: the arguments of calls."""
    _copies: list[tuple[str, str]] = field(default_factory=list)
    _homes: dict[str, int] = field(default_factory=dict)
    _blocks: int = 0

    def in_temporaries(self, name: str) -> bool:
        """Whether a local needs no variable."""
        elsewhere = name in self.spread or name in self.unsure or name in self.appended
        return not elsewhere and len(self.types[name]) == 1

    def never_changes(self, name: str) -> bool:
        """Whether a local has one value in all of a run."""
        return len(self.types[name]) == 1 and self.assigned_at[name] == 0

    def block(self, block: Block, loops: tuple[int, ...] = ()) -> int:
        """Look at all statements of a block; its serial number."""
        self._blocks += 1
        here = self._blocks
        for statement in block:
            if isinstance(statement, Assign):
                self._operation(statement, here, loops)
            elif isinstance(statement, If):
                self._read(statement.id, here, (statement.condition,))
                self.block(statement.body, loops)
                self.block(statement.orelse, loops)
            elif isinstance(statement, ForRange | While):
                self._loop(statement, loops)
            elif isinstance(statement, Store | Append):
                self._store(statement, here, len(loops))
            elif isinstance(statement, Pop):
                self._pop(statement, here)
            elif isinstance(statement, Return):
                self._read(statement.id, here, (statement.value,))
                self._escapes((statement.value,))
            elif isinstance(statement, CheckBound):
                self.checked.add(statement.name)
                self.reads[statement.id] = self.bit(statement.name)
            else:
                self._read(statement.id, here, tuple(atoms(statement)) if isinstance(statement, Raise) else ())
        return here

    def bit(self, name: str) -> int:
        """The local's bit."""
        bits = self.bits
        found = bits.get(name)
        if found is None:
            found = bits[name] = 1 << len(bits)
        return found

    def _read(self, statement: int, here: int, atoms: tuple[Atom, ...]) -> None:
        mask = 0
        for atom in atoms:
            if type(atom) is Local:
                name = atom.name
                mask |= self.bits.get(name) or self.bit(name)
                if self._homes.get(name) != here:
                    self.spread.add(name)
        self.reads[statement] = mask

    def assigned(self, name: str, a_type: Type, home: int, depth: int) -> None:
        """Note an assignment."""
        types = self.types.get(name)
        if types is None:
            self.types[name] = [a_type]
            self.bit(name)
        else:
            types.append(a_type)
        self._homes[name] = home
        if depth >= self.assigned_at.get(name, 0):
            self.assigned_at[name] = depth

    def _used(self, container: Atom, depth: int) -> None:
        """Note that a container is looked into."""
        if type(container) is Local and depth >= self.used_at.get(container.name, 0):
            self.used_at[container.name] = depth

    def _operation(self, statement: Assign, here: int, loops: tuple[int, ...]) -> None:
        operation = statement.operation
        self._read(statement.id, here, OPERANDS[type(operation)](operation))
        if isinstance(operation, Call):
            self.calls.add(operation.procedure)
            self.passed += [
                (argument.name, operation.procedure, position)
                for position, argument in enumerate(operation.arguments)
                if isinstance(argument, Local)
            ]
            self.loops_inside.update(loops)
        elif isinstance(operation, MakeTuple | MakeList):
            self._escapes(operation.items)
        elif isinstance(operation, Index):
            self._used(operation.container, len(loops))
        elif isinstance(operation, Intrinsic):
            self._used(operation.arguments[0], len(loops))
            if operation.name == "index" and operation.arguments[0].type == INT:
                self._renamed(statement.target, operation.arguments[0])
        elif isinstance(operation, Copy):
            self._renamed(statement.target, operation.source)
        self.assigned(statement.target, statement.type, here, len(loops))

    def _escapes(self, atoms: tuple[Atom, ...]) -> None:
        self.escaping.update([atom.name for atom in atoms if isinstance(atom, Local)])

    def settle_escapes(self) -> None:
        """What escapes under another name escapes."""
        before = -1
        while len(self.escaping) != before:
            before = len(self.escaping)
            self.escaping.update([source for target, source in self._copies if target in self.escaping])

    def _renamed(self, target: str, source: Atom) -> None:
        if type(source) is Local:
            self._copies.append((target, source.name))

    def _store(self, statement: Store | Append, here: int, depth: int) -> None:
        items: tuple[Atom, ...] = ()
        if isinstance(statement, Store):
            items = statement.items
            self._used(statement.container, depth)
        elif isinstance(statement.container, Local):
            self.appended.add(statement.container.name)
        self._read(statement.id, here, (statement.container, *items, statement.value))
        self._escapes((statement.value,))
        self.written.update(each for each in statement.container.type.members if isinstance(each, ListType))

    def _pop(self, statement: Pop, here: int) -> None:
        if isinstance(statement.container, Local):
            self.appended.add(statement.container.name)
        self._read(statement.id, here, (statement.container,))
        self.written.update(each for each in statement.container.type.members if isinstance(each, ListType))

    def _loop(self, statement: ForRange | While, loops: tuple[int, ...]) -> None:
        self.loops_inside.update(loops)
        inner = (*loops, statement.id)
        if isinstance(statement, While):
            self._read(statement.id, self.block(statement.test, inner), (statement.condition,))
        else:
            # Read again at the end of each iteration, so they live in variables.
            self._read(statement.id, NOWHERE, (statement.start, statement.stop, statement.step))
            self.assigned(statement.counter, INT, NOWHERE, len(inner))
            self.spread.add(statement.counter)
        self.block(statement.body, inner)
        self.block(statement.orelse, loops)

    def rename(self) -> None:
        """Find the locals that are the same as others."""
        for target, source in self._copies:
            source = self.same.get(source, source)
            fixed = self.never_changes(source) and len(self.types[target]) == 1
            in_variables = source in self.spread and target in self.spread
            same = fixed and in_variables and self.types[source] == self.types[target]
            if same and not {source, target} & self.checked:
                self.same[target] = source
                self.used_at[source] = max(self.used_at.get(source, 0), self.used_at.get(target, 0))

    def looked_into_inside(self, name: str) -> bool:
        """Whether a local is indexed in a loop that does not change it, so that its parts should be known outside."""
        return self.used_at.get(name, 0) > self.assigned_at[name]


def surveys(procedures: Sequence[Procedure]) -> dict[str, Survey]:
    """Look at the procedures of a kernel."""
    found = {each.name: survey(each) for each in procedures}
    parameters = {each.name: [parameter.name for parameter in each.parameters] for each in procedures}
    changed = True
    while changed:
        changed = False
        for one in found.values():
            seen = [
                name
                for name, callee, position in one.passed
                if name not in one.escaping and parameters[callee][position] in found[callee].escaping
            ]
            changed = changed or bool(seen)
            one.escaping.update(seen)
            one.settle_escapes()
    return found


def survey(procedure: Procedure) -> Survey:
    """Look at a procedure."""
    found = Survey()
    for parameter in procedure.parameters:
        found.assigned(parameter.name, parameter.type, NOWHERE, 0)
        found.spread.add(parameter.name)
    found.block(procedure.body)
    found.rename()
    found.settle_escapes()
    return found
