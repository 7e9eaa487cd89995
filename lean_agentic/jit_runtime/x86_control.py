"""Guards, branches, and the ends of blocks."""

from __future__ import annotations

from lean_agentic.jit_runtime.lir import Instruction
from lean_agentic.jit_runtime.x86_encoder import TRAP
from lean_agentic.jit_runtime.x86_jumps import go, jump_if
from lean_agentic.jit_runtime.x86_state import Handler, State
from lean_agentic.jit_runtime.x86_variables import restore_homes


def _guard(s: State, instruction: Instruction) -> None:
    jump_if(s, instruction[1], False, instruction[2])


def _branch(s: State, instruction: Instruction) -> None:
    if s.displaced & s.live_out:
        restore_homes(s)
    if instruction[1] != s.following:
        go(s, instruction[1])


def _choose(s: State, instruction: Instruction) -> None:
    _, condition, yes, no = instruction
    if s.displaced & s.live_out:
        restore_homes(s)
    if yes == s.following:
        jump_if(s, condition, False, no)
        return
    jump_if(s, condition, True, yes)
    if no != s.following:
        go(s, no)


def _unreachable(s: State, instruction: Instruction) -> None:
    s.code += TRAP


def _nothing(s: State, instruction: Instruction) -> None:
    pass


HANDLERS: dict[str, Handler] = {
    "guard": _guard, "br": _branch, "cbr": _choose, "unreachable": _unreachable, "nothing": _nothing,
}  # fmt: skip
