"""Jumps: to labels, to exits, and on truth values that are only noted."""

from __future__ import annotations

from typing import Any

from lean_agentic.jit_runtime.lir import Exit, Operand
from lean_agentic.jit_runtime.x86_conditions import (
    compare,
    compare_doubles,
    known,
    materialise_float_comparison,
    materialise_integer_comparison,
    materialise_not,
    materialise_two,
)
from lean_agentic.jit_runtime.x86_encoder import NE, TEST, E, P
from lean_agentic.jit_runtime.x86_state import State

Target = int | Exit
"""A label, or an exit, whose state is the one at the jump."""


def jump(s: State, condition: int, target: Target) -> None:
    """Jump to a label if a condition code holds."""
    label = s.stub(target) if target.__class__ is Exit else target
    code = s.code
    place = s.labels.get(label)  # type: ignore[arg-type]
    if place is not None and (distance := place - len(code) - 2) >= -128:
        code += bytes((0x70 | condition, distance & 0xFF))
        return
    code += bytes((0x0F, 0x80 | condition, 0, 0, 0, 0))
    s.fixups.append((len(code), label))  # type: ignore[arg-type]


def go(s: State, label: int) -> None:
    """Jump to a label."""
    code = s.code
    place = s.labels.get(label)
    if place is not None and (distance := place - len(code) - 2) >= -128:
        code += bytes((0xEB, distance & 0xFF))
        return
    code += b"\xe9\0\0\0\0"
    s.fixups.append((len(code), label))


def jump_if(s: State, condition: Operand, wanted: bool, target: Target) -> None:
    """Jump if a truth value is, or is not, true."""
    is_constant, value = known(s, condition)
    if is_constant:
        if bool(value) == wanted:
            go(s, s.stub(target) if isinstance(target, Exit) else target)
        return
    key = s.key_of(condition)  # type: ignore[arg-type]
    noted = s.deferred.get(key)
    if noted is None or key in s.where or (noted[0] is materialise_two and _would_join(noted, wanted, target)):
        register = s.integer(condition)
        s.code += TEST[register, register]
        jump(s, NE if wanted else E, target)
    elif noted[0] is materialise_integer_comparison:
        code = compare(s, noted)
        jump(s, code if wanted else code ^ 1, target)
    elif noted[0] is materialise_float_comparison:
        _jump_by_float(s, noted, wanted, target)
    elif noted[0] is materialise_not:
        jump_if(s, noted[1], not wanted, target)
    else:
        _jump_by_two(s, noted, wanted, target)


def _would_join(noted: tuple[Any, ...], wanted: bool, target: Target) -> bool:
    """Whether code behind the jump could be reached around the second comparison, which may move values."""
    return target.__class__ is Exit and (noted[1] == "bor") != wanted


def _jump_by_two(s: State, noted: tuple[Any, ...], wanted: bool, target: Target) -> None:
    _, operation, a, b, _ = noted
    if (operation == "bor") == wanted:
        jump_if(s, a, wanted, target)
        jump_if(s, b, wanted, target)
        return
    skip = s.new_label()
    jump_if(s, a, not wanted, skip)
    jump_if(s, b, wanted, target)
    s.labels[skip] = len(s.code)


def _jump_by_float(s: State, noted: tuple[Any, ...], wanted: bool, target: Target) -> None:
    code = compare_doubles(s, noted)
    predicate = noted[3]
    if predicate == ("une" if wanted else "oeq"):
        jump(s, P, target)
        jump(s, NE, target)
    elif predicate == ("oeq" if wanted else "une"):
        s.code += bytes((0x70 | P, 6))  # over the next jump
        label = s.stub(target) if isinstance(target, Exit) else target
        s.code += bytes((0x0F, 0x80 | E, 0, 0, 0, 0))
        s.fixups.append((len(s.code), label))
    else:
        jump(s, code if wanted else code ^ 1, target)
