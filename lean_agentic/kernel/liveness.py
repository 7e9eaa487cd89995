"""Live locals: which values a run needs to go on from a statement.

Backward data flow over the structured IR. In: a procedure. Out: for every statement the names whose values may still
be read at its beginning and behind it: the state to capture when compiled code leaves, and to pass when it enters.
"""

from __future__ import annotations

from dataclasses import dataclass

from lean_agentic.kernel.ir import (
    Block,
    Break,
    CheckBound,
    Continue,
    ForRange,
    If,
    Local,
    Procedure,
    Raise,
    Return,
    Statement,
    While,
    atoms,
    definitions,
)

Names = frozenset[str]


@dataclass(frozen=True)
class Liveness:
    """Live names by statement id."""

    before: dict[int, Names]
    after: dict[int, Names]


@dataclass(frozen=True)
class _Targets:
    """Live names where `break` and `continue` lead."""

    leaving: Names = frozenset()
    repeating: Names = frozenset()


def liveness(procedure: Procedure) -> Liveness:
    """Live locals at every statement of a procedure.

    A name that a `check that x is bound` reads is live although it may have no value: pass it only when it has one.
    """
    found = Liveness({}, {})
    _block(procedure.body, frozenset(), _Targets(), found)
    return found


def _block(block: Block, after: Names, targets: _Targets, found: Liveness) -> Names:
    for statement in reversed(block):
        found.after[statement.id] = after
        after = _before(statement, after, targets, found)
        found.before[statement.id] = after
    return after


def _uses(statement: Statement) -> Names:
    names = frozenset(atom.name for atom in atoms(statement) if isinstance(atom, Local))
    return names | {statement.name} if isinstance(statement, CheckBound) else names


def _before(statement: Statement, after: Names, targets: _Targets, found: Liveness) -> Names:
    match statement:
        case If():
            branches = [_block(each, after, targets, found) for each in (statement.body, statement.orelse)]
            return branches[0] | branches[1] | _uses(statement)
        case While():
            return _while(statement, after, targets, found)
        case ForRange():
            return _for(statement, after, targets, found)
        case Break():
            return targets.leaving
        case Continue():
            return targets.repeating
        case Return() | Raise():
            return _uses(statement)
    return (after - definitions(statement).keys()) | _uses(statement)


def _while(statement: While, after: Names, targets: _Targets, found: Liveness) -> Names:
    orelse = _block(statement.orelse, after, targets, found)
    head: Names = frozenset()
    while True:
        body = _block(statement.body, head, _Targets(after, head), found)
        wider = _block(statement.test, body | orelse | _uses(statement), targets, found)
        if wider == head:
            return head
        head = wider


def _for(statement: ForRange, after: Names, targets: _Targets, found: Liveness) -> Names:
    orelse = _block(statement.orelse, after, targets, found)
    # The counter and the bounds are needed at the end of an iteration as well.
    state = _uses(statement) | {statement.counter}
    head = orelse | state
    while True:
        wider = head | _block(statement.body, head, _Targets(after, head), found)
        if wider == head:
            return (head - {statement.counter}) | _uses(statement)
        head = wider
