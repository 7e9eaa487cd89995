"""Entry and end of a function, and the pieces of code that a unit's functions share.

A frame, from rsp upwards: state of exits and what is passed in memory; results that exits give; slots of variables; the
entry's third argument; scratch areas; values of the present block; saved registers; the return address.
"""

from __future__ import annotations

import struct
from functools import cache

from lean_agentic.jit_runtime.lir import Function, Variable
from lean_agentic.jit_runtime.x86_allocation import SLOT
from lean_agentic.jit_runtime.x86_calls import (
    ADD_RSP,
    DOUBLE_ARGUMENTS,
    DOUBLE_RESULTS,
    FAR,
    INTEGER_ARGUMENTS,
    INTEGER_RESULTS,
    call_runtime,
    epilogue,
    far_frame,
    parallel_moves,
    places,
)
from lean_agentic.jit_runtime.x86_encoder import (
    FRAME_LOAD,
    FRAME_STORE,
    LOAD,
    MOVE,
    NE,
    NO_INDEX,
    POP,
    PUSH,
    R10,
    R11,
    R15,
    RAX,
    RBX,
    RDI,
    RDX,
    RET,
    RSI,
    RSP,
    STORE,
    XMM,
)
from lean_agentic.jit_runtime.x86_exits import ANSWERED, EPILOGUE, EXIT, TEST_EAX
from lean_agentic.jit_runtime.x86_jumps import jump
from lean_agentic.jit_runtime.x86_state import IN_FRAME, State
from lean_agentic.jit_runtime.x86_unit import UnitCode

SUB_RSP = b"\x48\x81\xec"
TOO_DEEP = "#too_deep"
CHECK_DEPTH = b"\x49\x3b\x67\x08\x0f\x82\0\0\0\0"
"""cmp rsp, [r15 + 8]; jb"""
_SAVED_BYTES = SLOT * (IN_FRAME - 1)
_COLLECT_HEAD = bytes.fromhex(
    "8b4e04"  # mov ecx, [rsi+4]
    "488d04cd0f000000"  # lea rax, [rcx*8+15]
    "4883e0f0"  # and rax, -16
    "4829c4"  # sub rsp, rax
    "48634608"  # movsxd rax, dword [rsi+8]
    "4c8b04c3"  # mov r8, [rbx+rax*8]
    "4885c0"  # test rax, rax
    "7907"  # jns +7
    "48f7d0"  # not rax
    "4c8d04c3"  # lea r8, [rbx+rax*8]
    "31d2"  # xor edx, edx
    "4c8d0d"  # lea r9, [rip+...]
)
_COLLECT = bytes.fromhex(
    "4839ca"  # loop: cmp rdx, rcx
    "7320"  # jae done
    "486344960c"  # movsxd rax, dword [rsi+rdx*4+12]
    "4885c0"  # test rax, rax
    "7806"  # js constant
    "4c8b14c3"  # mov r10, [rbx+rax*8]
    "eb07"  # jmp store
    "48f7d0"  # constant: not rax
    "4d8b14c1"  # mov r10, [r9+rax*8]
    "4c8914d4"  # store: mov [rsp+rdx*8], r10
    "48ffc2"  # inc rdx
    "ebdb"  # jmp loop
    "488d448e0c"  # done: lea rax, [rsi+rcx*4+12]
    "48898308010000"  # mov [rbx+264], rax
    "4c89c1"  # mov rcx, r8
    "8b36"  # mov esi, [rsi]
    "4889e2"  # mov rdx, rsp
    "4c89ff"  # mov rdi, r15
)
_INT32 = struct.Struct("<i")


def begin(s: State) -> None:
    """Make the frame and bring the arguments to their homes."""
    code = s.code
    function = s.facts.function
    if function.recursive:
        code += CHECK_DEPTH
        s.unit.calls.append((len(code), TOO_DEEP))
    for register in s.homes.saved:
        code += PUSH[register]
    if s.is_entry:
        code += PUSH[R15]
    code += SUB_RSP + b"\0\0\0\0"
    s.frame_ends.append(len(code) - 4)
    if s.is_entry:
        code += MOVE[R15, RDI] + FRAME_STORE[RDX, s.out_pointer]
        _arguments_from_memory(s, function)
    else:
        _arguments_from_caller(s, function)


def _home_of_argument(s: State, variable: Variable) -> tuple[int | None, int | None]:
    """Register or slot of a parameter; neither if its first value is not used."""
    key = ~variable[0]
    if not s.facts.blocks[0].live_in & s.bits[key]:
        return None, None
    return s.registers.get(key), s.homes.slots.get(key)


def _arguments_from_memory(s: State, function: Function) -> None:
    last: list[bytes] = []
    for k, variable in enumerate(function.parameters):
        register, slot = _home_of_argument(s, variable)
        width = "f64" if variable[1] == "f" else "i64"
        if register is not None:
            load = LOAD[width, register, RSI, NO_INDEX, 0, SLOT * k]
            if register == RSI:
                last.append(load)
            else:
                s.code += load
        elif slot is not None:
            s.code += LOAD["i64", RAX, RSI, NO_INDEX, 0, SLOT * k] + FRAME_STORE[RAX, slot]
    for load in last:
        s.code += load


