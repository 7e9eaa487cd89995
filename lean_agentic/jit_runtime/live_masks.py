"""Live locals as sets of bits, in time linear in the size of a procedure.

In: a procedure and its survey. Out: the masks that `kernel.liveness` gives as names. The first pass sums up each block:
what it reads before assigning, and what it surely assigns on its way to each of its ends (Kildall's gen and kill, POPL
1973, on the structured form). With that the second pass knows what is live at a loop's head before it goes in.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from lean_agentic.jit_runtime.survey import Survey
from lean_agentic.kernel.ir import (
    Assign,
    Block,
    Break,
    Constant,
    Continue,
    ForRange,
    If,
    Procedure,
    Raise,
    Return,
    Statement,
    While,
)
from lean_agentic.kernel.types import NEVER

ALL = -1
"""Every bit: what is assigned on a path that does not exist."""


class Sum(NamedTuple):
    """What a piece of code does to locals."""

    reads: int
    """Read before any assignment."""
    through: int
    """Assigned on every path to its end."""
    breaking: int
    """Assigned on every path to a `break` of a loop around it."""
    continuing: int


NOTHING = Sum(0, 0, ALL, ALL)


@dataclass(eq=False)
class LiveMasks:
    """Bits of the live locals by statement id."""

    before: dict[int, int] = field(default_factory=dict)
    after: dict[int, int] = field(default_factory=dict)


def live_masks(procedure: Procedure, survey: Survey) -> LiveMasks:
    """Live locals at every statement of a procedure."""
    return _Passes(survey).run(procedure.body)


class _Passes:
    def __init__(self, survey: Survey) -> None:
        self._survey = survey
        self._bits = survey.bits
        self._reads = survey.reads
        self._sums: dict[int, Sum] = {}
        """Of each statement with blocks."""
        self._bodies: dict[int, Sum] = {}
        """Of the body of each loop."""
        self._live = LiveMasks()

    def run(self, body: Block) -> LiveMasks:
        self._sum(body)
        self._block(body, 0, 0, 0)
        return self._live

    # -- first pass ----------------------------------------------------------------------------------------------------

    def _sum(self, block: Block) -> Sum:
        reads, through, breaking, continuing = NOTHING
        for statement in reversed(block):
            kind = type(statement)
            if isinstance(statement, Assign) and statement.type != NEVER:
                assigned = self._bits[statement.target]
                reads = (reads & ~assigned) | self._reads[statement.id]
                through, breaking, continuing = through | assigned, breaking | assigned, continuing | assigned
            elif kind in JUMPS or kind is Assign:
                reads, through, breaking, continuing = self._reads[statement.id], *JUMPS.get(kind, RAISES)
            elif kind in (If, While, ForRange):
                one = self._sums[statement.id] = self._sum_of(statement)
                reads = one.reads | (reads & ~one.through)
                breaking = one.breaking & (one.through | breaking)
                continuing = one.continuing & (one.through | continuing)
                through |= one.through
            else:
                reads |= self._reads[statement.id]
        return Sum(reads, through, breaking, continuing)

    def _sum_of(self, statement: Statement) -> Sum:
        reads = self._reads[statement.id]
        if isinstance(statement, If):
            one, other = self._sum(statement.body), self._sum(statement.orelse)
            return Sum(
                reads | one.reads | other.reads,
                one.through & other.through, one.breaking & other.breaking, one.continuing & other.continuing,
            )  # fmt: skip
        if isinstance(statement, While):
            return self._sum_of_while(statement, reads)
        assert isinstance(statement, ForRange)
        body, orelse = self._sum(statement.body), self._sum(statement.orelse)
        self._bodies[statement.id] = body
        counter = self._bits[statement.counter]
        return Sum(
            reads | ((body.reads | orelse.reads) & ~counter),
            body.breaking & orelse.through, orelse.breaking, orelse.continuing,
        )  # fmt: skip

    def _sum_of_while(self, statement: While, reads: int) -> Sum:
        test, body, orelse = self._sum(statement.test), self._sum(statement.body), self._sum(statement.orelse)
        endless = isinstance(statement.condition, Constant) and bool(statement.condition.value)
        self._bodies[statement.id] = body
        end = Sum(0, ALL, ALL, ALL) if endless else orelse
        return Sum(
            test.reads | ((reads | body.reads | end.reads) & ~test.through),
            test.through | (body.breaking & end.through),
            test.through | end.breaking,
            test.through | end.continuing,
        )

    # -- second pass ---------------------------------------------------------------------------------------------------

    def _block(self, block: Block, after: int, leaving: int, repeating: int) -> int:
        before, behind, reads, bits = self._live.before, self._live.after, self._reads, self._bits
        for statement in reversed(block):
            number = statement.id
            behind[number] = after
            kind = type(statement)
            if isinstance(statement, Assign) and statement.type != NEVER:
                after = (after & ~bits[statement.target]) | reads[number]
            elif isinstance(statement, If):
                one = self._block(statement.body, after, leaving, repeating)
                after = one | self._block(statement.orelse, after, leaving, repeating) | reads[number]
            elif isinstance(statement, While | ForRange):
                after = self._loop(statement, after, leaving, repeating)
            elif kind in JUMPS or kind is Assign:
                if kind is Assign:
                    behind[number] = 0  # it always raises
                after = leaving if kind is Break else repeating if kind is Continue else reads[number]
            else:
                after |= reads[number]
            before[number] = after
        return after

    def _loop(self, statement: Statement, after: int, leaving: int, repeating: int) -> int:
        reads = self._reads[statement.id]
        body = self._bodies[statement.id]
        if isinstance(statement, While):
            head = self._head(statement, after, leaving, repeating)
            orelse = self._block(statement.orelse, after, leaving, repeating)
            if isinstance(statement.condition, Constant) and statement.condition.value:
                orelse = 0
            inside = self._block(statement.body, head, after, head)
            return self._block(statement.test, inside | orelse | reads, leaving, repeating)
        assert isinstance(statement, ForRange)
        counter = self._bits[statement.counter]
        orelse = self._block(statement.orelse, after, leaving, repeating)
        # The counter and the bounds are needed at the end of an iteration as well.
        head = orelse | reads | counter | body.reads | (after & ~body.breaking)
        self._block(statement.body, head, after, head)
        return (head & ~counter) | reads

    def _head(self, statement: While, after: int, leaving: int, repeating: int) -> int:
        """What is live at the head of a loop: what its sum says of the ways in and out."""
        one = self._sums[statement.id]
        live = one.reads | (after & ~one.through)
        return live | (leaving & ~one.breaking) | (repeating & ~one.continuing)


RAISES = (ALL, ALL, ALL)
JUMPS: dict[type[Statement], tuple[int, int, int]] = {
    Break: (ALL, 0, ALL), Continue: (ALL, ALL, 0), Return: RAISES, Raise: RAISES,
}  # fmt: skip
