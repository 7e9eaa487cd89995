"""The baseline back end: LIR to x86-64 machine code, without LLVM and in about a millisecond.

In: a `lir.Unit`. Out: position-independent code without external symbols, and the offset of its entry
`int32_t entry(Context *ctx, const Slot *in, Slot *out)`.

One pass over each function (`x86_analysis`) finds last uses and liveness, `x86_allocation` gives variables registers
for the whole function, and one pass forwards over each block emits code, with registers for temporaries found on the
way (`x86_state`). Needs AVX and BMI2. Idea: Poletto and Sarkar, Linear Scan Register Allocation, TOPLAS 1999, and the
single-pass compilers of V8 (Liftoff) and TPDE (Engelke and Schwarz 2025).
"""

from __future__ import annotations

import platform
import struct
import sys
from functools import cache
from pathlib import Path

from lean_agentic.jit_runtime import (
    x86_calls,
    x86_conditions,
    x86_control,
    x86_division,
    x86_exits,
    x86_floats,
    x86_frame,
    x86_integers,
    x86_memory,
    x86_select,
    x86_variables,
)
from lean_agentic.jit_runtime.lir import Temporary, Unit
from lean_agentic.jit_runtime.x86_allocation import SLOT, Homes
from lean_agentic.jit_runtime.x86_analysis import analyse
from lean_agentic.jit_runtime.x86_facts import BlockFacts, FunctionFacts
from lean_agentic.jit_runtime.x86_state import FunctionState, Handler
from lean_agentic.jit_runtime.x86_unit import UnitCode

MODULES = (
    *(x86_calls, x86_conditions, x86_control, x86_division, x86_exits, x86_floats, x86_integers, x86_memory),
    *(x86_select, x86_variables),
)
HANDLERS: dict[str, Handler] = {name: handler for module in MODULES for name, handler in module.HANDLERS.items()}
NO_DEFINITION = frozenset(("guard", "store", "cbr", "br", "ret", "poll", "leave", "set", "nothing", "unreachable"))
ALIGNMENT = 16
_BITS = struct.Struct("<q")
_INT32 = struct.Struct("<i")


@cache
def available() -> bool:
    """Whether this machine runs the code: x86-64, Linux or macOS, AVX and BMI2."""
    if platform.machine().lower() not in ("x86_64", "amd64") or struct.calcsize("P") != 8:
        return False
    if sys.platform == "darwin":
        return {"avx1.0", "bmi2"} <= _features_of_macos()
    return sys.platform.startswith("linux") and {"avx", "bmi2"} <= _features_of_linux(Path("/proc/cpuinfo"))


def _features_of_linux(information: Path) -> set[str]:
    if not information.exists():
        return set()
    with information.open(encoding="utf-8") as lines:
        line = next((each for each in lines if each.startswith("flags")), ":")
    return set(line.partition(":")[2].split())


def _features_of_macos() -> set[str]:
    import subprocess

    command = ["sysctl", "-n", "machdep.cpu.features", "machdep.cpu.leaf7_features"]
    return set(subprocess.run(command, capture_output=True, text=True, check=False).stdout.lower().split())


def compile_unit(unit: Unit) -> tuple[bytes, int]:
    """Machine code of a unit.

    Parameters
    ----------
    unit : Unit
        Its first function is the entry.

    Returns
    -------
    tuple of bytes and int
        Code to be mapped at a multiple of 16, and the offset of its entry.
    """
    made = UnitCode(unit.functions)
    facts = [analyse(each) for each in unit.functions]
    first = unit.functions[0]
    is_called = any(first.name in each.called for each in facts)
    starts: dict[str, int] = {}
    if is_called:
        x86_frame.boundary(made, first)
    for each in facts:
        made.code += b"\xcc" * (-len(made.code) % ALIGNMENT)
        starts[each.function.name] = len(made.code)
        _compile_function(made, each, is_entry=each is facts[0] and not is_called)
    _finish(made, starts)
    return bytes(made.code), 0


def _compile_function(unit: UnitCode, facts: FunctionFacts, is_entry: bool) -> None:
    homes = Homes(facts, SLOT * (facts.passed_slots + facts.answer_slots))
    state = FunctionState(unit, facts, homes, is_entry)
    x86_frame.begin(state)
    blocks = [each for each in facts.blocks if not each.block.cold] + [each for each in facts.blocks if each.block.cold]
    if blocks[0] is not facts.blocks[0]:
        blocks.remove(facts.blocks[0])
        blocks.insert(0, facts.blocks[0])
    following = [each.block.label for each in blocks[1:]]
    following.append(0)
    for block, label in zip(blocks, following, strict=True):
        state.following = label
        state.labels[block.block.label] = len(unit.code)
        state.begin_block(block)
        if block.crossing:
            _emit_crossing(state, block)
        else:
            _emit(state, block)
    x86_exits.emit_stubs(state)
    x86_frame.finish(state)


def _emit(state: FunctionState, block: BlockFacts) -> None:
    handlers = HANDLERS
    for instruction in block.instructions:
        state.instruction = instruction
        handlers[instruction[0]](state, instruction)
        state.position += 1


def _emit_crossing(state: FunctionState, block: BlockFacts) -> None:
    """As `_emit`, for a block that defines temporaries which others use: these go to their homes at once."""
    crossing = set(block.crossing)
    for key in crossing:
        state.mem.pop(key, None)
    for instruction in block.instructions:
        state.instruction = instruction
        operation = instruction[0]
        HANDLERS[operation](state, instruction)
        if operation not in NO_DEFINITION:
            targets = instruction[1]
            for target in (targets,) if targets.__class__ is Temporary else targets or ():
                if target[0] in crossing:
                    x86_variables.settle(state, target)
        state.position += 1


def _finish(unit: UnitCode, starts: dict[str, int]) -> None:
    """Append shared code and constants, and fill in the distances to them."""
    code = unit.code
    for name in dict.fromkeys(name for _, name in unit.calls):
        if name in x86_frame.SHARED:
            starts[name] = len(code)
            x86_frame.SHARED[name](unit)
    for position, name in unit.calls:
        _INT32.pack_into(code, position - 4, starts[name] - position)
    if unit.pool or unit.pool_uses:
        code += b"\xcc" * (-len(code) % ALIGNMENT)
        start = len(code)
        # Some instructions read 16 bytes, of which the last 8 do not matter.
        code += b"".join(map(_BITS.pack, unit.pool)) + bytes(8)
        for position, tail, place in unit.pool_uses:
            _INT32.pack_into(code, position - 4, start + 8 * place - position - tail)
