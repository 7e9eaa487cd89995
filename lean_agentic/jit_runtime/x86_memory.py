"""Loads, stores and addresses. An address computed with `advance` becomes part of the instructions that use it."""

from __future__ import annotations

from typing import Any

from lean_agentic.jit_runtime.lir import Instruction, Operand, Temporary
from lean_agentic.jit_runtime.x86_allocation import SLOT
from lean_agentic.jit_runtime.x86_conditions import known, note
from lean_agentic.jit_runtime.x86_encoder import (
    ADD,
    ALU,
    FLOAT,
    LEA,
    LOAD,
    MOVE,
    MULTIPLY_IMMEDIATE,
    NO_INDEX,
    RSP,
    SHIFT_IMMEDIATE,
    SHL,
    STORE,
    STORE_IMMEDIATE,
    TO_SINGLE,
)
from lean_agentic.jit_runtime.x86_state import Handler, State
from lean_agentic.jit_runtime.x86_unit import bits_of
from lean_agentic.jit_runtime.x86_values import ADDRESSES

SCALES = {1: 0, 2: 1, 4: 2, 8: 3}
Address = tuple[int, int, int, int]
"""Base and index register, logarithm of the scale, displacement."""


def address(s: State, pointer: Operand, offset: int) -> Address:
    """How an instruction can name the memory at a pointer."""
    if pointer.__class__ is Temporary:
        key = pointer[0]
        key = s.alias.get(key, key)
        register = s.where.get(key)
        if register is not None:
            return register, NO_INDEX, 0, offset
        noted = s.deferred.get(key)
        if noted is not None:
            return _of_noted(s, noted, offset)
    return s.integer(pointer), NO_INDEX, 0, offset


def _of_noted(s: State, noted: tuple[Any, ...], offset: int) -> Address:
    if noted[0] is materialise_frame_address:
        return RSP, NO_INDEX, 0, noted[1] + offset
    _, pointer, index, scale, displacement = noted
    base = s.integer(pointer)
    return base, NO_INDEX if index is None else s.integer(index), scale, displacement + offset


def materialise_address(s: State, register: int, noted: tuple[Any, ...]) -> None:
    """Put an address into a register."""
    s.code += LEA[(register, *_of_noted(s, noted, 0))]


def materialise_frame_address(s: State, register: int, noted: tuple[Any, ...]) -> None:
    """Put the address of a place in the frame into a register."""
    s.code += LEA[register, RSP, NO_INDEX, 0, noted[1]]


def _advance(s: State, instruction: Instruction) -> None:
    _, target, pointer, index, factor = instruction
    is_constant, value = known(s, index)
    if is_constant:
        distance = bits_of(value * factor)
        if -(2**31) <= distance < 2**30:
            note(s, target, (materialise_address, pointer, None, 0, distance))
            return
    scale = SCALES.get(factor)
    if scale is not None:
        note(s, target, (materialise_address, pointer, index, scale, 0))
        return
    _far(s, target, pointer, index, factor)


def _far(s: State, target: Temporary, pointer: Operand, index: Operand, factor: int) -> None:
    """Elements of a size that no instruction can scale by."""
    base = s.integer(pointer)
    source = s.integer(index)
    register = s.result(target, -1)
    if factor > 0 and factor & (factor - 1) == 0:
        s.code += MOVE[register, source] + SHIFT_IMMEDIATE[SHL, register, factor.bit_length() - 1]
    elif -(2**31) <= factor < 2**31:
        s.code += MULTIPLY_IMMEDIATE[register, source, factor]
    else:
        raise ValueError(f"elements of {factor} bytes are too large to be addressed; expected less than 2**31")
    s.code += ALU[ADD, register, base]


def _load(s: State, instruction: Instruction) -> None:
    _, target, pointer, offset, width = instruction
    base, index, scale, displacement = address(s, pointer, offset)
    register = s.result_double(target, -1) if target[1] == "f" else s.result(target, base if base != RSP else -1)
    s.code += LOAD[width, register, base, index, scale, displacement]


def _store(s: State, instruction: Instruction) -> None:
    _, pointer, offset, operand, width = instruction
    base, index, scale, displacement = address(s, pointer, offset)
    if width[0] == "f":
        source = s.double(operand)
        if width == "f32":
            single = s.scratch_double()
            s.code += FLOAT[TO_SINGLE, single, source, source]
            source = single
        s.code += STORE[width, source, base, index, scale, displacement]
        return
    is_constant, value = known(s, operand)
    if is_constant and -(2**31) <= (value := bits_of(value)) < 2**31:
        s.code += STORE_IMMEDIATE[width, value, base, index, scale, displacement]
    else:
        s.code += STORE[width, s.integer(operand), base, index, scale, displacement]


def _scratch(s: State, instruction: Instruction) -> None:
    _, target, count = instruction
    note(s, target, (materialise_frame_address, s.scratch_next))
    s.scratch_next += SLOT * count


HANDLERS: dict[str, Handler] = {"advance": _advance, "load": _load, "store": _store, "scratch": _scratch}
ADDRESSES.add(materialise_address)
