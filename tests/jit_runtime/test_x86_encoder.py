"""Encodings, against what LLVM's assembler makes of the same instructions."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import llvmlite.binding as llvm
import pytest

from lean_agentic.jit_runtime import x86_encoder as x86
from lean_agentic.jit_runtime.x86_encoder import NO_INDEX, REGISTER_NAMES, RSP, XMM

INTEGERS = (0, 1, 3, 4, 5, 6, 8, 12, 13)
DOUBLES = (XMM, XMM + 7, XMM + 8, XMM + 13)
CONSTANTS = (0, 1, -1, 127, -128, 128, -129, 1000, -(2**31), 2**31 - 1)
NAME = REGISTER_NAMES
LOW_8 = ("al", "cl", "dl", "bl", "spl", "bpl", "sil", "dil", *(f"r{k}b" for k in range(8, 16)))
LOW_16 = (*(name[1:] for name in NAME[:8]), *(f"r{k}w" for k in range(8, 16)))
LOW_32 = (*(f"e{name[1:]}" for name in NAME[:8]), *(f"r{k}d" for k in range(8, 16)))
Pair = tuple[bytes, str]


def assembled(lines: list[str]) -> bytes:
    """What LLVM makes of instructions in Intel's syntax."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    llvm.initialize_native_asmparser()
    body = "\\0A".join([".intel_syntax noprefix", *lines, ".att_syntax"])
    module = llvm.parse_assembly(f'target triple = "x86_64-unknown-linux-gnu"\nmodule asm "{body}"')
    machine = llvm.Target.from_triple("x86_64-unknown-linux-gnu").create_target_machine()
    sections = llvm.ObjectFileRef.from_data(machine.emit_object(module)).sections()
    return next(bytes(each.data()) for each in sections if each.is_text())


def place(base: int, index: int, scale: int, displacement: int) -> str:
    """A memory operand."""
    scaled = "" if index == NO_INDEX else f" + {1 << scale}*{NAME[index]}"
    return f"[{NAME[base]}{scaled} {'-' if displacement < 0 else '+'} {abs(displacement)}]"


def places() -> Iterator[tuple[int, int, int, int]]:
    """Memory operands of every form."""
    for base, displacement in itertools.product(INTEGERS, (0, 8, -128, 127, 128, 4096)):
        yield base, NO_INDEX, 0, displacement
    for base, index, scale in itertools.product((0, 4, 5, 12, 13), (0, 5, 8, 13), range(4)):
        yield base, index, scale, 0
        yield base, index, scale, 1000


def integer_operations() -> Iterator[Pair]:
    alu = {"add": x86.ADD, "or": x86.OR, "and": x86.AND, "sub": x86.SUB, "xor": x86.XOR, "cmp": x86.CMP}
    for (name, code), a, b in itertools.product(alu.items(), INTEGERS, INTEGERS):
        yield x86.ALU[code, a, b], f"{name} {NAME[a]}, {NAME[b]}"
    for (name, code), a, displacement in itertools.product(alu.items(), INTEGERS, (0, 8, 1000)):
        yield x86.ALU_FRAME[code, a, displacement], f"{name} {NAME[a]}, {place(RSP, NO_INDEX, 0, displacement)}"
    for (name, code), a, value in itertools.product(alu.items(), INTEGERS[1:], CONSTANTS):
        yield x86.ALU_IMMEDIATE[code, a, value], f"{name} {NAME[a]}, {value}"
    for a, b in itertools.product(INTEGERS, INTEGERS):
        yield x86.TEST[a, b], f"test {NAME[a]}, {NAME[b]}"
        yield x86.MULTIPLY[a, b], f"imul {NAME[a]}, {NAME[b]}"
        yield x86.CMOV[x86.L, a, b], f"cmovl {NAME[a]}, {NAME[b]}"
        yield x86.MULTIPLY_HIGH[a, b], f"mulx {NAME[a]}, {NAME[a]}, {NAME[b]}"
        for name, code in {"shlx": x86.SHL, "shrx": x86.SHR, "sarx": x86.SAR}.items():
            yield x86.SHIFT[code, a, b, 9], f"{name} {NAME[a]}, {NAME[b]}, r9"
        for value in CONSTANTS:
            yield x86.MULTIPLY_IMMEDIATE[a, b, value], f"imul {NAME[a]}, {NAME[b]}, {value}"
        if a != 0 and b != 0:
            yield x86.EXCHANGE[a, b], f"xchg {NAME[a]}, {NAME[b]}"