def _arguments_from_caller(s: State, function: Function) -> None:
    moves: dict[int, int] = {}
    in_memory = []
    letters = "".join([each[1] for each in function.parameters])
    for variable, place in zip(function.parameters, places(letters, INTEGER_ARGUMENTS, DOUBLE_ARGUMENTS), strict=True):
        register, slot = _home_of_argument(s, variable)
        if place < 0:
            in_memory.append((register, slot, ~place * SLOT))
        elif register is not None:
            moves[register] = place
        elif slot is not None:
            s.code += FRAME_STORE[place, slot]
    parallel_moves(s, moves)
    for register, slot, offset in in_memory:
        if register is not None:
            far_frame(s, True, register, offset)
        elif slot is not None:
            far_frame(s, True, RAX, offset)
            s.code += FRAME_STORE[RAX, slot]


def finish(s: State) -> None:
    """Code behind the blocks: the call of the runtime's exit and the return with its status. Fills in addresses."""
    if any(label == ANSWERED for _, label in s.fixups):
        s.labels[ANSWERED] = len(s.code)
        if not s.is_entry and s.facts.function.results:
            s.code += TEST_EAX
            jump(s, NE, EPILOGUE)
            _results_of_exit(s)
    s.labels[EPILOGUE] = len(s.code)
    epilogue(s)
    _fill_in(s)


def _results_of_exit(s: State) -> None:
    letters = s.facts.function.results
    for k, place in enumerate(places(letters, INTEGER_RESULTS, DOUBLE_RESULTS)):
        if place >= 0:
            s.code += FRAME_LOAD[place, s.answer + SLOT * k]
        else:
            s.code += FRAME_LOAD[R11, s.answer + SLOT * k]
            far_frame(s, False, R11, ~place * SLOT)


def _fill_in(s: State) -> None:
    code, labels = s.code, s.labels
    pack = _INT32.pack_into
    for position, label in s.fixups:
        pack(code, position - 4, labels[label] - position)
    pushed = SLOT * (len(s.homes.saved) + s.is_entry + 1)
    size = s.spill_end + (-(s.spill_end + pushed) % 16)
    for position in s.frame_ends:
        pack(code, position, size)
    for position in s.frame_uses:
        pack(code, position, _INT32.unpack_from(code, position)[0] - FAR + size + pushed)


# -- shared code -------------------------------------------------------------------------------------------------------


@cache
def _exit_parts() -> tuple[bytes, bytes]:
    """The code before and behind the distance to the pool."""
    code = bytearray(SUB_RSP + _INT32.pack(_SAVED_BYTES))
    saved = [each for each in range(2 * XMM) if each != RSP]
    for register in saved:
        code += FRAME_STORE[register, SLOT * register]
    code += MOVE[RBX, RSP] + LOAD["i64", RSI, RBX, NO_INDEX, 0, _SAVED_BYTES] + _COLLECT_HEAD
    tail = bytearray(_COLLECT)
    call_runtime(tail, "exit")
    tail += MOVE[RSP, RBX]
    for register in saved:
        if register != RAX:
            tail += FRAME_LOAD[register, SLOT * register]
    return bytes(code), bytes(tail + ADD_RSP + _INT32.pack(_SAVED_BYTES) + RET)


def exit_code(unit: UnitCode) -> None:
    """The code that `x86_exits` calls, see there."""
    head, tail = _exit_parts()
    unit.code += head + _INT32.pack(0)
    unit.pool_uses.append((len(unit.code), 0, 0))
    unit.code += tail


def too_deep(unit: UnitCode) -> None:
    """Raise RecursionError and return 1; instead of a function's frame."""
    unit.code += SUB_RSP + _INT32.pack(SLOT) + MOVE[RDI, R15]
    call_runtime(unit.code, "recursion_error")
    unit.code += ADD_RSP + _INT32.pack(SLOT) + RET


def boundary(unit: UnitCode, function: Function) -> None:
    """The unit's entry for a function that is also called as a procedure."""
    code = unit.code
    arguments = places("".join([each[1] for each in function.parameters]), INTEGER_ARGUMENTS, DOUBLE_ARGUMENTS)
    results = places(function.results, INTEGER_RESULTS, DOUBLE_RESULTS)
    in_memory = max([0, *[-each for each in (*arguments, *results)]])
    # An odd number of slots: with r15 and the third argument pushed they keep the frame aligned.
    area = SLOT * (in_memory | 1)
    code += PUSH[R15] + PUSH[RDX] + SUB_RSP + _INT32.pack(area) + MOVE[R15, RDI] + MOVE[RAX, RSI]
    for k, (variable, place) in enumerate(zip(function.parameters, arguments, strict=True)):
        width = "f64" if variable[1] == "f" else "i64"
        register = place if place >= 0 else R11
        code += LOAD["i64" if place < 0 else width, register, RAX, NO_INDEX, 0, SLOT * k]
        if place < 0:
            code += FRAME_STORE[R11, ~place * SLOT]
    code += b"\xe8\0\0\0\0"
    unit.calls.append((len(code), function.name))
    stores = _results_to_memory(results, area)
    code += TEST_EAX + b"\x0f\x85" + _INT32.pack(len(stores)) + stores
    code += ADD_RSP + _INT32.pack(area) + POP[RDX] + POP[R15] + RET


def _results_to_memory(results: tuple[int, ...], area: int) -> bytes:
    stores = FRAME_LOAD[R10, area]
    for k, place in enumerate(results):
        if place < 0:
            stores += FRAME_LOAD[R11, ~place * SLOT]
        register = place if place >= 0 else R11
        stores += STORE["f64" if register >= XMM else "i64", register, R10, NO_INDEX, 0, SLOT * k]
    return stores


SHARED = {EXIT: exit_code, TOO_DEEP: too_deep}
