"""The function under construction: operands in registers, labels, and the state that exits take.

In: requests of the `x86_*` operation modules. Out: code in the unit, and lists of what the function's end needs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lean_agentic.jit_runtime.lir import Exit, Instruction, Operand, Temporary, Variable
from lean_agentic.jit_runtime.x86_allocation import SLOT, Homes
from lean_agentic.jit_runtime.x86_encoder import (
    FLOAT,
    FLOAT_POOL,
    FRAME_LOAD,
    FXOR,
    LOAD_DOUBLE,
    MOVE_IMMEDIATE,
    XMM,
    move_immediate,
)
from lean_agentic.jit_runtime.x86_facts import ExitFacts, FunctionFacts
from lean_agentic.jit_runtime.x86_unit import UnitCode, as_float, bits_of
from lean_agentic.jit_runtime.x86_values import BlockValues

IN_FRAME = 34
"""Places of values: registers have their numbers, frame slots those from here on (`x86_exits` uses them)."""


class FunctionState(BlockValues):
    """The function under construction."""

    __slots__ = (
        *("_home_places", "_next_label", "answer", "behind_list", "eager", "exits", "fixups", "following"),
        *("frame_ends", "frame_uses", "is_entry", "labels", "out_pointer", "poll_list", "scratch_next"),
        *("stub_list", "stubs"),
    )

    def __init__(self, unit: UnitCode, facts: FunctionFacts, homes: Homes, is_entry: bool) -> None:
        self.out_pointer = homes.end
        """Offset of the entry's third argument."""
        self.scratch_next = self.out_pointer + SLOT
        super().__init__(unit, facts, homes, self.scratch_next + SLOT * facts.scratch_slots)
        self.exits = facts.exits
        self.eager = facts.eager
        self.is_entry = is_entry
        self.answer = SLOT * facts.passed_slots
        """Offset of the slots for results that exits give."""
        self.labels: dict[int, int] = {}
        self.fixups: list[tuple[int, int]] = []
        """Position behind a relative address, label."""
        self.frame_uses: list[int] = []
        """Positions of displacements to which the size of the whole frame is added."""
        self.frame_ends: list[int] = []
        """Positions of immediates that become the size of the frame."""
        self.following = 0
        """Label of the next block in the text."""
        self.stubs: dict[Any, int] = {}
        self.stub_list: list[tuple[int, Exit, tuple[int, ...], bytes]] = []
        """Label, exit, locations, code that restores the state."""
        self.poll_list: list[tuple[int, Exit, tuple[int, ...], int]] = []
        """Label, exit, locations, label to go on at."""
        self.behind_list: list[tuple[int, Exit | None, tuple[int, ...], bool]] = []
        """Label, exit, locations: where calls and asks do not return normally."""
        self._next_label = -1
        self._home_places: dict[int, int] = {}

    def new_label(self) -> int:
        """A label that is not a block's."""
        self._next_label -= 1
        return self._next_label

    # -- operands ------------------------------------------------------------------------------------------------------

    def integer(self, operand: Operand) -> int:
        """A register that holds an integer, an address or a truth value."""
        if operand.__class__ is Temporary:
            key: int = operand[0]
            key = self.alias.get(key, key)
            register = self.where.get(key)
            return self.load(key) if register is None else register
        register = self.take(self.scratch_key())
        if self.computing:
            self.constants.append(register)
        self.code += MOVE_IMMEDIATE[register, bits_of(operand)]  # type: ignore[arg-type]
        return register

    def double(self, operand: Operand) -> int:
        """A register that holds a double."""
        if operand.__class__ is Temporary:
            key: int = operand[0]
            key = self.alias.get(key, key)
            register = self.where.get(key)
            return self.load_double(key) if register is None else register
        register = self.take_double(self.scratch_key())
        self.load_constant(register, operand)  # type: ignore[arg-type]
        return register

    def only_in_frame(self, key: int) -> int | None:
        """Offset of a value that an instruction best takes from the frame: it is there and is not needed again."""
        if key in self.where or key in self.registers:
            return None
        last = self.block.reads.get(key)
        if (self.last.get(key, -1) if last is None else last) > self.position:
            return None
        return self.mem.get(key)

    def dies(self, register: int) -> bool:
        """Whether the present instruction may overwrite an operand's register."""
        key = self.holds[register]
        return not self.reserved >> register & 1 and key is not None and self.last.get(key, -1) <= self.position

    def load(self, key: int) -> int:
        """Bring an integer into a register."""
        register = self.home_again(key)
        if register is None:
            register = self.take(key)
        self.fill(register, key)
        self.where[key] = register
        if key in self.block.reads and key in self.mem:
            self.last[key] = self.block.reads[key]
        return register

    def load_double(self, key: int) -> int:
        """Bring a double into a register."""
        register = self.home_again(key)
        if register is None:
            register = self.take_double(key)
        self.fill(register, key)
        self.where[key] = register
        if key in self.block.reads and key in self.mem:
            self.last[key] = self.block.reads[key]
        return register

    def home_again(self, key: int) -> int | None:
        """The register of a variable whose value a call drove out of it."""
        register = self.registers.get(key)
        if register is None or not self.live_out & self.bits[key] or self.holds[register] not in (None, key):
            return None
        self.holds[register] = key
        if key not in self.current:
            self.displaced &= ~self.bits[key]
        return register

    def fill(self, register: int, key: int) -> None:
        """Load a value that is in no register."""
        offset = self.mem.get(key)
        if offset is not None:
            self.code += FRAME_LOAD[register, offset]
        elif key in self.const:
            self.load_constant(register, self.const[key])
        else:
            noted = self.deferred[key]
            self.computing.append((noted, register))
            noted[0](self, register, noted)
            self.computing.pop()

    def load_constant(self, register: int, value: float | int | None) -> None:
        """Load a constant; leaves the flags alone."""
        if register < XMM:
            self.code += move_immediate(register, bits_of(value))
            return
        bits = bits_of(as_float(value))
        if bits == 0:
            self.code += FLOAT[FXOR, register, register, register]
        else:
            self.code += FLOAT_POOL[LOAD_DOUBLE, register, 0]
            self.unit.constant(bits)

    # -- exits ---------------------------------------------------------------------------------------------------------

    def location(self, key: int) -> int:
        """Where a value is."""
        # The frame first: a value there may have left its register without a word.
        offset = self.mem.get(key)
        if offset is not None:
            return IN_FRAME + offset // SLOT
        register = self.where.get(key)
        return self.constant_location(self.const[key]) if register is None else register

    def constant_location(self, value: Any) -> int:
        """Where the pool has a constant."""
        return ~self.unit.pool_place(bits_of(value))

    def locations(self, leave: Exit) -> tuple[int, ...]:
        """Where the values of an exit are now."""
        facts = self.exits[id(leave.values)]
        places = facts.places or self.home_locations(leave, facts)
        moved = self.displaced & facts.mask
        if not moved and not facts.temporaries:
            return places
        found = list(places)
        alias = self.alias
        for k, key in facts.temporaries:
            found[k] = self.location(alias.get(key, key))
        if moved:
            current, bits = self.current, self.bits
            for k, key in facts.variables:
                if bits[key] & moved:
                    found[k] = self.location(current.get(key, key))
        return tuple(found)

    def home_locations(self, leave: Exit, facts: ExitFacts) -> tuple[int, ...]:
        """Where the values of an exit are when all variables are in their homes; temporaries are left out."""
        places = self._home_places
        if not places:
            places.update({key: IN_FRAME + offset // SLOT for key, offset in self.homes.slots.items()})
            places.update(self.registers)
        found = [0] * len(leave.values)
        for k, value in enumerate(leave.values):
            if value.__class__ is Variable:
                # Variables that live only within one block have no home.
                found[k] = places.get(~value[0], 0)
            elif value.__class__ is not Temporary:
                found[k] = self.constant_location(value)
        facts.places = tuple(found)
        return facts.places

    def stub(self, leave: Exit, undo: bytes = b"") -> int:
        """Label of the code that takes an exit from the present state."""
        locations = self.locations(leave)
        key = (leave.number, undo, locations)
        label = self.stubs.get(key)
        if label is None:
            label = self.stubs[key] = self.new_label()
            self.stub_list.append((label, leave, locations, undo))
        return label


State = FunctionState
Handler = Callable[[FunctionState, Instruction], None]
