"""Encodings of the x86-64 instructions that the baseline back end uses.

In: register numbers and displacements. Out: bytes. Registers are numbered 0 to 15 (rax ... r15) and 16 to 31 (xmm0 ...
xmm15). Each table maps the operands of one form to its bytes and computes them once, so that emitting an instruction is
a look-up. Doubles use the three-operand VEX forms. Source: Intel SDM, volume 2.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15 = range(16)
XMM = 16
NO_INDEX = -1
REGISTER_NAMES = (
    *("rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi"),
    *(f"r{number}" for number in range(8, 16)),
    *(f"xmm{number}" for number in range(16)),
)
KEPT_ENCODINGS = 20_000
"""A table stops growing here: displacements and immediates come from users' programs."""

# Condition codes; the lowest bit negates.
OVERFLOW, NO, B, AE, E, NE, BE, A, S, NS, P, NP, L, GE, LE, G = range(16)
CONDITIONS = {"eq": E, "ne": NE, "slt": L, "sle": LE, "sgt": G, "sge": GE, "ult": B, "ule": BE, "ugt": A, "uge": AE}
MIRRORED = {E: E, NE: NE, L: G, LE: GE, G: L, GE: LE, B: A, BE: AE, A: B, AE: BE}

# Operations of the ALU group (their number is part of the opcode) and of the shift group.
ADD, OR, AND, SUB, XOR, CMP = 0, 1, 4, 5, 6, 7
SHL, SHR, SAR = 4, 5, 7

# Scalar double operations, `prefix << 8 | opcode` (prefix: 0 none, 1 66, 2 F3, 3 F2).
FADD, FSUB, FMUL, FDIV, FSQRT = 0x358, 0x35C, 0x359, 0x35E, 0x351
FAND, FANDN, FOR, FXOR, FCOMPARE = 0x154, 0x155, 0x156, 0x157, 0x12E
TO_SINGLE, TO_DOUBLE, FMASK, LOAD_DOUBLE = 0x35A, 0x25A, 0x3C2, 0x310


class Encodings(dict[Any, bytes]):
    """Bytes by operands, computed when first asked for."""

    def __init__(self, make: Callable[..., bytes]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, operands: Any) -> bytes:
        made = self._make(*operands)
        if len(self) < KEPT_ENCODINGS:
            self[operands] = made
        return made


def _int8(value: int) -> bytes:
    return struct.pack("<b", value)


def _int32(value: int) -> bytes:
    return struct.pack("<i", value)


def _rex(wide: int, reg: int, index: int, base: int, byte: int = 0) -> bytes:
    """The prefix, if it is needed: also for the low byte of rsi, rdi, rbp (`byte` is such a register)."""
    bits = wide << 3 | (reg >> 3 & 1) << 2 | (index >> 3 & 1) << 1 | base >> 3 & 1
    return bytes((0x40 | bits,)) if bits or byte >= RSP else b""


def _memory(reg: int, base: int, index: int, scale: int, displacement: int) -> bytes:
    """ModRM, SIB and displacement; `scale` is the logarithm."""
    if displacement == 0 and base & 7 != RBP:
        mode, tail = 0x00, b""
    elif -128 <= displacement <= 127:
        mode, tail = 0x40, _int8(displacement)
    else:
        mode, tail = 0x80, _int32(displacement)
    if index == NO_INDEX and base & 7 != RSP:
        return bytes((mode | (reg & 7) << 3 | base & 7,)) + tail
    middle = 4 if index == NO_INDEX else index & 7
    return bytes((mode | (reg & 7) << 3 | 4, scale << 6 | middle << 3 | base & 7)) + tail


def _in_memory(
    opcode: bytes, wide: int, reg: int, base: int, index: int, scale: int, disp: int, prefix: bytes = b"", byte: int = 0
) -> bytes:
    rex = _rex(wide, reg, 0 if index == NO_INDEX else index, base, byte)
    return prefix + rex + opcode + _memory(reg, base, index, scale, disp)


def _in_registers(opcode: bytes, wide: int, reg: int, rm: int, byte: int = 0) -> bytes:
    return _rex(wide, reg, 0, rm, byte) + opcode + bytes((0xC0 | (reg & 7) << 3 | rm & 7,))


def _vex(operation: int, reg: int, second: int, index: int, base: int, wide: int = 0, opcode_map: int = 1) -> bytes:
    prefix, opcode = operation >> 8, operation & 0xFF
    low = wide << 7 | (~second & 15) << 3 | prefix
    inverted = (~reg >> 3 & 1) << 7
    if not index >> 3 & 1 and not base >> 3 & 1 and not wide and opcode_map == 1:
        return bytes((0xC5, inverted | low, opcode))
    inverted |= (~index >> 3 & 1) << 6 | (~base >> 3 & 1) << 5
    return bytes((0xC4, inverted | opcode_map, low, opcode))


# -- integers ----------------------------------------------------------------------------------------------------------


def _alu_immediate(operation: int, target: int, value: int) -> bytes:
    if -128 <= value <= 127:
        return _in_registers(b"\x83", 1, operation, target) + _int8(value)
    return _in_registers(b"\x81", 1, operation, target) + _int32(value)


