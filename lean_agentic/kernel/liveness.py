"""Live locals: which values a run needs to go on from a statement.

Backward data flow over the structured IR. In: a procedure. Out: for every statement the names whose values may still
be read at its beginning and behind it: the state to capture when compiled code leaves, and to pass when it enters.

Sets are ints with a bit for each name. What a block does to them has a closed form (`_Effect`), loops included, so one
pass up finds the effects and one pass down the sets; nothing is iterated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from lean_agentic.kernel.ir import (
    Assign,
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
)

Names = frozenset[str]


@dataclass(frozen=True)
class Liveness:
    """Live names by statement id."""

    before: Mapping[int, Names]
    after: Mapping[int, Names]


def liveness(procedure: Procedure) -> Liveness:
    """Live locals at every statement of a procedure.

    A name that a `check that x is bound` reads is live although it may have no value: pass it only when it has one.
    """
    found = LiveSets(procedure.body)
    return Liveness(_Named(found.before, found), _Named(found.after, found))


class _Effect(NamedTuple):
    """Live before = reads | after & passes | where `break` leads & leaves | where `continue` leads & repeats."""

    reads: int
    passes: int = 0
    leaves: int = 0
    repeats: int = 0

    def before(self, after: int, leaving: int, repeating: int) -> int:
        return self.reads | after & self.passes | leaving & self.leaves | repeating & self.repeats

    def then(self, later: _Effect) -> _Effect:
        """The effect of this and then the other."""
        return _Effect(
            self.reads | later.reads & self.passes, later.passes & self.passes,
            self.leaves | later.leaves & self.passes, self.repeats | later.repeats & self.passes,
        )  # fmt: skip

    def union(self, other: _Effect) -> _Effect:
        """The effect of either one."""
        return _Effect(*(ours | theirs for ours, theirs in zip(self, other, strict=True)))


_NOTHING = _Effect(0, -1)


class LiveSets:
    """Live locals of a body as bit sets, by statement id.

    `heads` has those where a loop's iterations begin, `touched` the locals that a loop reads or assigns, and `operands`
    those that a statement itself reads, in order.
    """

    def __init__(self, body: Block) -> None:
        self.operands: dict[int, tuple[str, ...]] = {}
        self.before: dict[int, int] = {}
        self.after: dict[int, int] = {}
        self.heads: dict[int, int] = {}
        self.touched: dict[int, int] = {}
        self._bits: dict[str, int] = {}
        self._effects: dict[int, _Effect] = {}
        self._inner: dict[int, tuple[_Effect, ...]] = {}
        self._tested: dict[int, int] = {}
        self._seen = 0
        self._decoded: dict[int, Names] = {}
        self._effect(body)
        self._list = list(self._bits)
        self._record(body, 0, 0, 0)

    def names(self, bits: int) -> Names:
        """The names of a set."""
        found = self._decoded.get(bits)
        if found is None:
            found = frozenset([name for place, name in enumerate(self._list) if bits >> place & 1])
            self._decoded[bits] = found
        return found

    def bit(self, name: str) -> int:
        """The set of one name."""
        bit = self._bits.setdefault(name, 1 << len(self._bits))
        self._seen |= bit
        return bit

    def _reads(self, statement: Statement) -> int:
        names = self.operands[statement.id] = tuple([each.name for each in atoms(statement) if type(each) is Local])
        bits = 0
        for name in names:
            bits |= self.bit(name)
        return bits

    # Up: what blocks do to live sets

    def _effect(self, block: Block) -> _Effect:
        found = _NOTHING
        for statement in reversed(block):
            found = self._effect_of(statement).then(found)
        return found

    def _effect_of(self, statement: Statement) -> _Effect:
        kind = type(statement)
        if isinstance(statement, If):
            found = self._either(statement)
        elif isinstance(statement, While | ForRange):
            outer, self._seen = self._seen, 0
            found = self._while(statement) if isinstance(statement, While) else self._for(statement)
            self.touched[statement.id] = self._seen
            self._seen |= outer
        elif kind is Break or kind is Continue:
            self.operands[statement.id] = ()
            found = _Effect(0, 0, -1, 0) if kind is Break else _Effect(0, 0, 0, -1)
        elif isinstance(statement, Assign):
            found = _Effect(self._reads(statement), ~self.bit(statement.target))
        elif isinstance(statement, CheckBound):
            self.operands[statement.id] = ()
            found = _Effect(self.bit(statement.name), -1)
        else:
            found = _Effect(self._reads(statement), 0 if kind is Return or kind is Raise else -1)
        self._effects[statement.id] = found
        return found

    def _either(self, statement: If) -> _Effect:
        return self._effect(statement.body).union(self._effect(statement.orelse)).union(_Effect(self._reads(statement)))

    def _while(self, statement: While) -> _Effect:
        test, body, orelse = map(self._effect, (statement.test, statement.body, statement.orelse))
        self._inner[statement.id] = (test, body, orelse)
        self._tested[statement.id] = self._reads(statement)
        # What passes from the end of the body to the head again adds nothing to the head.
        once = _Effect(body.reads | self._tested[statement.id], body.leaves)
        return test.then(once.union(orelse))

    def _for(self, statement: ForRange) -> _Effect:
        body, orelse = self._effect(statement.body), self._effect(statement.orelse)
        counter, reads = self.bit(statement.counter), self._reads(statement)
        # The counter and the bounds are needed at the end of an iteration as well.
        head = _Effect(body.reads | counter | reads, body.leaves).union(orelse)
        self._inner[statement.id] = (head,)
        return _Effect(reads, ~counter).then(head)

    # Down: the sets themselves

    def _record(self, block: Block, after: int, leaving: int, repeating: int) -> None:
        for statement in reversed(block):
            number = statement.id
            before = self._effects[number].before(after, leaving, repeating)
            self.after[number], self.before[number] = after, before
            if isinstance(statement, If):
                self._record(statement.body, after, leaving, repeating)
                self._record(statement.orelse, after, leaving, repeating)
            elif isinstance(statement, While):
                self.heads[number] = before
                _, body, orelse = self._inner[number]
                tested = body.before(before, after, before) | orelse.before(after, leaving, repeating)
                self._record(statement.test, tested | self._tested[number], leaving, repeating)
                self._record(statement.body, before, after, before)
                self._record(statement.orelse, after, leaving, repeating)
            elif isinstance(statement, ForRange):
                head = self.heads[number] = self._inner[number][0].before(after, leaving, repeating)
                self._record(statement.body, head, after, head)
                self._record(statement.orelse, after, leaving, repeating)
            after = before


class _Named(Mapping[int, Names]):
    """Bit sets by statement id, read as names."""

    def __init__(self, bits: dict[int, int], sets: LiveSets) -> None:
        self._bits = bits
        self._sets = sets

    def __getitem__(self, statement: int) -> Names:
        return self._sets.names(self._bits[statement])

    def __iter__(self) -> Iterator[int]:
        return iter(self._bits)

    def __len__(self) -> int:
        return len(self._bits)
