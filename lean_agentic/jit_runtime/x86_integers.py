"""Integer operations.

Checked ones leave by a stub that runs with the state before the operation. An addition into a register that the stub
needs is undone there (wrapping arithmetic can be), which keeps the common path free of copies.
"""

from __future__ import annotations

from lean_agentic.jit_runtime.lir import Instruction, Operand, Temporary
from lean_agentic.jit_runtime.x86_conditions import known, rename
from lean_agentic.jit_runtime.x86_encoder import (
    ADD,
    ALU,
    ALU_FRAME,
    ALU_IMMEDIATE,
    AND,
    EXTEND,
    GROUP3,
    LEA,
    MOVE,
    MULTIPLY,
    MULTIPLY_FRAME,
    MULTIPLY_IMMEDIATE,
    NEG,
    NO_INDEX,
    NOT,
    OR,
    OVERFLOW,
    SAR,
    SHIFT,
    SHIFT_IMMEDIATE,
    SHL,
    SHR,
    SUB,
    XOR,
)
from lean_agentic.jit_runtime.x86_jumps import jump
from lean_agentic.jit_runtime.x86_state import Handler, State
from lean_agentic.jit_runtime.x86_unit import bits_of
from lean_agentic.jit_runtime.x86_values import NAMED

ALU_OPERATIONS = {"add": ADD, "sub": SUB, "and": AND, "or": OR, "xor": XOR, "addo": ADD, "subo": SUB}
SHIFTS = {"shl": SHL, "lshr": SHR, "ashr": SAR}
WIDTHS = {
    "sext8": "i8", "sext16": "i16", "sext32": "i32", "zext8": "u8", "zext16": "u16",
}  # fmt: skip
COMMUTATIVE = frozenset(("add", "and", "or", "xor", "addo", "mul", "mulo"))


def right_operand(s: State, operand: Operand) -> Operand:
    """A constant as such if it fits into an instruction; else an operand for a register."""
    if operand.__class__ is Temporary:
        if not s.const:
            return operand
        key = s.key_of(operand)
        if key not in s.const:
            return operand
        operand = s.const[key]
    value = bits_of(operand)  # type: ignore[arg-type]
    if -(2**31) <= value < 2**31:
        return value
    register = s.integer(value)
    return Temporary(_name(s, register), "i")


def _name(s: State, register: int) -> int:
    """A key for a constant in a scratch register."""
    key = NAMED - register
    s.bind(key, register)
    s.last[key] = s.position
    return key


def _ordered(s: State, operation: str, a: Operand, b: Operand) -> tuple[Operand, Operand]:
    """Operands with a constant on the right, where they may be exchanged."""
    if operation in COMMUTATIVE and (a.__class__ is not Temporary or (s.const and known(s, a)[0])):
        return b, a
    return a, b


def _add(s: State, instruction: Instruction) -> None:
    operation, target, a, b = instruction
    a, b = _ordered(s, operation, a, b)
    b = right_operand(s, b)
    left = s.integer(a)
    if b.__class__ is Temporary:
        right = s.integer(b)
        register = s.result(target, left)
        if register == left:
            s.code += ALU[ADD, left, right]
        elif register == right:
            s.code += ALU[ADD, right, left]
        else:
            s.code += LEA[register, left, right, 0, 0]
        return
    register = s.result(target, left)
    s.code += ALU_IMMEDIATE[ADD, register, b] if register == left else LEA[register, left, NO_INDEX, 0, b]


def _subtract(s: State, instruction: Instruction) -> None:
    _, target, a, b = instruction
    b = right_operand(s, b)
    if b.__class__ is int and b != -(2**31):
        _add(s, ("add", target, a, -b))
        return
    left = s.integer(a)
    right = s.integer(b)
    register = s.result(target, left)
    if register == right != left:
        s.code += GROUP3[NEG, right] + ALU[ADD, right, left]
        return
    if register != left:
        s.code += MOVE[register, left]
    s.code += ALU[SUB, register, right]


def _bitwise(s: State, instruction: Instruction) -> None:
    operation, target, a, b = instruction
    a, b = _ordered(s, operation, a, b)
    b = right_operand(s, b)
    left = s.integer(a)
    if b.__class__ is not Temporary:
        register = s.result(target, left)
        if register != left:
            s.code += MOVE[register, left]
        s.code += ALU_IMMEDIATE[ALU_OPERATIONS[operation], register, b]
        return
    if (offset := s.only_in_frame(s.key_of(b))) is not None:
        register = s.result(target, left)
        if register != left:
            s.code += MOVE[register, left]
        s.code += ALU_FRAME[ALU_OPERATIONS[operation], register, offset]
        return
    right = s.integer(b)
    if s.dies(right) and not s.dies(left):
        left, right = right, left
    register = s.result(target, left)
    if register == right:
        right = left
    elif register != left:
        s.code += MOVE[register, left]
    s.code += ALU[ALU_OPERATIONS[operation], register, right]