def _compare_in_frame(displacement: int, value: int) -> bytes:
    if -128 <= value <= 127:
        return _in_memory(b"\x83", 1, CMP, RSP, NO_INDEX, 0, displacement) + _int8(value)
    return _in_memory(b"\x81", 1, CMP, RSP, NO_INDEX, 0, displacement) + _int32(value)


def move_immediate(target: int, value: int) -> bytes:
    """mov target, value (any 64 bits); leaves the flags alone."""
    value = (value + 2**63) % 2**64 - 2**63
    if 0 <= value < 2**32:
        head = b"\x41" if target >= 8 else b""
        return head + bytes((0xB8 | target & 7,)) + struct.pack("<I", value)
    if -(2**31) <= value < 0:
        return _in_registers(b"\xc7", 1, 0, target) + _int32(value)
    return _rex(1, 0, 0, target) + bytes((0xB8 | target & 7,)) + struct.pack("<q", value)


def _multiply_immediate(target: int, source: int, value: int) -> bytes:
    if -128 <= value <= 127:
        return _in_registers(b"\x6b", 1, target, source) + _int8(value)
    return _in_registers(b"\x69", 1, target, source) + _int32(value)


def _load(width: str, target: int, base: int, index: int, scale: int, disp: int) -> bytes:
    if width == "f64":
        return _vex_memory(0x310, target, 0, base, index, scale, disp)
    if width == "f32":
        # Loading clears the rest of the register, so the conversion does not wait for its old value.
        return _vex_memory(0x210, target, 0, base, index, scale, disp) + _vex_registers(
            TO_DOUBLE, target, target, target
        )
    opcode, wide = _LOADS[width]
    return _in_memory(opcode, wide, target, base, index, scale, disp)


_LOADS = {
    "i8": (b"\x0f\xbe", 1), "i16": (b"\x0f\xbf", 1), "i32": (b"\x63", 1), "i64": (b"\x8b", 1), "n64": (b"\x8b", 1),
    "ptr": (b"\x8b", 1), "u8": (b"\x0f\xb6", 0), "u16": (b"\x0f\xb7", 0), "u32": (b"\x8b", 0),
}  # fmt: skip


def _store(width: str, source: int, base: int, index: int, scale: int, disp: int) -> bytes:
    if width == "f64":
        return _vex_memory(0x311, source, 0, base, index, scale, disp)
    if width == "f32":
        return _vex_memory(0x211, source, 0, base, index, scale, disp)
    size = width[1:]
    prefix = b"\x66" if size == "16" else b""
    if size == "8":
        return _in_memory(b"\x88", 0, source, base, index, scale, disp, b"", source)
    return _in_memory(b"\x89", int(size in ("64", "tr")), source, base, index, scale, disp, prefix)


def _store_immediate(width: str, value: int, base: int, index: int, scale: int, disp: int) -> bytes:
    size = width[1:]
    prefix = b"\x66" if size == "16" else b""
    opcode = b"\xc6" if size == "8" else b"\xc7"
    count = {"8": 1, "16": 2}.get(size, 4)
    immediate = (value & (1 << 8 * count) - 1).to_bytes(count, "little")
    return _in_memory(opcode, int(size in ("64", "tr")), 0, base, index, scale, disp, prefix) + immediate


ALU = Encodings(lambda operation, target, source: _in_registers(bytes((operation << 3 | 1,)), 1, source, target))
ALU_IMMEDIATE = Encodings(_alu_immediate)
ALU_FRAME = Encodings(
    lambda operation, target, disp: _in_memory(bytes((operation << 3 | 3,)), 1, target, RSP, NO_INDEX, 0, disp)
)
COMPARE_FRAME_IMMEDIATE = Encodings(_compare_in_frame)
TEST = Encodings(lambda a, b: _in_registers(b"\x85", 1, b, a))
MOVE_IMMEDIATE = Encodings(move_immediate)
LEA = Encodings(lambda *operands: _in_memory(b"\x8d", 1, *operands))
"""target, base, index, scale, displacement."""
MULTIPLY = Encodings(lambda target, source: _in_registers(b"\x0f\xaf", 1, target, source))
MULTIPLY_IMMEDIATE = Encodings(_multiply_immediate)
MULTIPLY_FRAME = Encodings(lambda target, disp: _in_memory(b"\x0f\xaf", 1, target, RSP, NO_INDEX, 0, disp))
GROUP3 = Encodings(lambda operation, target: _in_registers(b"\xf7", 1, operation, target))
NOT, NEG, MUL_WIDE, IMUL_WIDE, DIV, IDIV = 2, 3, 4, 5, 6, 7
"""Operations of `GROUP3`; the wide ones work on rdx:rax."""
SHIFT_IMMEDIATE = Encodings(
    lambda operation, target, count: _in_registers(b"\xc1", 1, operation, target) + bytes((count,))
)
_SHIFT_PREFIX = {SHL: 0x1F7, SHR: 0x3F7, SAR: 0x2F7}
SHIFT = Encodings(
    lambda operation, target, source, count: (
        _vex(_SHIFT_PREFIX[operation], target, count, 0, source, 1, 2) + bytes((0xC0 | (target & 7) << 3 | source & 7,))
    )
)
"""BMI2's shlx, shrx, sarx."""
MULTIPLY_HIGH = Encodings(
    lambda target, source: (
        _vex(0x3F6, target, target, 0, source, 1, 2) + bytes((0xC0 | (target & 7) << 3 | source & 7,))
    )
)
"""Upper half of the unsigned product with rdx (BMI2's mulx)."""
CMOV = Encodings(lambda condition, target, source: _in_registers(bytes((0x0F, 0x40 | condition)), 1, target, source))
SETCC = Encodings(lambda condition, target: _in_registers(bytes((0x0F, 0x90 | condition)), 0, 0, target, target))
EXTEND = Encodings(
    lambda width, target, source: _in_registers(*_LOADS[width], target, source, source if width[1:] == "8" else 0)
)
"""movsx, movzx from the low bits of a register, by the width's name."""
LOAD = Encodings(_load)
"""width, target, base, index, scale, displacement."""
STORE = Encodings(_store)
STORE_IMMEDIATE = Encodings(_store_immediate)
EXCHANGE = Encodings(lambda a, b: _in_registers(b"\x87", 1, a, b))
PUSH = [(b"\x41" if each >= 8 else b"") + bytes((0x50 | each & 7,)) for each in range(16)]
POP = [(b"\x41" if each >= 8 else b"") + bytes((0x58 | each & 7,)) for each in range(16)]
CQO, RET, TRAP = b"\x48\x99", b"\xc3", b"\x0f\x0b"