def one_operand() -> Iterator[Pair]:
    group = {
        "not": x86.NOT,
        "neg": x86.NEG,
        "mul": x86.MUL_WIDE,
        "imul": x86.IMUL_WIDE,
        "div": x86.DIV,
        "idiv": x86.IDIV,
    }
    for a in INTEGERS:
        for name, code in group.items():
            yield x86.GROUP3[code, a], f"{name} {NAME[a]}"
        for name, code in {"shl": x86.SHL, "shr": x86.SHR, "sar": x86.SAR}.items():
            yield x86.SHIFT_IMMEDIATE[code, a, 63], f"{name} {NAME[a]}, 63"
        yield x86.SETCC[x86.BE, a], f"setbe {LOW_8[a]}"
        yield x86.PUSH[a] + x86.POP[a], f"push {NAME[a]}; pop {NAME[a]}"
        for value in (0, 1, -1, 2**31 - 1, -(2**31)):
            target, wanted = (LOW_32[a], value) if value >= 0 else (NAME[a], value)
            yield x86.MOVE_IMMEDIATE[a, value], f"mov {target}, {wanted}"
        yield x86.move_immediate(a, 2**32 - 1), f"mov {LOW_32[a]}, {2**32 - 1}"
        for value in (2**32, 2**63 - 1, -(2**31) - 1):
            yield x86.move_immediate(a, value), f"movabs {NAME[a]}, {value}"
    for value in CONSTANTS:
        yield x86.COMPARE_FRAME_IMMEDIATE[16, value], f"cmp qword ptr [rsp + 16], {value}"
    yield x86.CQO + x86.RET + x86.TRAP, "cqo; ret; ud2"


def moves() -> Iterator[Pair]:
    for a, b in itertools.product(INTEGERS, INTEGERS):
        yield x86.MOVE[a, b], f"mov {NAME[a]}, {NAME[b]}"
        for width, name, source in (*(("i8", "movsx", LOW_8), ("i16", "movsx", LOW_16), ("i32", "movsxd", LOW_32)),):
            yield x86.EXTEND[width, a, b], f"{name} {NAME[a]}, {source[b]}"
        yield x86.EXTEND["u8", a, b], f"movzx {LOW_32[a]}, {LOW_8[b]}"
        yield x86.EXTEND["u16", a, b], f"movzx {LOW_32[a]}, {LOW_16[b]}"
    for a, b in itertools.product(INTEGERS, DOUBLES):
        yield x86.MOVE[a, b], f"vmovq {NAME[a]}, {NAME[b]}"
        yield x86.MOVE[b, a], f"vmovq {NAME[b]}, {NAME[a]}"
    # With only the source among the upper eight LLVM takes a shorter form of the same move.
    for a, b in itertools.product(DOUBLES, DOUBLES):
        if a >= XMM + 8 or b < XMM + 8:
            yield x86.MOVE[a, b], f"vmovapd {NAME[a]}, {NAME[b]}"


LOADS = {
    "i8": ("movsx", NAME, "byte"), "i16": ("movsx", NAME, "word"), "i32": ("movsxd", NAME, "dword"),
    "i64": ("mov", NAME, "qword"), "ptr": ("mov", NAME, "qword"), "u8": ("movzx", LOW_32, "byte"),
    "u16": ("movzx", LOW_32, "word"), "u32": ("mov", LOW_32, "dword"),
}  # fmt: skip
STORES = {
    "i8": (LOW_8, "byte"), "u16": (LOW_16, "word"), "i32": (LOW_32, "dword"), "i64": (NAME, "qword"),
    "ptr": (NAME, "qword"),
}  # fmt: skip


def memory() -> Iterator[Pair]:
    for k, each in enumerate(places()):
        register, double = INTEGERS[k % len(INTEGERS)], DOUBLES[k % len(DOUBLES)]
        where = place(*each)
        yield x86.LEA[(register, *each)], f"lea {NAME[register]}, {where}"
        for width, (name, names, size) in LOADS.items():
            yield x86.LOAD[(width, register, *each)], f"{name} {names[register]}, {size} ptr {where}"
        for width, (names, size) in STORES.items():
            yield x86.STORE[(width, register, *each)], f"mov {size} ptr {where}, {names[register]}"
            yield x86.STORE_IMMEDIATE[(width, -2, *each)], f"mov {size} ptr {where}, -2"
        yield x86.LOAD[("f64", double, *each)], f"vmovsd {NAME[double]}, qword ptr {where}"
        yield x86.STORE[("f64", double, *each)], f"vmovsd qword ptr {where}, {NAME[double]}"
        yield x86.STORE[("f32", double, *each)], f"vmovss dword ptr {where}, {NAME[double]}"
        single = f"vmovss {NAME[double]}, dword ptr {where}; vcvtss2sd {NAME[double]}, {NAME[double]}, {NAME[double]}"
        yield x86.LOAD[("f32", double, *each)], single
    for register in (*INTEGERS, *DOUBLES):
        name = "vmovsd" if register >= XMM else "mov"
        yield x86.FRAME_LOAD[register, 24], f"{name} {NAME[register]}, qword ptr [rsp + 24]"
        yield x86.FRAME_STORE[register, 2400], f"{name} qword ptr [rsp + 2400], {NAME[register]}"


