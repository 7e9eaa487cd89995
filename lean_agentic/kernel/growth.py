"""Lists that a function makes itself and lets grow and shrink with `x.append(e)` and `x.pop()`.

No list changes its length while anybody else may look at it. So the front end takes `append` and `pop` where every
assignment of the variable is a list display, and on no path has the list been given away before: returned, stored,
passed to a function, or iterated by a loop that still runs. Its elements, its length, its truth, slices and what
built-in functions make of it may be read at any time. In: the names, the body. Out: nothing, or where the rule is
broken.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from types import CodeType, FunctionType

from lean_agentic.kernel.errors import UnsupportedError
from lean_agentic.kernel.ir import (
    Append,
    Assign,
    Atom,
    Binary,
    Block,
    Break,
    Compare,
    Continue,
    Copy,
    ForRange,
    If,
    Index,
    Intrinsic,
    Local,
    NewArray,
    Pop,
    Raise,
    Return,
    Statement,
    Store,
    Unary,
    While,
    atoms,
)
from lean_agentic.kernel.liveness import LiveSets

Names = frozenset[str]
Holders = frozenset[tuple[str, str]]
"""Who else has a list: (hidden local, list), or ("", list) for what is not followed."""
LOOKS = (Index, Intrinsic, Unary, Binary, Compare, NewArray)
"""Operations whose result is not the list they look at."""


def method_call(node: ast.expr, method: str, arguments: int) -> str | None:
    """`x` where an expression is `x.method(...)` with so many arguments."""
    if not isinstance(node, ast.Call) or len(node.args) != arguments or node.keywords:
        return None
    called = node.func
    if any(isinstance(each, ast.Starred) for each in node.args) or not isinstance(called, ast.Attribute):
        return None
    return called.value.id if called.attr == method and isinstance(called.value, ast.Name) else None


def growing_names(function: FunctionType, tree: ast.FunctionDef) -> Names:
    """The variables that a function appends to or pops from."""
    code = function.__code__
    if not {"append", "pop"}.intersection(_names_in(code)):
        return frozenset()
    arguments = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    own = {*code.co_varnames, *code.co_cellvars}.difference(arguments)
    calls = [each for each in ast.walk(tree) if isinstance(each, ast.Call)]
    found = [method_call(each, "append", 1) or method_call(each, "pop", 0) for each in calls]
    return frozenset(name for name in found if name in own)


def _names_in(code: CodeType) -> Iterator[str]:
    """The attributes and outside names that a function's code reads, with that of its comprehensions."""
    yield from code.co_names
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield from _names_in(each)


def check_growth(body: Block, growing: Names) -> None:
    """Refuse a list that is given away before its length changes.

    Raises
    ------
    UnsupportedError
        With the line of the `append` or `pop`.
    """
    if growing:
        _Check(body, growing).block(body, frozenset())


class _Check:
    """Forward data flow: who may have each list since it was made; None: not reached."""

    def __init__(self, body: Block, growing: Names) -> None:
        self._growing = growing
        self._live = LiveSets(body)
        self._leaving: list[list[Holders]] = []
        self._repeating: list[list[Holders]] = []

    def block(self, block: Block, held: Holders | None) -> Holders | None:
        for statement in block:
            if held is None:
                return None
            held = self._statement(statement, held)
        return held

    def _statement(self, statement: Statement, held: Holders) -> Holders | None:
        if isinstance(statement, Assign):
            return self._assign(statement, held)
        if isinstance(statement, Append | Pop):
            if isinstance(statement, Append):
                held = held | self._given((statement.value,), held)
            self._change(statement, held)
        elif isinstance(statement, Store):
            held = held | self._given((statement.value,), held)
        elif isinstance(statement, If):
            return _joined(self.block(statement.body, held), self.block(statement.orelse, held))
        elif isinstance(statement, While | ForRange):
            return self._loop(statement, held)
        elif isinstance(statement, Break | Continue):
            (self._leaving if isinstance(statement, Break) else self._repeating)[-1].append(held)
        return None if isinstance(statement, Break | Continue | Return | Raise) else held

    def _assign(self, statement: Assign, held: Holders) -> Holders:
        operation, target = statement.operation, statement.target
        new: Holders = frozenset()
        if isinstance(operation, Copy) and target.startswith("%"):
            new = frozenset((target, name) for name in self._lists(operation.source, held))
        elif not isinstance(operation, LOOKS):
            new = self._given(atoms(operation), held)
        kept = frozenset(each for each in held if target not in each)
        return kept | frozenset(each for each in new if each[1] != target)

    def _lists(self, atom: Atom, held: Holders) -> Names:
        """The growing lists that an operand may be."""
        if not isinstance(atom, Local):
            return frozenset()
        return frozenset([atom.name]) & self._growing | {name for holder, name in held if holder == atom.name}

    def _given(self, operands: Sequence[Atom], held: Holders) -> Holders:
        return frozenset(("", name) for atom in operands for name in self._lists(atom, held))

    def _change(self, statement: Append | Pop, held: Holders) -> None:
        assert isinstance(statement.container, Local)
        name = statement.container.name
        holders = {holder for holder, what in held if what == name}
        if "" in holders:
            raise UnsupportedError(f"`{name}` is given away before its length changes; make it first", statement.line)
        if holders and holders & self._live.names(self._live.after[statement.id]):
            raise UnsupportedError(f"`{name}` changes its length while a loop runs over it", statement.line)

    def _loop(self, statement: While | ForRange, held: Holders) -> Holders | None:
        head = held
        while True:
            self._leaving.append([])
            self._repeating.append([])
            tested = self.block(statement.test, head) if isinstance(statement, While) else head
            end = self.block(statement.body, tested)
            leaving, again = self._leaving.pop(), self._repeating.pop()
            wider = _joined(head, end, *again)
            if wider == head:
                return _joined(self.block(statement.orelse, tested), *leaving)
            assert wider is not None
            head = wider


def _joined(*paths: Holders | None) -> Holders | None:
    reached = [path for path in paths if path is not None]
    return frozenset().union(*reached) if reached else None
