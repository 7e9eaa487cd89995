"""Truth values: comparisons become flags and jumps; only those that are stored become 0 or 1 in a register.

A comparison is noted where it stands and made where it is used, so its operands live until then. A truth value of some
other origin is an integer register that holds 0 or 1.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from lean_agentic.jit_runtime.lir import Instruction, Operand, Temporary
from lean_agentic.jit_runtime.x86_encoder import (
    AE,
    ALU,
    ALU_FRAME,
    ALU_IMMEDIATE,
    AND,
    CMP,
    COMPARE_FRAME_IMMEDIATE,
    CONDITIONS,
    EXTEND,
    FCOMPARE,
    FLOAT,
    FLOAT_FRAME,
    FLOAT_POOL,
    MIRRORED,
    MOVE,
    NE,
    NP,
    OR,
    SETCC,
    TEST,
    XOR,
    A,
    E,
    P,
)
from lean_agentic.jit_runtime.x86_state import Handler, State
from lean_agentic.jit_runtime.x86_unit import bits_of

DEEPEST = 1
"""How many truth values may be nested that are only noted: each takes a register while it is computed."""
FLOAT_CONDITIONS = {"oeq": E, "une": NE, "olt": A, "ole": AE, "ogt": A, "oge": AE, "uno": P}
"""Flags after comparing; for `olt` and `ole` the operands are exchanged, so that NaN gives false."""


COMPARISONS: dict[str, Callable[[int, int], bool]] = {
    "eq": operator.eq, "ne": operator.ne, "slt": operator.lt, "sle": operator.le, "sgt": operator.gt,
    "sge": operator.ge, "ult": lambda a, b: a % 2**64 < b % 2**64, "ule": lambda a, b: a % 2**64 <= b % 2**64,
    "ugt": lambda a, b: a % 2**64 > b % 2**64, "uge": lambda a, b: a % 2**64 >= b % 2**64,
}  # fmt: skip


# -- flags -------------------------------------------------------------------------------------------------------------


def known(s: State, operand: Operand) -> tuple[bool, Any]:
    """Whether an operand is a constant, and which."""
    if operand.__class__ is Temporary:
        key = s.key_of(operand)
        return (True, s.const[key]) if key in s.const else (False, None)
    return True, operand


def compare(s: State, noted: tuple[Any, ...]) -> int:
    """Compare integers; the condition code that means true."""
    s.computing.append((noted, -1))
    code = _compare(s, noted)
    s.computing.pop()
    if s.constants:
        s.release_constants()
    return code


def _compare(s: State, noted: tuple[Any, ...]) -> int:
    _, a, b, predicate = noted
    code = CONDITIONS[predicate]
    if s.const or a.__class__ is not Temporary:
        if known(s, a)[0] and not known(s, b)[0]:
            a, b, code = b, a, MIRRORED[code]
        is_constant, value = known(s, b)
        b = value if is_constant else b
    if b.__class__ is Temporary:
        key = s.alias.get(b[0], b[0])
        left = s.integer(a)
        if (offset := s.only_in_frame(key)) is not None:
            s.code += ALU_FRAME[CMP, left, offset]
        else:
            s.code += ALU[CMP, left, s.integer(b)]
        return code
    value = bits_of(b)
    if not -(2**31) <= value < 2**31:
        s.code += ALU[CMP, s.integer(a), s.integer(value)]
    elif (offset := _only_in_frame(s, a)) is not None:
        s.code += COMPARE_FRAME_IMMEDIATE[offset, value]
    elif value == 0:
        register = s.integer(a)
        s.code += TEST[register, register]
    else:
        s.code += ALU_IMMEDIATE[CMP, s.integer(a), value]
    return code


def _only_in_frame(s: State, operand: Operand) -> int | None:
    if operand.__class__ is not Temporary:
        return None
    return s.only_in_frame(s.key_of(operand))


def compare_doubles(s: State, noted: tuple[Any, ...]) -> int:
    """Compare doubles; the condition code that means true if they are ordered."""
    _, a, b, predicate = noted
    if predicate in ("olt", "ole"):
        a, b = b, a
    s.computing.append((noted, -1))
    left = s.double(a)
    float_operation(s, FCOMPARE, left, 0, b)
    s.computing.pop()
    return FLOAT_CONDITIONS[predicate]


def float_operation(s: State, operation: int, target: int, first: int, operand: Operand, tail: bytes = b"") -> None:
    """An instruction whose second operand may lie in a register, in the frame or in the constant pool.

    `tail` is the instruction's last, immediate operand.
    """
    if operand.__class__ is Temporary:
        key = s.key_of(operand)
        register = s.where.get(key)
        if register is None and (offset := s.only_in_frame(key)) is not None:
            s.code += FLOAT_FRAME[operation, target, first, offset] + tail
            return
        if register is None:
            if key in s.const:
                operand = s.const[key]
            else:
                register = s.load_double(key)
        if register is not None:
            s.code += FLOAT[operation, target, first, register] + tail
            return
    s.code += FLOAT_POOL[operation, target, first]
    s.unit.constant(bits_of(float(operand)), len(tail))  # type: ignore[arg-type]
    s.code += tail


# -- 0 or 1 in a register ----------------------------------------------------------------------------------------------


def materialise_integer_comparison(s: State, register: int, noted: tuple[Any, ...]) -> None:
    """Put a comparison of integers into a register."""
    code = compare(s, noted)
    s.code += SETCC[code, register] + EXTEND["u8", register, register]


def materialise_float_comparison(s: State, register: int, noted: tuple[Any, ...]) -> None:
    """Put a comparison of doubles into a register."""
    code = compare_doubles(s, noted)
    if noted[3] not in ("oeq", "une"):
        s.code += SETCC[code, register] + EXTEND["u8", register, register]
        return
    other = s.scratch()
    s.code += SETCC[code, register] + SETCC[NP if code == E else P, other]
    s.code += ALU[AND if code == E else OR, register, other] + EXTEND["u8", register, register]
    s.holds[other] = None
    s.free.append(other)


def materialise_not(s: State, register: int, noted: tuple[Any, ...]) -> None:
    """Put the opposite of a truth value into a register."""
    into(s, register, noted[1])
    s.code += ALU_IMMEDIATE[XOR, register, 1]


def materialise_two(s: State, register: int, noted: tuple[Any, ...]) -> None:
    """Put the conjunction or disjunction of two truth values into a register."""
    _, operation, a, b, _ = noted
    into(s, register, a)
    other = s.integer(b)
    s.code += ALU[AND if operation == "band" else OR, register, other]


def into(s: State, register: int, operand: Operand) -> None:
    """Put an integer operand into a given register, even if it is not needed elsewhere."""
    if operand.__class__ is Temporary:
        key = s.key_of(operand)
        source = s.where.get(key)
        if source is None:
            s.fill(register, key)
        elif source != register:
            s.code += MOVE[register, source]
    else:
        s.load_constant(register, operand)  # type: ignore[arg-type]


def _depth(s: State, operand: Operand) -> int:
    """How many noted truth values are nested in one."""
    if operand.__class__ is not Temporary:
        return 0
    key = s.key_of(operand)
    noted = s.deferred.get(key)
    if noted is None or key in s.where or noted[0] not in (materialise_two, materialise_not):
        return 0
    depth: int = noted[-1]
    return depth


def note(s: State, target: Temporary, noted: tuple[Any, ...], now: bool = False) -> None:
    """Note how to compute a truth value or an address; compute it now if it has to exist."""
    key = target[0]
    s.deferred[key] = noted
    if now or key in s.eager:
        register = s.result(target, -1)
        del s.where[key]
        s.fill(register, key)
        del s.deferred[key]
        s.where[key] = register


def _icmp(s: State, instruction: Instruction) -> None:
    _, target, a, b, predicate = instruction
    if s.const or a.__class__ is not Temporary:
        (a_known, left), (b_known, right) = known(s, a), known(s, b)
        if a_known and b_known:
            s.const[target[0]] = int(COMPARISONS[predicate](bits_of(left), bits_of(right)))
            return
    note(s, target, (materialise_integer_comparison, a, b, predicate))


def _fcmp(s: State, instruction: Instruction) -> None:
    _, target, a, b, predicate = instruction
    note(s, target, (materialise_float_comparison, a, b, predicate))


def _two(s: State, instruction: Instruction) -> None:
    operation, target, a, b = instruction
    depth = 1 + max(_depth(s, a), _depth(s, b))
    note(s, target, (materialise_two, operation, a, b, depth), depth > DEEPEST)


def _not(s: State, instruction: Instruction) -> None:
    depth = 1 + _depth(s, instruction[2])
    note(s, instruction[1], (materialise_not, instruction[2], depth), depth > DEEPEST)


def _is_not_zero(s: State, instruction: Instruction) -> None:
    _icmp(s, ("icmp", instruction[1], instruction[2], 0, "ne"))


def _to_integer(s: State, instruction: Instruction) -> None:
    """A truth value in a register is 0 or 1 already."""
    _, target, condition = instruction
    if condition.__class__ is Temporary:
        key = s.key_of(condition)
        if key not in s.where and key in s.deferred:
            s.fill(s.result(target, -1), key)
            return
    rename(s, target, condition)


def rename(s: State, target: Temporary, operand: Operand) -> None:
    """Let a temporary be another name of a value."""
    if operand.__class__ is Temporary:
        key = s.alias[target[0]] = s.key_of(operand)
        s.extend(key, s.last[target[0]])
    else:
        s.const[target[0]] = operand


def prepare(s: State, condition: Temporary) -> None:
    """Compute a condition that takes several comparisons, before registers are needed for something else."""
    key = s.key_of(condition)
    noted = s.deferred.get(key)
    if noted is not None and key not in s.where and noted[0] in (materialise_not, materialise_two):
        s.load(key)


def flags(s: State, condition: Temporary) -> int:
    """Set the flags so that one condition code means true; that code."""
    key = s.key_of(condition)
    noted = s.deferred.get(key)
    if noted is not None and key not in s.where:
        if noted[0] is materialise_integer_comparison:
            return compare(s, noted)
        if noted[0] is materialise_float_comparison and noted[3] not in ("oeq", "une"):
            return compare_doubles(s, noted)
    register = s.integer(condition)
    s.code += TEST[register, register]
    return NE


HANDLERS: dict[str, Handler] = {
    "icmp": _icmp, "fcmp": _fcmp, "band": _two, "bor": _two, "bnot": _not, "itob": _is_not_zero, "btoi": _to_integer,
}  # fmt: skip
