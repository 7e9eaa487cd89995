"""The rest of a body from one of its statements on, as a body of its own.

In: an untyped or typed block and a statement in it. Out: a block that does what is still to be done, on the locals
that are live there. Blocks around the statement are left by their end, so most of it is the text behind the statement;
a loop that is entered in its middle becomes the rest of the present iteration and then the loop from the next one on.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from lean_agentic.kernel.ir import (
    Assign,
    Atom,
    Binary,
    Block,
    Break,
    Constant,
    Continue,
    Copy,
    ForRange,
    If,
    Local,
    Raise,
    Return,
    Statement,
    While,
    renumbered,
    walk,
)
from lean_agentic.kernel.types import BOOL, INT, STRING

ZERO, ONE, TRUE = Constant(0, INT), Constant(1, INT), Constant(True, BOOL)
Ways = frozenset[type[Statement] | None]
"""How control can leave a block: None at its end, Break, Continue; returns and exceptions are not counted."""


def rest_of(
    body: Block, statement: int, behind: bool, ids: Iterator[int], given: Collection[str] | None = None
) -> tuple[Block, dict[int, int]]:
    """What is left to do at, or behind, a statement.

    Parameters
    ----------
    body : Block
        The procedure's.
    statement : int
        An id in it.
    behind : bool
        Whether the statement itself has been done.
    ids : iterator of int
        Numbers for new statements and for copies of statements that also appear with their own number.
    given : collection of str, optional
        The locals that have a value; without it every local that is needed has one.

    Returns
    -------
    block, origin
        `origin` has the original's id for each copy.
    """
    resume = _Resume(statement, behind, ids, given)
    return resume.block(body), resume.origin


def ways(block: Block) -> Ways:
    """How control can leave a block."""
    found: Ways = frozenset()
    for statement in block:
        here = _ways_of(statement)
        found |= here - {None}
        if None not in here:
            return found
    return found | {None}


def _ways_of(statement: Statement) -> Ways:
    if isinstance(statement, If):
        return ways(statement.body) | ways(statement.orelse)
    if isinstance(statement, While | ForRange):
        left: Ways = frozenset({None} if Break in ways(statement.body) else ())
        endless = isinstance(statement, While) and isinstance(statement.condition, Constant)
        return left if endless and statement.condition.value else left | ways(statement.orelse)  # type: ignore[union-attr]
    if isinstance(statement, Break | Continue):
        return frozenset({type(statement)})
    return frozenset() if isinstance(statement, Return | Raise) else frozenset({None})


class _Resume:
    def __init__(self, target: int, behind: bool, ids: Iterator[int], given: Collection[str] | None) -> None:
        self.origin: dict[int, int] = {}
        self._target = target
        self._behind = behind
        self._ids = ids
        self._given = given

    def block(self, block: Block) -> Block:
        """The rest of a block that has the target somewhere in it."""
        for position, statement in enumerate(block):
            if statement.id == self._target:
                return block[position + self._behind :]
            if self._is_in((statement,)):
                inside = self._entered(statement)
                return inside + block[position + 1 :] if None in ways(inside) else inside
        raise KeyError(f"no statement {self._target} in this procedure")

    def _is_in(self, block: Block) -> bool:
        return any(each.id == self._target for each in walk(block))

    def _entered(self, statement: Statement) -> Block:
        assert isinstance(statement, If | While | ForRange)
        if self._is_in(statement.orelse):
            return self.block(statement.orelse)
        if isinstance(statement, If):
            return self.block(statement.body)
        return self._for(statement) if isinstance(statement, ForRange) else self._while(statement)

    def _for(self, loop: ForRange) -> Block:
        known = self._has(Local(loop.counter)) and self._has(loop.stop) and self._has(loop.step)
        repeats = bool(ways(loop.body) & {None, Continue})  # else the counter and the bounds may not be live
        if known and repeats and loop.body[0].id == self._target and not self._behind:
            begin = Assign(next(self._ids), loop.line, self._name(), Copy(Local(loop.counter)), INT)
            return (begin, replace(loop, start=Local(begin.target, INT)))
        following = Assign(next(self._ids), loop.line, self._name(), Binary("+", Local(loop.counter), loop.step), INT)
        lacking = Constant(f"the counter {loop.counter} and the bounds of the loop were not given", STRING)
        again: Block = (following, replace(loop, start=Local(following.target, INT)))
        stuck: Block = (Raise(next(self._ids), loop.line, "SystemError", (lacking,)),)
        return self._iteration(self.block(loop.body), again if known else stuck, loop)

    def _while(self, loop: While) -> Block:
        if not self._is_in(loop.test):
            return self._iteration(self.block(loop.body), (loop,), loop)
        test = self._copied(self.block(loop.test))
        taken = self._iteration(loop.body, (loop,), loop, copied=True)
        choice = If(next(self._ids), loop.line, loop.condition, taken, self._copied(loop.orelse))
        return (*test, choice)

    def _iteration(self, rest: Block, again: Block, loop: While | ForRange, copied: bool = False) -> Block:
        """The rest of an iteration, and the loop again unless the rest always leaves it."""
        leaving = ways(rest)
        if leaving <= {Break}:
            rest = self._copied(rest) if copied else rest
            return (While(next(self._ids), loop.line, (), TRUE, rest, ()),) if leaving else rest
        rest = self._copied(rest)
        if leaving == {None}:
            return rest + again
        # One trip: `continue` and the end lead to the `else` block, `break` past it, as they do in the loop itself.
        return (ForRange(next(self._ids), loop.line, self._name(), ZERO, ONE, ONE, rest, again),)

    def _copied(self, block: Block) -> Block:
        copies, origin = renumbered(block, self._ids)
        self.origin |= {new: self.origin.get(old, old) for new, old in origin.items()}
        return copies

    def _has(self, atom: Atom) -> bool:
        return self._given is None or isinstance(atom, Constant) or atom.name in self._given

    def _name(self) -> str:
        """A hidden local of no other procedure: the front end's have a digit or a dot behind what they are called."""
        return f"%resume{next(self._ids)}"
