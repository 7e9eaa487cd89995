"""Where each value of the block at hand is, and which registers are free.

In: requests of the emitting modules for registers. Out: register numbers, and the moves that this takes. There is no
list of deaths: registers of dead values are found when none is free.

Value keys: `n >= 0` temporary n, `~n` what variable n holds at the block's entry, from `SET_AT` on what a `set` made.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lean_agentic.jit_runtime.lir import Instruction, Temporary
from lean_agentic.jit_runtime.x86_allocation import SLOT, Homes
from lean_agentic.jit_runtime.x86_encoder import FRAME_STORE, MOVE, XMM
from lean_agentic.jit_runtime.x86_facts import ALWAYS, NOTHING, BlockFacts, FunctionFacts
from lean_agentic.jit_runtime.x86_unit import UnitCode

SET_AT = 1 << 40
SCRATCH = 1 << 50
"""From here on: values that only the instruction at a position needs."""
NAMED = -(1 << 41)
"""Keys up to this are those of constants that only the present instruction needs."""
TRUTH = frozenset(("icmp", "fcmp", "band", "bor", "bnot", "itob", "btoi"))
ADDRESSES: set[Any] = set()
"""Functions of noted values whose operands become part of an instruction; `x86_memory` enters its own."""


class BlockValues:
    """The present block's values."""

    # Many attributes, read often: a dict of them would be slower.
    __slots__ = (
        *("_pools", "alias", "bits", "block", "code", "computing", "const", "constants", "current", "deferred"),
        *("displaced", "facts", "free", "free_doubles", "hints", "holds", "homes", "instruction", "last"),
        *("live_out", "mem", "pool", "pool_doubles", "position", "registers", "reserved", "spare", "spill"),
        *("spill_end", "spills", "unit", "where"),
    )

    def __init__(self, unit: UnitCode, facts: FunctionFacts, homes: Homes, spills: int) -> None:
        self.unit = unit
        self.code = unit.code
        self.facts = facts
        self.homes = homes
        self.registers = homes.registers
        self.bits = facts.bits
        self.spills = self.spill = self.spill_end = spills
        """Offset of the places for values of one block, of the next such place, and behind the last one ever used."""
        self.position = 0
        self.instruction: Instruction = NOTHING
        self.constants: list[int] = []
        """Registers with constants that only a noted value under computation needs."""
        self.computing: list[tuple[tuple[Any, ...], int]] = []
        """Noted values that are being computed, with the register they go to or -1."""
        self._pools: dict[int, tuple[tuple[int, ...], tuple[int, ...]]] = {}

    def begin_block(self, block: BlockFacts) -> None:
        """Start with every live variable in its home."""
        homes = self.homes
        self.block = block
        self.last = block.last
        self.hints = block.hints
        self.live_out = live_out = block.live_out
        self.position = 0
        self.spill = self.spills
        self.alias: dict[int, int] = {}
        """Keys of temporaries that are names of other values."""
        self.current: dict[int, int] = {}
        """Keys of the values of variables that were set in this block."""
        self.const: dict[int, Any] = {}
        self.deferred: dict[int, tuple[Any, ...]] = {}
        """Values that are only noted: the function that computes one into a register, and its operands."""
        self.mem = dict(homes.slots)
        """Offset in the frame of each value that is there."""
        self.where: dict[int, int] = {}
        """Register of each value that is in one; stale for dead values, `holds` tells."""
        self.holds: list[int | None] = [None] * 32
        self.displaced = 0
        """Variables, as bits, whose value is not in their home."""
        self.spare: dict[int, int] = {}
        """Second register of a value that is the content of two variables."""
        live_in = block.live_in
        present = (live_in | live_out) & homes.register_bits
        reserved = taken = 0
        while present:
            bit = present & -present
            present ^= bit
            key, register = homes.by_bit[bit]
            if live_out & bit:
                reserved |= 1 << register
            if live_in & bit:
                self.where[key] = register
                self.holds[register] = key
                taken |= 1 << register
        self.reserved = reserved
        """Registers, as bits, that are the home of a variable needed behind the block."""
        self.pool, self.pool_doubles = self._without(reserved)
        free, free_doubles = self._without(reserved | taken)
        self.free = list(free)
        self.free_doubles = list(free_doubles)

    def _without(self, mask: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Integer and double registers that are not in a mask."""
        found = self._pools.get(mask)
        if found is None:
            homes = self.homes
            found = self._pools[mask] = (
                tuple([each for each in homes.integers if not mask >> each & 1]),
                tuple([each for each in homes.doubles if not mask >> each & 1]),
            )
        return found

    def key_of(self, operand: Temporary) -> int:
        """Key of an operand's value."""
        key = operand[0]
        return self.alias.get(key, key)

    def take(self, key: int) -> int:
        """A free integer register, for a value."""
        register = self.free.pop() if self.free else self.find(self.free, self.pool)
        self.holds[register] = key
        self.where[key] = register
        return register

    def take_double(self, key: int) -> int:
        """A free double register, for a value."""
        register = self.free_doubles.pop() if self.free_doubles else self.find(self.free_doubles, self.pool_doubles)
        self.holds[register] = key
        self.where[key] = register
        return register

    def scratch_key(self) -> int:
        """Key of values that only the present instruction needs."""
        key = SCRATCH + self.position
        self.last[key] = self.position
        return key

    def release_constants(self) -> None:
        """A noted value is computed; the constants are not needed any more."""
        for register in self.constants:
            self.holds[register] = None
            self.free.append(register)
        self.constants.clear()

    def scratch(self) -> int:
        """An integer register for the present instruction only."""
        return self.take(self.scratch_key())

    def scratch_double(self) -> int:
        """A double register for the present instruction only."""
        return self.take_double(self.scratch_key())

    def choose(self, key: int, reuse: int, free: list[int], pool: tuple[int, ...]) -> int:
        """A register for a result, not yet bound to it.

        A variable's own register if the result becomes its value; else `reuse`, a register of an operand, if that is
        not needed any more; else a free one. The first two may be operands. `reuse` -1: neither may be overwritten by
        the instruction while it still needs its operands.
        """
        last, holds = self.last, self.holds
        limit = self.position if reuse >= 0 else self.position - 1
        hint = self.hints.get(key)
        if hint is not None:
            register = self.registers.get(hint)
            if register is not None and self.live_out & self.bits[hint]:
                occupant = holds[register]
                if occupant is None or last.get(occupant, -1) <= limit:
                    return register
        if reuse >= 0 and not self.reserved >> reuse & 1:
            occupant = holds[reuse]
            if occupant is not None and last.get(occupant, -1) <= limit:
                return reuse
        return free.pop() if free else self.find(free, pool)

    def bind(self, key: int, register: int) -> None:
        """A register now holds a value."""
        self.holds[register] = key
        self.where[key] = register

    def result(self, target: Temporary, reuse: int) -> int:
        """An integer register for a result; see `choose`."""
        key = target[0]
        register = self.choose(key, reuse, self.free, self.pool)
        self.holds[register] = key
        self.where[key] = register
        return register

    def result_double(self, target: Temporary, reuse: int) -> int:
        """A double register for a result; see `choose`."""
        key = target[0]
        register = self.choose(key, reuse, self.free_doubles, self.pool_doubles)
        self.holds[register] = key
        self.where[key] = register
        return register

    def find(self, free: list[int], pool: tuple[int, ...]) -> int:
        """A register when none is known to be free."""
        last, holds, position = self.last, self.holds, self.position
        for register in pool:
            key = holds[register]
            if key is None or last.get(key, -1) < position:
                holds[register] = None
                free.append(register)
        return free.pop() if free else self.evict(pool)

    def evict(self, pool: tuple[int, ...]) -> int:
        """Send the value that is needed last to the frame; if none may go, the value of a variable."""
        homes = self.homes.doubles if pool[0] >= XMM else self.homes.integers
        for registers in (pool, [each for each in homes if each not in pool]):
            candidates = self.evictable(registers)
            if candidates:
                register = max(candidates, key=lambda each: self.last.get(self.holds[each], ALWAYS))  # type: ignore[arg-type]
                self.leave_register(register)
                self.find_displaced()
                return register
        raise RuntimeError(f"{self.instruction[0]} needs more registers than there are; expected at most {len(homes)}")

    def evictable(self, registers: Iterable[int]) -> list[int]:
        """Registers with a value that the present instruction does not need there."""
        busy = self.busy()
        targets = [register for _, register in self.computing]
        return [
            each for each in registers
            if (key := self.holds[each]) not in busy and NAMED < key < SCRATCH and each not in targets  # type: ignore[operator]
        ]  # fmt: skip

    def find_displaced(self) -> None:
        """Find the variables that were driven out of their registers."""
        where, current = self.where, self.current
        live = (self.block.live_in | self.live_out) & self.homes.register_bits
        while live:
            bit = live & -live
            live ^= bit
            key, register = self.homes.by_bit[bit]
            value = current.get(key, key)
            if where.get(value) != register:
                self.displaced |= bit
                if self.live_out & bit:  # The block's end brings it back.
                    self.extend(value, ALWAYS)

    def extend(self, key: int, position: int) -> None:
        """Let a value live at least until a position."""
        if self.last.get(key, -1) < position:
            self.last[key] = position
        # Not to be shortened any more to what the variable needs.
        self.block.reads.pop(key, None)

    def busy(self) -> set[int | None]:
        """Keys that the present instruction needs in registers, or will."""
        found: set[int | None] = {None}
        # Operands in tuples (arguments, results) are taken from wherever they are, those of truth values one by one.
        for operand in () if self.computing and self.instruction[0] in TRUTH else self.instruction:
            if operand.__class__ is Temporary:
                key = self.key_of(operand)
                found.update((operand[0], key))
                noted = self.deferred.get(key)
                if noted is not None and noted[0] in ADDRESSES:
                    self.collect(noted, found)
        if self.computing:
            self.collect(self.computing[-1][0], found)
        return found

    def collect(self, operands: tuple[Any, ...], found: set[int | None]) -> None:
        """Add the keys of operands."""
        found.update([self.key_of(each) for each in operands if each.__class__ is Temporary])

    def leave_register(self, register: int) -> None:
        """Keep a register's value elsewhere."""
        key = self.holds[register]
        assert key is not None
        if key not in self.mem and key not in self.const:
            self.code += FRAME_STORE[register, self.new_spill(key)]
        self.vacate(register, key)

    def new_spill(self, key: int) -> int:
        """Offset of a new place for a value; blocks use the same places."""
        offset = self.mem[key] = self.spill
        self.spill += SLOT
        if self.spill > self.spill_end:
            self.spill_end = self.spill
        return offset

    def vacate(self, register: int, key: int) -> None:
        """A register no longer holds a value."""
        self.holds[register] = None
        if self.where.get(key) == register:
            del self.where[key]
        if key not in self.current and self.registers.get(key) == register:
            self.displaced |= self.bits[key]

    def move_away(self, register: int) -> None:
        """Free a register for something else by moving its value to another one, if the value is still needed."""
        key = self.holds[register]
        if key is None or self.last.get(key, -1) < self.position:
            return
        self.holds[register] = self.scratch_key()
        if key in self.spare:
            self.where[key] = self.spare.pop(key)
            return
        other = self.take_double(key) if register >= XMM else self.take(key)
        self.code += MOVE[other, register]

    def clear(self, register: int) -> None:
        """Free a register that is never a home, for the present instruction."""
        if register in self.free:
            self.free.remove(register)
        else:
            self.move_away(register)
        self.holds[register] = self.scratch_key()
