"""Locals that a loop only adds ints to, so that the parts of the loop can be summed apart, in any order.

In: a loop's typed body. Out: whether a local is such a sum. Python's ints are exact, so the order of additions does not
matter; that of floats does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lean_agentic.kernel.ir import (
    Assign,
    Binary,
    Block,
    CheckBound,
    Copy,
    ForRange,
    If,
    Local,
    Statement,
    While,
    atoms,
    definitions,
    walk,
)
from lean_agentic.kernel.types import BOOL, INT


def is_sum(name: str, body: Block) -> bool:
    """Whether all that a body does with a local is `name += int` or `name -= int`."""
    statements = list(walk(body))
    changes = list(_changes(body, name))
    temporaries = {each.target for each in changes if each is not None} - {name}
    checked = any(isinstance(each, CheckBound) and each.name == name for each in statements)
    each_once = all(_reads(each, statements) == _writes(each, statements) == 1 for each in temporaries)
    complete = None not in changes and _reads(name, statements) == len(changes) == _writes(name, statements)
    return bool(changes) and complete and each_once and not checked


def _reads(name: str, statements: Sequence[Statement]) -> int:
    operands = (each for statement in statements for each in atoms(statement))
    return sum(isinstance(each, Local) and each.name == name for each in operands)


def _writes(name: str, statements: Sequence[Statement]) -> int:
    return sum(name in definitions(each) for each in statements)


def _changes(block: Block, name: str) -> Iterator[Assign | None]:
    """For each assignment to a local the addition that it is, or None."""
    for place, statement in enumerate(block):
        if isinstance(statement, Assign) and statement.target == name:
            made = block[place - 1] if isinstance(statement.operation, Copy) and place else statement
            copied = statement.operation.source if isinstance(statement.operation, Copy) else None
            fits = isinstance(made, Assign) and (copied is None or copied == Local(made.target, made.type))
            yield made if isinstance(made, Assign) and fits and _adds(made, name) else None
        elif isinstance(statement, ForRange) and statement.counter == name:
            yield None
        if isinstance(statement, If | ForRange | While):
            if isinstance(statement, While):
                yield from _changes(statement.test, name)
            yield from _changes(statement.body, name)
            yield from _changes(statement.orelse, name)


def _adds(made: Assign, name: str) -> bool:
    operation = made.operation
    if not isinstance(operation, Binary) or operation.operator not in ("+", "-") or made.type != INT:
        return False
    total = Local(name, INT)
    sides = (operation.left, operation.right) if operation.operator == "+" else (operation.left,)
    others = [each for each in (operation.left, operation.right) if each != total]
    return total in sides and len(others) == 1 and others[0].type in (INT, BOOL)
