"""Lists that a function makes itself and lets grow with `x.append(e)`.

The language has no list whose length changes while somebody may look at it. So the front end takes `append` where the
list grows first and is looked at afterwards: every assignment of the variable is a list display, and on no path is it
read before it grows, unless it has been assigned anew since. In: the names that grow, the body. Out: nothing, or where
the rule is broken.
"""

from __future__ import annotations

import ast
from types import FunctionType

from lean_agentic.kernel.errors import UnsupportedError
from lean_agentic.kernel.ir import (
    Append,
    Assign,
    Block,
    Break,
    Continue,
    ForRange,
    If,
    Local,
    Raise,
    Return,
    Statement,
    While,
    atoms,
)

Names = frozenset[str]


def appended_name(node: ast.stmt) -> str | None:
    """`x` where a statement is `x.append(e)`."""
    call = node.value if isinstance(node, ast.Expr) else None
    if not isinstance(call, ast.Call) or len(call.args) != 1 or call.keywords or isinstance(call.args[0], ast.Starred):
        return None
    method = call.func
    if isinstance(method, ast.Attribute) and method.attr == "append" and isinstance(method.value, ast.Name):
        return method.value.id
    return None


def growing_names(function: FunctionType, tree: ast.FunctionDef) -> Names:
    """The variables that a function appends to."""
    code = function.__code__
    if "append" not in code.co_names:
        return frozenset()
    arguments = code.co_argcount + code.co_kwonlyargcount
    found = (appended_name(each) for each in ast.walk(tree) if isinstance(each, ast.stmt))
    return frozenset(name for name in found if name in code.co_varnames[arguments:])


def check_growth(body: Block, growing: Names) -> None:
    """Refuse a list that is read before it grows.

    Raises
    ------
    UnsupportedError
        With the line of the `append`.
    """
    if growing:
        _Check(growing).block(body, frozenset())


class _Check:
    """Forward data flow: the lists that somebody may have looked at since they were made; None: not reached."""

    def __init__(self, growing: Names) -> None:
        self._growing = growing
        self._leaving: list[list[Names]] = []
        self._repeating: list[list[Names]] = []

    def block(self, block: Block, seen: Names | None) -> Names | None:
        for statement in block:
            if seen is None:
                return None
            seen = self._statement(statement, seen)
        return seen

    def _statement(self, statement: Statement, seen: Names) -> Names | None:
        operands = atoms(statement)
        read = [each.name for each in operands if isinstance(each, Local) and each.name in self._growing]
        if isinstance(statement, Append) and isinstance(statement.container, Local):
            read = read[1:] if read[:1] == [statement.container.name] else read
            seen = seen.union(read)
            self._append(statement, statement.container.name, seen)
            return seen
        seen = seen.union(read)
        if isinstance(statement, Assign):
            return seen - {statement.target}
        if isinstance(statement, If):
            return _joined(self.block(statement.body, seen), self.block(statement.orelse, seen))
        if isinstance(statement, While | ForRange):
            return self._loop(statement, seen)
        if isinstance(statement, Break | Continue):
            (self._leaving if isinstance(statement, Break) else self._repeating)[-1].append(seen)
        return None if isinstance(statement, Break | Continue | Return | Raise) else seen

    def _append(self, statement: Append, name: str, seen: Names) -> None:
        if name in seen:
            reason = f"`{name}` is read before it grows; make the whole list first, or give it its length at once"
            raise UnsupportedError(reason, statement.line)

    def _loop(self, statement: While | ForRange, seen: Names) -> Names | None:
        head = seen
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


def _joined(*paths: Names | None) -> Names | None:
    reached = [path for path in paths if path is not None]
    return frozenset().union(*reached) if reached else None
