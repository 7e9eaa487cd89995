"""Integer division: by constants with a multiplication, else with the instruction.

Source of the multiplications: Granlund and Montgomery, Division by Invariant Integers using Multiplication (PLDI 1994);
Warren, Hacker's Delight, chapter 10.
"""

from __future__ import annotations

from functools import cache

from lean_agentic.jit_runtime.lir import Instruction, Operand
from lean_agentic.jit_runtime.x86_conditions import into, known
from lean_agentic.jit_runtime.x86_encoder import (
    ADD,
    ALU,
    CQO,
    DIV,
    GROUP3,
    IDIV,
    IMUL_WIDE,
    MOVE,
    MOVE_IMMEDIATE,
    MULTIPLY,
    MULTIPLY_HIGH,
    MULTIPLY_IMMEDIATE,
    RAX,
    RDX,
    SAR,
    SHIFT_IMMEDIATE,
    SHR,
    SUB,
    XOR,
)
from lean_agentic.jit_runtime.x86_state import Handler, State
from lean_agentic.jit_runtime.x86_unit import bits_of

WORD = 2**64


@cache
def unsigned_magic(divisor: int) -> tuple[int, int, bool]:
    """Multiplier, shift, and whether the multiplier has a 65th bit, for the quotient by a divisor above 1."""
    length = (divisor - 1).bit_length()
    for shift in range(length + 1):
        multiplier = -(-(WORD << shift) // divisor)
        if multiplier < WORD and multiplier * divisor - (WORD << shift) <= 1 << shift:
            return multiplier, shift, False
    return WORD * (2**length - divisor) // divisor + 1, length - 1, True


@cache
def signed_magic(divisor: int) -> tuple[int, int]:
    """Multiplier (signed, 64 bits) and shift for the truncated quotient by a divisor other than -1, 0, 1."""
    size = abs(divisor)
    largest = 2**63 + (divisor < 0)
    critical = largest - 1 - largest % size
    power = 64
    while 2**power <= critical * (size - 2**power % size):
        power += 1
    multiplier = (2**power + size - 2**power % size) // size
    multiplier = multiplier if divisor > 0 else -multiplier
    return (multiplier + WORD // 2) % WORD - WORD // 2, power - 64


def _divide(s: State, instruction: Instruction) -> None:
    operation, target, a, b = instruction
    s.clear(RAX)
    s.clear(RDX)
    is_constant, value = known(s, b)
    divisor = bits_of(value) if is_constant else 0
    if operation[0] == "u":
        divisor %= WORD
    if abs(divisor) > 1:
        quotient = _signed_quotient(s, a, divisor) if operation[0] == "s" else _unsigned_quotient(s, a, divisor)
        s.bind(target[0], quotient if operation.endswith("div") else _remainder(s, a, quotient, divisor))
        return
    register = s.integer(b)
    into(s, RAX, a)
    if operation[0] == "s":
        s.code += CQO + GROUP3[IDIV, register]
    else:
        s.code += ALU[XOR, RDX, RDX] + GROUP3[DIV, register]
    s.bind(target[0], RAX if operation.endswith("div") else RDX)


def _unsigned_quotient(s: State, a: Operand, divisor: int) -> int:
    source = s.integer(a)
    multiplier, shift, is_wide = unsigned_magic(divisor)
    s.code += MOVE_IMMEDIATE[RDX, multiplier] + MULTIPLY_HIGH[RAX, source]
    if is_wide:
        s.code += MOVE[RDX, source] + ALU[SUB, RDX, RAX] + SHIFT_IMMEDIATE[SHR, RDX, 1] + ALU[ADD, RAX, RDX]
    if shift:
        s.code += SHIFT_IMMEDIATE[SHR, RAX, shift]
    return RAX


def _signed_quotient(s: State, a: Operand, divisor: int) -> int:
    source = s.integer(a)
    multiplier, shift = signed_magic(divisor)
    s.code += MOVE_IMMEDIATE[RAX, multiplier] + GROUP3[IMUL_WIDE, source]
    if (multiplier < 0) != (divisor < 0):
        s.code += ALU[ADD if divisor > 0 else SUB, RDX, source]
    if shift:
        s.code += SHIFT_IMMEDIATE[SAR, RDX, shift]
    s.code += MOVE[RAX, RDX] + SHIFT_IMMEDIATE[SHR, RAX, 63] + ALU[ADD, RAX, RDX]
    return RAX


def _remainder(s: State, a: Operand, quotient: int, divisor: int) -> int:
    """The dividend less the quotient's multiple of the divisor."""
    if -(2**31) <= divisor < 2**31:
        s.code += MULTIPLY_IMMEDIATE[quotient, quotient, divisor]
    else:
        s.code += MOVE_IMMEDIATE[RDX, divisor] + MULTIPLY[quotient, RDX]
    s.code += MOVE[RDX, s.integer(a)] + ALU[SUB, RDX, quotient]
    return RDX


HANDLERS: dict[str, Handler] = dict.fromkeys(("sdiv", "srem", "udiv", "urem"), _divide)
