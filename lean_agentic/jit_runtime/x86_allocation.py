"""Homes of a function's variables: the register or the frame slot that each has for the whole function.

In: `x86_facts.FunctionFacts`. Out: `Homes`. The variables used most get registers, weighted by loop depth; two share
a register when no block has both live. Variables live only within one block have no home. Temporaries take what
registers are left in each block.
"""

from __future__ import annotations

from lean_agentic.jit_runtime.x86_encoder import R8, R9, R10, R11, R12, R13, R14, RAX, RBP, RBX, RCX, RDI, RDX, RSI, XMM
from lean_agentic.jit_runtime.x86_facts import FunctionFacts

CALLEE_SAVED = (RBX, RBP, R12, R13, R14)
"""r15 always holds the context."""
CALLER_SAVED = (RAX, RCX, RDX, RSI, RDI, R8, R9, R10, R11)
TEMPORARY_REGISTERS = (R10, R11, RDX, RCX, RAX)
"""Integer registers that are never homes: as many as one instruction may need; the last is taken first."""
TEMPORARY_DOUBLES = tuple(range(XMM, XMM + 6))
CALLER_SAVED_HOMES = (R8, R9, RSI, RDI)
DOUBLE_HOMES = tuple(range(XMM + 15, XMM + 5, -1))
SLOT = 8
WORTH_SAVING = 2
"""Weight of the uses from which on a callee-saved register pays for being saved at the entry and restored."""


class Homes:
    """Where variables live, by key; `slots` are offsets from rsp."""

    def __init__(self, facts: FunctionFacts, first_slot: int) -> None:
        self.registers: dict[int, int] = {}
        self.slots: dict[int, int] = {}
        self.register_bits = 0
        self.by_bit: dict[int, tuple[int, int]] = {}
        """Bit of a variable that lives in a register -> key and register."""
        self.end = first_slot
        """Offset behind the last slot."""
        _assign(self, facts)
        self.saved = [each for each in CALLEE_SAVED if each in self.registers.values()]
        self.integers = (*self.saved, *CALLER_SAVED_HOMES, *TEMPORARY_REGISTERS)
        self.doubles = (*DOUBLE_HOMES, *TEMPORARY_DOUBLES[::-1])

    def new_slots(self, count: int) -> int:
        """Offset of new slots in a row."""
        self.end += SLOT * count
        return self.end - SLOT * count


def _assign(homes: Homes, facts: FunctionFacts) -> None:
    present = _presence(facts)
    # Variables (as bits) that live across each call, and its weight.
    calls = [
        (read | each.live_out & ~set_behind, each.weight)
        for each in facts.blocks for read, set_behind in each.calls
    ]  # fmt: skip
    taken: dict[int, int] = {}
    for key in sorted(present, key=facts.weights.__getitem__, reverse=True):
        blocks = present[key]
        bit = facts.bits[key]
        crossed = [weight for living, weight in calls if living & bit]
        for register in _candidates(facts.machines[key], facts.weights[key], crossed):
            if not taken.get(register, 0) & blocks:
                taken[register] = taken.get(register, 0) | blocks
                homes.registers[key] = register
                homes.register_bits |= bit
                homes.by_bit[bit] = (key, register)
                break
        else:
            homes.slots[key] = homes.new_slots(1)


def _candidates(machine: str, weight: int, crossed: list[int]) -> tuple[int, ...]:
    """Registers in the order in which to try them; `crossed` are the weights of calls across which the value lives."""
    # A caller-saved register is stored and loaded around each call.
    over_calls = weight > 2 * sum(crossed)
    if machine == "f":
        return DOUBLE_HOMES if over_calls else ()
    if not crossed:
        return CALLER_SAVED_HOMES + CALLEE_SAVED if weight > WORTH_SAVING else CALLER_SAVED_HOMES
    saved = CALLEE_SAVED if weight > WORTH_SAVING else ()
    return saved + CALLER_SAVED_HOMES if over_calls else saved


def _presence(facts: FunctionFacts) -> dict[int, int]:
    """Blocks (as bits) at whose entry or end each variable is live, for those that are live anywhere."""
    if not facts.bits:
        return {}
    masks = [each.live_in | each.live_out for each in facts.blocks]
    # Columns of the binary digits: one variable each, the one of the lowest bit last.
    width = len(facts.bits)
    columns = zip(*[f"{mask:0{width}b}" for mask in reversed(masks)], strict=True)
    found = {key: int("".join(column), 2) for key, column in zip(reversed(facts.bits), columns, strict=True)}
    return {key: blocks for key, blocks in found.items() if blocks}
