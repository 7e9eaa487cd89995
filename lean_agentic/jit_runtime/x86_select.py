"""`select`: conditional moves of integers, blends or a jump over a move for doubles."""

from __future__ import annotations

from lean_agentic.jit_runtime.lir import Instruction, Operand, Temporary
from lean_agentic.jit_runtime.x86_conditions import (
    flags,
    float_operation,
    materialise_float_comparison,
    prepare,
    rename,
)
from lean_agentic.jit_runtime.x86_encoder import BLEND, CMOV, FMASK, MOVE
from lean_agentic.jit_runtime.x86_state import Handler, State

MASKS = {"oeq": 0, "olt": 1, "ole": 2, "uno": 3, "une": 4, "ogt": 1, "oge": 2}
"""vcmpsd's predicates; for `ogt` and `oge` the operands are exchanged."""


def _select(s: State, instruction: Instruction) -> None:
    _, target, condition, a, b = instruction
    if condition.__class__ is not Temporary:
        rename(s, target, a if condition else b)
    elif target[1] == "f":
        _select_double(s, target, condition, a, b)
    else:
        _select_integer(s, target, condition, a, b)


def _select_integer(s: State, target: Temporary, condition: Temporary, a: Operand, b: Operand) -> None:
    prepare(s, condition)
    yes = s.integer(a)
    no = s.integer(b)
    code = flags(s, condition)
    # What follows leaves the flags alone.
    register = s.result(target, no)
    if register == yes:
        s.code += CMOV[code ^ 1, register, no]
        return
    if register != no:
        s.code += MOVE[register, no]
    s.code += CMOV[code, register, yes]


def _select_double(s: State, target: Temporary, condition: Temporary, a: Operand, b: Operand) -> None:
    yes = s.double(a)
    no = s.double(b)
    key = s.key_of(condition)
    noted = s.deferred.get(key)
    if noted is not None and key not in s.where and noted[0] is materialise_float_comparison:
        _, left, right, predicate = noted
        if predicate in ("ogt", "oge"):
            left, right = right, left
        s.computing.append((noted, -1))
        mask = s.scratch_double()
        float_operation(s, FMASK, mask, s.double(left), right, bytes((MASKS[predicate],)))
        s.computing.pop()
        s.code += BLEND[s.result_double(target, no), no, yes, mask]
        return
    code = flags(s, condition)
    register = s.result_double(target, no)
    source, code = (no, code) if register == yes else (yes, code ^ 1)
    if register not in (yes, no):
        s.code += MOVE[register, no]
    move = MOVE[register, source]
    s.code += bytes((0x70 | code, len(move))) + move


HANDLERS: dict[str, Handler] = {"select": _select}
