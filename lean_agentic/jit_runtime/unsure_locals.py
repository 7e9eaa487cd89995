"""Locals that may have no value at a place from which compiled code leaves.

In: a procedure, its survey and live masks. Out: their names. Such a local is checked before it is read, or it is live
only along a path that no run takes (behind a check that always fails, say); an exit must not look at its variables
then.
"""

from __future__ import annotations

from lean_agentic.jit_runtime.live_masks import ALL, LiveMasks
from lean_agentic.jit_runtime.survey import Survey
from lean_agentic.kernel.ir import (
    Assign,
    Block,
    Break,
    CheckBound,
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


def unsure_locals(procedure: Procedure, survey: Survey, live: LiveMasks) -> set[str]:
    """Locals that are live somewhere without having been assigned on all paths to there."""
    passed = _Pass(survey, live)
    parameters = sum(survey.bits[each.name] for each in procedure.parameters)
    passed.block(procedure.body, parameters)
    return survey.checked | {name for name, bit in survey.bits.items() if passed.unsure & bit}


class _Pass:
    """One pass forward. A loop's head is reached with what is assigned before it, whatever its body assigns."""

    def __init__(self, survey: Survey, live: LiveMasks) -> None:
        self.unsure = 0
        self._bits = survey.bits
        self._live = live
        self._breaks: list[int] = []
        """What is assigned on all paths to the end of each loop by a `break`."""

    def block(self, block: Block, sure: int) -> int:
        """What is assigned behind a block on all paths; `ALL` when there is none."""
        for statement in block:
            self.unsure |= self._live.before[statement.id] & ~sure
            sure = self._statement(statement, sure)
            self.unsure |= self._live.after[statement.id] & ~sure
        return sure

    def _statement(self, statement: Statement, sure: int) -> int:
        if isinstance(statement, Assign):
            return ALL if statement.type == NEVER else sure | self._bits[statement.target]
        if isinstance(statement, If):
            return self.block(statement.body, sure) & self.block(statement.orelse, sure)
        if isinstance(statement, While | ForRange):
            return self._loop(statement, sure)
        if isinstance(statement, CheckBound):
            return sure | self._bits[statement.name]
        if isinstance(statement, Break):
            self._breaks[-1] &= sure
        return ALL if isinstance(statement, Break | Continue | Return | Raise) else sure

    def _loop(self, statement: While | ForRange, sure: int) -> int:
        self._breaks.append(ALL)
        if isinstance(statement, ForRange):
            self.block(statement.body, sure | self._bits[statement.counter])
            endless = False
        else:
            sure = self.block(statement.test, sure)
            self.block(statement.body, sure)
            endless = isinstance(statement.condition, Constant) and bool(statement.condition.value)
        ended = self._breaks.pop()
        return ended & (ALL if endless else self.block(statement.orelse, sure))
