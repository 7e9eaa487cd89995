"""Calls of procedures and of runtime functions, and returns.

Runtime functions follow the System V ABI. Procedures take their first arguments in the same registers and the others at
the bottom of the caller's frame; they return the status in eax and the results in rdx, rcx, xmm0, xmm1, others again at
the bottom of the caller's frame. r15 is the context everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache

from lean_agentic.jit_runtime.lir import Instruction, Operand, Temporary
from lean_agentic.jit_runtime.runtime_functions import RUNTIME_FUNCTIONS
from lean_agentic.jit_runtime.x86_allocation import CALLER_SAVED, SLOT
from lean_agentic.jit_runtime.x86_encoder import (
    EXCHANGE,
    FRAME_LOAD,
    FRAME_STORE,
    LOAD,
    MOVE,
    NO_INDEX,
    POP,
    R8,
    R9,
    R15,
    RAX,
    RCX,
    RDI,
    RDX,
    RET,
    RSI,
    STORE,
    XMM,
)
from lean_agentic.jit_runtime.x86_exits import take_from_frame, unless_returned
from lean_agentic.jit_runtime.x86_state import Handler, State
from lean_agentic.jit_runtime.x86_unit import as_float
from lean_agentic.jit_runtime.x86_variables import store_constant

INTEGER_ARGUMENTS = (RDI, RSI, RDX, RCX, R8, R9)
DOUBLE_ARGUMENTS = tuple(range(XMM, XMM + 8))
INTEGER_RESULTS = (RDX, RCX)
DOUBLE_RESULTS = (XMM, XMM + 1)
CLOBBERED = sum([1 << each for each in CALLER_SAVED]) | 0xFFFF << XMM
FAR = 1 << 20
"""Stands for the size of the frame, which is known at the end."""
TABLE_OFFSET = 16
ADD_RSP = b"\x48\x81\xc4"
ZERO_EAX = b"\x31\xc0"
_TABLE_INDEX = {name: index for index, name in enumerate(RUNTIME_FUNCTIONS)}


@cache
def places(letters: str, integers: tuple[int, ...], doubles: tuple[int, ...]) -> tuple[int, ...]:
    """A register for each machine value; -1, -2, ... for those passed in the frame's first, second, ... slot."""
    found = []
    next_integer = next_double = next_slot = 0
    for letter in letters:
        if letter == "f" and next_double < len(doubles):
            found.append(doubles[next_double])
            next_double += 1
        elif letter != "f" and next_integer < len(integers):
            found.append(integers[next_integer])
            next_integer += 1
        else:
            next_slot += 1
            found.append(-next_slot)
    return tuple(found)


def parallel_moves(s: State, moves: dict[int, int]) -> None:
    """Move registers (target -> source) as if at once."""
    moves = {target: source for target, source in moves.items() if target != source}
    while moves:
        sources = moves.values()
        ready = [target for target in moves if target not in sources]
        for target in ready:
            s.code += MOVE[target, moves.pop(target)]
        if not ready and moves:
            _break_cycle(s, moves)


def _break_cycle(s: State, moves: dict[int, int]) -> None:
    target = next(iter(moves))
    source = moves.pop(target)
    if target < XMM:
        s.code += EXCHANGE[target, source]
    else:
        # rax is no argument.
        s.code += MOVE[RAX, target] + MOVE[target, source] + MOVE[source, RAX]
    for other, origin in moves.items():
        if origin == target:
            moves[other] = source
    if moves.get(source) == source:
        del moves[source]


def _pass(s: State, operands: Sequence[Operand], letters: str, targets: tuple[int, ...]) -> None:
    """Bring operands to registers, and others to the frame's bottom; values needed behind a call are saved first."""
    for operand, letter, target in zip(operands, letters, targets, strict=True):
        if target < 0:
            _to_bottom(s, operand, letter, ~target * SLOT)
        else:
            compute_noted(s, operand)
    _save(s)
    to_registers(s, operands, letters, targets)


def compute_noted(s: State, operand: Operand) -> None:
    """See to it that an operand is in a register, in the frame, or a constant."""
    if isinstance(operand, Temporary):
        key = s.key_of(operand)
        if key in s.deferred and key not in s.where and key not in s.mem:
            s.load(key)


def to_registers(s: State, operands: Iterable[Operand], letters: Iterable[str], targets: Iterable[int]) -> None:
    """Bring those operands that have a register as their target there; nothing else survives in registers."""
    moves: dict[int, int] = {}
    loads: list[tuple[int, int]] = []
    constants: list[tuple[int, Operand]] = []
    for operand, letter, target in zip(operands, letters, targets, strict=True):
        if target < 0:
            continue
        if operand.__class__ is not Temporary:
            constants.append((target, as_float(operand) if letter == "f" else operand))  # type: ignore[arg-type]
            continue
        key = s.key_of(operand)
        source = s.where.get(key)
        if source is None:
            loads.append((target, key))
        else:
            moves[target] = source
    parallel_moves(s, moves)
    for target, key in loads:
        s.fill(target, key)
    for target, constant in constants:
        s.load_constant(target, constant)  # type: ignore[arg-type]


def _to_bottom(s: State, operand: Operand, letter: str, offset: int) -> None:
    if operand.__class__ is Temporary or letter == "f":
        s.code += FRAME_STORE[s.double(operand) if letter == "f" else s.integer(operand), offset]
    else:
        store_constant(s, offset, int(operand or 0))  # type: ignore[arg-type]