def doubles() -> Iterator[Pair]:
    names = {
        "vaddsd": x86.FADD, "vsubsd": x86.FSUB, "vmulsd": x86.FMUL, "vdivsd": x86.FDIV, "vsqrtsd": x86.FSQRT,
        "vcvtsd2ss": x86.TO_SINGLE, "vcvtss2sd": x86.TO_DOUBLE,
    }  # fmt: skip
    for (name, code), a, b, c in itertools.product(names.items(), DOUBLES, DOUBLES, DOUBLES):
        # LLVM exchanges operands of sums and products where that saves a byte.
        if name not in ("vaddsd", "vmulsd") or c < XMM + 8 or b >= XMM + 8:
            yield x86.FLOAT[code, a, b, c], f"{name} {NAME[a]}, {NAME[b]}, {NAME[c]}"
    for a, b in itertools.product(DOUBLES, DOUBLES):
        yield x86.FLOAT[x86.FCOMPARE, a, 0, b], f"vucomisd {NAME[a]}, {NAME[b]}"
        yield x86.FLOAT_FRAME[x86.FDIV, a, b, 40], f"vdivsd {NAME[a]}, {NAME[b]}, qword ptr [rsp + 40]"
        yield x86.FLOAT_POOL[x86.FSUB, a, b], f"vsubsd {NAME[a]}, {NAME[b]}, qword ptr [rip]"
        yield x86.FLOAT_POOL[x86.FXOR, a, b], f"vxorpd {NAME[a]}, {NAME[b]}, xmmword ptr [rip]"
        yield x86.FLOAT_POOL[x86.FAND, a, b], f"vandpd {NAME[a]}, {NAME[b]}, xmmword ptr [rip]"
        yield x86.FLOAT[x86.FXOR, a, a, a], f"vxorpd {NAME[a]}, {NAME[a]}, {NAME[a]}"
        yield x86.FLOAT[x86.FMASK, a, a, b] + b"\x02", f"vcmplesd {NAME[a]}, {NAME[a]}, {NAME[b]}"
        yield x86.BLEND[a, b, XMM + 3, XMM + 9], f"vblendvpd {NAME[a]}, {NAME[b]}, xmm3, xmm9"
        for mode in range(4):
            yield x86.ROUND[a, b, mode], f"vroundsd {NAME[a]}, {NAME[a]}, {NAME[b]}, {mode | 8}"
    for a, b in itertools.product(INTEGERS, DOUBLES):
        yield x86.FROM_INT[b, b, a], f"vcvtsi2sd {NAME[b]}, {NAME[b]}, {NAME[a]}"
        yield x86.TRUNCATE[a, b], f"vcvttsd2si {NAME[a]}, {NAME[b]}"


@pytest.mark.parametrize("forms", [integer_operations, one_operand, moves, memory, doubles])
def test_encodings_are_llvms(forms: Callable[[], Iterator[Pair]]) -> None:
    pairs = list(forms())
    expected = assembled([line for _, line in pairs])
    if b"".join(code for code, _ in pairs) != expected:
        for code, line in pairs:
            assert code.hex() == assembled([line]).hex(), line


def test_negating_and_mirroring_conditions() -> None:
    for a, b in itertools.product(range(-2, 3), repeat=2):
        holds = {x86.E: a == b, x86.NE: a != b, x86.L: a < b, x86.GE: a >= b, x86.G: a > b, x86.LE: a <= b}
        mirrored = {x86.E: b == a, x86.NE: b != a, x86.L: b < a, x86.GE: b >= a, x86.G: b > a, x86.LE: b <= a}
        assert all(holds[code] != holds[code ^ 1] for code in holds)
        assert all(holds[code] == mirrored[x86.MIRRORED[code]] for code in holds)


def test_tables_do_not_grow_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(x86, "KEPT_ENCODINGS", 2)
    table = x86.Encodings(lambda *operands: bytes(operands))
    assert [table[k, k + 1] for k in range(5)] == [bytes((k, k + 1)) for k in range(5)]
    assert len(table) == 2