# -- doubles -----------------------------------------------------------------------------------------------------------


def _vex_memory(operation: int, target: int, second: int, base: int, index: int, scale: int, disp: int) -> bytes:
    head = _vex(operation, target & 15, second & 15, 0 if index == NO_INDEX else index, base)
    return head + _memory(target, base, index, scale, disp)


def _vex_registers(operation: int, target: int, second: int, source: int) -> bytes:
    target, second, source = target & 15, second & 15, source & 15
    return _vex(operation, target, second, 0, source) + bytes((0xC0 | (target & 7) << 3 | source & 7,))


def _between(target: int, source: int) -> bytes:
    """mov between any two registers; between the files the 64 bits are moved."""
    if target < XMM and source < XMM:
        return _in_registers(b"\x89", 1, source, target)
    if target >= XMM and source >= XMM:
        return _vex_registers(0x128, target, 0, source)
    opcode, xmm, other = (0x16E, target, source) if target >= XMM else (0x17E, source, target)
    xmm &= 15
    return _vex(opcode, xmm, 0, 0, other, 1) + bytes((0xC0 | (xmm & 7) << 3 | other & 7,))


def _convert(operation: int, target: int, second: int, source: int) -> bytes:
    """cvtsi2sd, cvttsd2si with a 64-bit integer."""
    target, source = target & 15, source & 15
    return _vex(operation, target, second & 15, 0, source, 1) + bytes((0xC0 | (target & 7) << 3 | source & 7,))


def _round(target: int, source: int, mode: int) -> bytes:
    target, source = target & 15, source & 15
    return _vex(0x10B, target, target, 0, source, 0, 3) + bytes((0xC0 | (target & 7) << 3 | source & 7, mode | 8))


def _blend(target: int, no: int, yes: int, mask: int) -> bytes:
    target, no, yes = target & 15, no & 15, yes & 15
    head = _vex(0x14B, target, no, 0, yes, 0, 3)
    return head + bytes((0xC0 | (target & 7) << 3 | yes & 7, (mask & 15) << 4))


MOVE = Encodings(_between)
FLOAT = Encodings(_vex_registers)
"""operation, target, first, second."""
FLOAT_FRAME = Encodings(
    lambda operation, target, first, disp: _vex_memory(operation, target, first, RSP, NO_INDEX, 0, disp)
)
FLOAT_POOL = Encodings(
    lambda operation, target, first: (
        _vex(operation, target & 15, first & 15, 0, 0) + bytes(((target & 7) << 3 | 5, 0, 0, 0, 0))
    )
)
"""The second operand lies in the constant pool: the last four bytes are its distance from the instruction's end."""
FROM_INT = Encodings(lambda target, second, source: _convert(0x32A, target, second, source))
TRUNCATE = Encodings(lambda target, source: _convert(0x32C, target, 0, source))
ROUND = Encodings(_round)
"""target, source, mode: 0 to nearest even, 1 floor, 2 ceil, 3 truncate."""
BLEND = Encodings(_blend)
"""target, value where the mask is 0, where it is all ones, mask."""

# -- the frame ---------------------------------------------------------------------------------------------------------


def _frame(load: bool, register: int, displacement: int) -> bytes:
    width = "f64" if register >= XMM else "i64"
    make: Callable[..., bytes] = _load if load else _store
    return make(width, register, RSP, NO_INDEX, 0, displacement)


FRAME_LOAD = Encodings(lambda register, displacement: _frame(True, register, displacement))
FRAME_STORE = Encodings(lambda register, displacement: _frame(False, register, displacement))
