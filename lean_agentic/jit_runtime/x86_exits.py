"""Exits: tables that say where the values of a state are, and calls of the runtime with it.

A stub at the function's end calls `#exit`, one piece of code for the unit, which saves all registers, collects the
state by the table behind the call, calls the runtime, and comes back behind the table with its status in eax and all
other registers as before. So stubs are small and quick to make; exits are rare and followed by work in Python anyway.

Table, 4 bytes each: exit number; number of values; where results go; each value's place. Places are numbers of 8-byte
slots from the saved registers upwards: 0 to 31 registers, from `IN_FRAME` on the frame. The value at a place ~p is the
constant p of the unit's pool. Results go to the address at a place p, or for ~p to the place p itself.
"""

from __future__ import annotations

import struct

from lean_agentic.jit_runtime.lir import Exit, Instruction, Mode, Temporary
from lean_agentic.jit_runtime.x86_allocation import SLOT
from lean_agentic.jit_runtime.x86_encoder import FRAME_LOAD, NE, RAX, E
from lean_agentic.jit_runtime.x86_jumps import go, jump
from lean_agentic.jit_runtime.x86_state import IN_FRAME, Handler, State

ANSWERED, EPILOGUE = -1_000_001, -1_000_002
"""Labels: look at the status of an exit in eax; return with the status in eax."""
EXIT = "#exit"
CMP_EAX = b"\x83\xf8"
TEST_EAX = b"\x85\xc0"
POLL_WORD = b"\x49\x8b\x07\x83\x38\x00"
"""mov rax, [r15]; cmp dword [rax], 0"""
PENDING, GO_ON = 2, 3
"""Statuses of the runtime's `exit`."""


def take_exit(s: State, leave: Exit, locations: tuple[int, ...]) -> None:
    """Call the runtime's exit; its status is in eax afterwards, the other registers are as before."""
    code = s.code
    code += b"\xe8\0\0\0\0"
    s.unit.calls.append((len(code), EXIT))
    out = ~(s.answer // SLOT + IN_FRAME)
    if s.is_entry and leave.mode is not Mode.ASK:
        out = s.out_pointer // SLOT + IN_FRAME
    count = len(locations)
    code += struct.pack(f"<{count + 3}i", leave.number, count, out, *locations)


def _poll(s: State, instruction: Instruction) -> None:
    leave = instruction[1]
    s.clear(RAX)
    s.code += POLL_WORD
    label, back = s.new_label(), s.new_label()
    s.poll_list.append((label, leave, s.locations(leave), back))
    jump(s, NE, label)
    s.labels[back] = len(s.code)


def _leave(s: State, instruction: Instruction) -> None:
    go(s, s.stub(instruction[1]))


def _ask(s: State, instruction: Instruction) -> None:
    _, targets, leave = instruction
    s.clear(RAX)
    take_exit(s, leave, s.locations(leave))
    unless_returned(s, leave.behind)
    for k, target in enumerate(targets):
        take_from_frame(s, target, s.answer + SLOT * k)


def take_from_frame(s: State, target: Temporary, offset: int) -> None:
    """Load a result."""
    register = s.result_double(target, -1) if target[1] == "f" else s.result(target, -1)
    s.code += FRAME_LOAD[register, offset]


def unless_returned(s: State, behind: Exit | None, passes: bool = False) -> None:
    """Go on if the status in eax is 0; return with it if it is 1; take an exit if a result is pending.

    `passes`: the exit is taken for 1 too, so that the caller's line gets into the traceback.
    """
    label = s.new_label()
    s.behind_list.append((label, behind, () if behind is None else s.locations(behind), passes))
    s.code += TEST_EAX
    jump(s, NE, label)


def emit_stubs(s: State) -> None:
    """The code that takes exits."""
    for label, leave, locations, undo in s.stub_list:
        s.labels[label] = len(s.code)
        s.code += undo
        take_exit(s, leave, locations)
        go(s, ANSWERED)
    for label, leave, locations, back in s.poll_list:
        s.labels[label] = len(s.code)
        take_exit(s, leave, locations)
        s.code += CMP_EAX + bytes((GO_ON,))
        jump(s, E, back)
        go(s, ANSWERED)
    for label, behind, locations, passes in s.behind_list:
        s.labels[label] = len(s.code)
        if behind is None:
            go(s, EPILOGUE)
        else:
            if not passes:
                s.code += CMP_EAX + bytes((PENDING,))
                jump(s, NE, EPILOGUE)
            take_exit(s, behind, locations)
            go(s, ANSWERED)


HANDLERS: dict[str, Handler] = {"poll": _poll, "leave": _leave, "ask": _ask}