def _multiply(s: State, instruction: Instruction) -> None:
    operation, target, a, b = instruction
    a, b = _ordered(s, operation, a, b)
    b = right_operand(s, b)
    if a.__class__ is Temporary is b.__class__ and s.only_in_frame(s.key_of(a)) is not None:
        a, b = b, a
    left = s.integer(a)
    if b.__class__ is not Temporary:
        _multiply_constant(s, target, left, b)
        return
    if (offset := s.only_in_frame(s.key_of(b))) is not None:
        register = s.result(target, left)
        if register != left:
            s.code += MOVE[register, left]
        s.code += MULTIPLY_FRAME[register, offset]
        return
    right = s.integer(b)
    if s.dies(right) and not s.dies(left):
        left, right = right, left
    register = s.result(target, left)
    if register == right:
        right = left
    elif register != left:
        s.code += MOVE[register, left]
    s.code += MULTIPLY[register, right]


def _multiply_constant(s: State, target: Temporary, left: int, factor: int) -> None:
    register = s.result(target, left)
    if factor in (3, 5, 9):
        s.code += LEA[register, left, left, (factor - 1).bit_length() - 1, 0]
    elif factor > 0 and factor & (factor - 1) == 0:
        if register != left:
            s.code += MOVE[register, left]
        s.code += SHIFT_IMMEDIATE[SHL, register, factor.bit_length() - 1]
    else:
        s.code += MULTIPLY_IMMEDIATE[register, left, factor]


def _shift(s: State, instruction: Instruction) -> None:
    operation, target, a, b = instruction
    is_constant, count = known(s, b)
    left = s.integer(a)
    if is_constant:
        register = s.result(target, left)
        if register != left:
            s.code += MOVE[register, left]
        s.code += SHIFT_IMMEDIATE[SHIFTS[operation], register, count & 63]
        return
    right = s.integer(b)
    s.code += SHIFT[SHIFTS[operation], s.result(target, left), left, right]


def _unary(s: State, instruction: Instruction) -> None:
    operation, target, a = instruction
    source = s.integer(a)
    register = s.result(target, source)
    if register != source:
        s.code += MOVE[register, source]
    s.code += GROUP3[NEG if operation == "ineg" else NOT, register]


def _extend(s: State, instruction: Instruction) -> None:
    operation, target, a = instruction
    source = s.integer(a)
    s.code += EXTEND[WIDTHS[operation], s.result(target, source), source]


def _low_32(s: State, instruction: Instruction) -> None:
    source = s.integer(instruction[2])
    register = s.result(instruction[1], source)
    # mov of the lower half clears the upper one.
    s.code += bytes((0x40 | (source >> 3) << 2 | register >> 3, 0x89, 0xC0 | (source & 7) << 3 | register & 7))


def _rename(s: State, instruction: Instruction) -> None:
    rename(s, instruction[1], instruction[2])


# -- with overflow checks ----------------------------------------------------------------------------------------------


def _add_checked(s: State, instruction: Instruction) -> None:
    name, target, a, b, leave = instruction
    a, b = _ordered(s, name, a, b)
    b = right_operand(s, b)
    operation = ALU_OPERATIONS[name]
    left = s.integer(a)
    right = -1
    if b.__class__ is Temporary and s.only_in_frame(s.key_of(b)) is None:
        right = s.integer(b)
        if operation == ADD and s.dies(right) and not s.dies(left):
            left, right = right, left
    key = target[0]
    register = s.choose(key, left if left != right else -1, s.free, s.pool)
    if register == right and operation == ADD:
        left, right = right, left
    elif register != left and (key_there := s.holds[register]) is not None and s.last.get(key_there, -1) >= s.position:
        # The stub needs what the register holds, and no addition there could be undone.
        register = s.free.pop() if s.free else s.find(s.free, s.pool)
    undo = _applied(s, operation ^ ADD ^ SUB, register, right, b) if register == left else b""
    if register != left:
        s.code += MOVE[register, left]
    s.code += _applied(s, operation, register, right, b)
    jump(s, OVERFLOW, s.stub(leave, undo))
    s.bind(key, register)


def _applied(s: State, operation: int, register: int, right: int, operand: Operand) -> bytes:
    if right >= 0:
        return ALU[operation, register, right]
    if operand.__class__ is Temporary:
        return ALU_FRAME[operation, register, s.mem[s.key_of(operand)]]
    return ALU_IMMEDIATE[operation, register, operand]


def _multiply_checked(s: State, instruction: Instruction) -> None:
    operation, target, a, b, leave = instruction
    a, b = _ordered(s, operation, a, b)
    b = right_operand(s, b)
    left = s.integer(a)
    right = s.integer(b) if b.__class__ is Temporary else -1
    key = target[0]
    register = s.choose(key, -1, s.free, s.pool)
    if right < 0:
        s.code += MULTIPLY_IMMEDIATE[register, left, b]
    else:
        s.code += MOVE[register, left] + MULTIPLY[register, right]
    jump(s, OVERFLOW, s.stub(leave))
    s.bind(key, register)


HANDLERS: dict[str, Handler] = {
    "add": _add, "sub": _subtract, "and": _bitwise, "or": _bitwise, "xor": _bitwise, "mul": _multiply,
    "shl": _shift, "ashr": _shift, "lshr": _shift,
    "addo": _add_checked, "subo": _add_checked, "mulo": _multiply_checked, "ineg": _unary, "inot": _unary,
    **dict.fromkeys(WIDTHS, _extend), "zext32": _low_32, "ptoi": _rename, "itop": _rename,
}  # fmt: skip
