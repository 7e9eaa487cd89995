"""Operations on doubles, and between doubles and integers."""

from __future__ import annotations

from lean_agentic.jit_runtime.lir import Instruction, Temporary
from lean_agentic.jit_runtime.x86_conditions import float_operation, known
from lean_agentic.jit_runtime.x86_encoder import (
    ALU,
    ALU_IMMEDIATE,
    AND,
    FADD,
    FAND,
    FDIV,
    FLOAT,
    FLOAT_POOL,
    FMUL,
    FOR,
    FROM_INT,
    FSQRT,
    FSUB,
    FXOR,
    MOVE,
    OR,
    ROUND,
    SHIFT_IMMEDIATE,
    SHR,
    TEST,
    TO_DOUBLE,
    TO_SINGLE,
    TRUNCATE,
    S,
)
from lean_agentic.jit_runtime.x86_state import Handler, State

OPERATIONS = {"fadd": FADD, "fsub": FSUB, "fmul": FMUL, "fdiv": FDIV}
ROUNDINGS = {"frint": 0, "ffloor": 1, "fceil": 2, "ftrunc": 3}
SIGN, MAGNITUDE = -(2**63), 2**63 - 1


def _binary(s: State, instruction: Instruction) -> None:
    operation, target, a, b = instruction
    if operation in ("fadd", "fmul") and (a.__class__ is not Temporary or (s.const and known(s, a)[0])):
        a, b = b, a
    left = s.double(a)
    key = target[0]
    code = OPERATIONS[operation]
    if b.__class__ is Temporary:
        name = s.alias.get(b[0], b[0])
        right = s.where.get(name)
        if right is None and name not in s.const and s.only_in_frame(name) is None:
            right = s.load_double(name)
        register = s.choose(key, left, s.free_doubles, s.pool_doubles)
        if right is not None:
            s.code += FLOAT[code, register, left, right]
            s.holds[register] = key
            s.where[key] = register
            return
    else:
        register = s.choose(key, left, s.free_doubles, s.pool_doubles)
    float_operation(s, code, register, left, b)
    s.bind(key, register)


def _square_root(s: State, instruction: Instruction) -> None:
    source = s.double(instruction[2])
    s.code += FLOAT[FSQRT, s.result_double(instruction[1], source), source, source]


def _round(s: State, instruction: Instruction) -> None:
    operation, target, a = instruction
    source = s.double(a)
    s.code += ROUND[s.result_double(target, source), source, ROUNDINGS[operation]]


def _to_single(s: State, instruction: Instruction) -> None:
    source = s.double(instruction[2])
    register = s.result_double(instruction[1], source)
    s.code += FLOAT[TO_SINGLE, register, source, source] + FLOAT[TO_DOUBLE, register, register, register]


def masked(s: State, operation: int, target: int, source: int, mask: int) -> None:
    """Combine a double's bits with a constant."""
    s.code += FLOAT_POOL[operation, target, source]
    s.unit.constant(mask)


def _negate(s: State, instruction: Instruction) -> None:
    source = s.double(instruction[2])
    masked(s, FXOR, s.result_double(instruction[1], source), source, SIGN)


def _magnitude(s: State, instruction: Instruction) -> None:
    source = s.double(instruction[2])
    masked(s, FAND, s.result_double(instruction[1], source), source, MAGNITUDE)


def _copy_sign(s: State, instruction: Instruction) -> None:
    _, target, a, b = instruction
    left, right = s.double(a), s.double(b)
    sign = s.scratch_double()
    masked(s, FAND, sign, right, SIGN)
    register = s.result_double(target, left)
    masked(s, FAND, register, left, MAGNITUDE)
    s.code += FLOAT[FOR, register, register, sign]


def _from_signed(s: State, instruction: Instruction) -> None:
    source = s.integer(instruction[2])
    register = s.result_double(instruction[1], -1)
    # The conversion keeps the upper half of a register: clearing it first avoids waiting for the old value.
    s.code += FLOAT[FXOR, register, register, register] + FROM_INT[register, register, source]


def _from_unsigned(s: State, instruction: Instruction) -> None:
    """Half of a large value, with the lost bit kept for rounding, is converted and doubled."""
    source = s.integer(instruction[2])
    half, low = s.scratch(), s.scratch()
    register = s.result_double(instruction[1], -1)
    large = (
        MOVE[half, source] + SHIFT_IMMEDIATE[SHR, half, 1] + MOVE[low, source] + ALU_IMMEDIATE[AND, low, 1]
        + ALU[OR, half, low] + FROM_INT[register, register, half] + FLOAT[FADD, register, register, register]
    )  # fmt: skip
    small = FROM_INT[register, register, source] + bytes((0xEB, len(large)))
    s.code += FLOAT[FXOR, register, register, register] + TEST[source, source] + bytes((0x70 | S, len(small)))
    s.code += small + large


def _to_signed(s: State, instruction: Instruction) -> None:
    source = s.double(instruction[2])
    s.code += TRUNCATE[s.result(instruction[1], -1), source]


def _bits(s: State, instruction: Instruction) -> None:
    source = s.double(instruction[2])
    s.code += MOVE[s.result(instruction[1], -1), source]


def _float_of(s: State, instruction: Instruction) -> None:
    source = s.integer(instruction[2])
    s.code += MOVE[s.result_double(instruction[1], -1), source]


HANDLERS: dict[str, Handler] = {
    **dict.fromkeys(OPERATIONS, _binary), **dict.fromkeys(ROUNDINGS, _round), "fsqrt": _square_root,
    "round32": _to_single, "fneg": _negate, "fabs": _magnitude, "fcopysign": _copy_sign, "itof": _from_signed,
    "uitof": _from_unsigned, "ftoi": _to_signed, "bits": _bits, "float_of": _float_of,
}  # fmt: skip