def _save(s: State) -> None:
    """Store what the call overwrites and somebody needs."""
    position, reserved, holds = s.position, s.reserved, s.holds
    for key, register in s.where.items():
        if not CLOBBERED >> register & 1 or key in s.mem or key in s.const:
            continue
        if s.last.get(key, -1) > position or (reserved >> register & 1 and holds[register] == key):
            s.code += FRAME_STORE[register, s.new_spill(key)]


def _forget(s: State) -> None:
    """The call has overwritten registers."""
    s.where = {key: register for key, register in s.where.items() if not CLOBBERED >> register & 1}
    s.spare = {}
    holds = s.holds
    for register in (*CALLER_SAVED, *range(XMM, 2 * XMM)):
        holds[register] = None
    s.free = [each for each in s.pool if holds[each] is None]
    s.free_doubles = list(s.pool_doubles)
    s.find_displaced()


def _runtime(s: State, instruction: Instruction) -> None:
    _, target, name, arguments = instruction
    signature = RUNTIME_FUNCTIONS[name]
    letters = signature.arguments
    targets = places(letters, INTEGER_ARGUMENTS, DOUBLE_ARGUMENTS)
    takes_context = letters[:1] == "c"
    _pass(s, arguments, letters[takes_context:], targets[takes_context:])
    if takes_context:
        s.code += MOVE[RDI, R15]
    call_runtime(s.code, name)
    _forget(s)
    if target is not None:
        register = XMM if target[1] == "f" else RAX
        (s.free_doubles if target[1] == "f" else s.free).remove(register)
        s.bind(target[0], register)


def call_runtime(code: bytearray, name: str) -> None:
    """Call a function of the context's table; the arguments are in place."""
    code += LOAD["i64", RAX, R15, NO_INDEX, 0, TABLE_OFFSET]
    offset = SLOT * _TABLE_INDEX[name]
    code += b"\xff\x90" + offset.to_bytes(4, "little") if offset > 127 else b"\xff\x50" + bytes((offset,))


def _call(s: State, instruction: Instruction) -> None:
    _, results, name, arguments, behind = instruction
    letters = "".join([each[1] for each in s.unit.functions[name].parameters])
    _pass(s, arguments, letters, places(letters, INTEGER_ARGUMENTS, DOUBLE_ARGUMENTS))
    s.code += b"\xe8\0\0\0\0"
    s.unit.calls.append((len(s.code), name))
    _forget(s)
    unless_returned(s, behind, passes=True)
    in_memory = []
    letters = "".join([each[1] for each in results])
    for target, place in zip(results, places(letters, INTEGER_RESULTS, DOUBLE_RESULTS), strict=True):
        if place < 0:
            in_memory.append((target, ~place * SLOT))
        else:
            (s.free_doubles if place >= XMM else s.free).remove(place)
            s.bind(target[0], place)
    for target, offset in in_memory:
        take_from_frame(s, target, offset)


def _return(s: State, instruction: Instruction) -> None:
    values = instruction[1]
    letters = s.facts.function.results
    if s.is_entry:
        if values:
            out, other = s.scratch(), s.scratch()
            s.code += FRAME_LOAD[out, s.out_pointer]
            for k, (operand, letter) in enumerate(zip(values, letters, strict=True)):
                source = _anywhere(s, operand, letter, other)
                s.code += STORE["f64" if source >= XMM else "i64", source, out, NO_INDEX, 0, SLOT * k]
    else:
        targets = places(letters, INTEGER_RESULTS, DOUBLE_RESULTS)
        _results_in_memory(s, values, letters, targets)
        to_registers(s, values, letters, targets)
    s.code += ZERO_EAX
    epilogue(s)


def _results_in_memory(s: State, values: Sequence[Operand], letters: str, targets: tuple[int, ...]) -> None:
    other = s.scratch()
    for operand, letter, target in zip(values, letters, targets, strict=True):
        if target < 0:
            far_frame(s, False, _anywhere(s, operand, letter, other), ~target * SLOT)
        else:
            compute_noted(s, operand)


def _anywhere(s: State, operand: Operand, letter: str, other: int) -> int:
    """Some register with an operand's 64 bits: its own, or the other integer register given."""
    if not isinstance(operand, Temporary):
        s.load_constant(other, as_float(operand) if letter == "f" else operand)
        return other
    key = s.key_of(operand)
    register = s.where.get(key)
    if register is None:
        s.fill(other, key)
        return other
    return register


def far_frame(s: State, load: bool, register: int, offset: int) -> None:
    """Load from or store to the frame of the caller, at an offset from its bottom."""
    s.code += (FRAME_LOAD if load else FRAME_STORE)[register, FAR + offset]
    s.frame_uses.append(len(s.code) - 4)


def epilogue(s: State) -> None:
    """Return with the status in eax."""
    s.code += ADD_RSP + b"\0\0\0\0"
    s.frame_ends.append(len(s.code) - 4)
    if s.is_entry:
        s.code += POP[R15]
    for register in reversed(s.homes.saved):
        s.code += POP[register]
    s.code += RET


HANDLERS: dict[str, Handler] = {"runtime": _runtime, "call": _call, "ret": _return}
