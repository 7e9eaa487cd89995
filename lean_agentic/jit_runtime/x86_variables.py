"""`get` and `set`: most of them make no code.

A `get` gives the variable's present value another name. A `set` does the same, unless it is the last one in the block
of a variable that is live behind the block: then the value goes to the variable's home, where it often is already
because it was computed there.
"""

from __future__ import annotations

from lean_agentic.jit_runtime.lir import Instruction, Temporary
from lean_agentic.jit_runtime.x86_encoder import FRAME_STORE, MOVE, NO_INDEX, RSP, STORE_IMMEDIATE
from lean_agentic.jit_runtime.x86_facts import ALWAYS
from lean_agentic.jit_runtime.x86_state import Handler, State
from lean_agentic.jit_runtime.x86_unit import bits_of
from lean_agentic.jit_runtime.x86_values import SET_AT


def get_variable(s: State, instruction: Instruction) -> None:
    """Name the variable's value."""
    key = ~instruction[2][0]
    s.alias[instruction[1][0]] = s.current.get(key, key)


def set_variable(s: State, instruction: Instruction) -> None:
    """Make a value the variable's."""
    _, variable, operand = instruction
    position = s.position
    variable_key = ~variable[0]
    reads = s.block.set_last[position]
    if operand.__class__ is Temporary:
        key = operand[0]
        key = s.alias.get(key, key)
        s.extend(key, reads)
        if key in s.deferred and position in s.block.shown:
            exist(s, key)
    else:
        key = SET_AT + position
        s.const[key] = float(operand) if variable[1] == "f" else operand
        s.last[key] = reads
    bit = 1 << variable[0]
    if s.live_out & bit and position in s.block.finals:
        to_home(s, variable_key, key, reads)
        s.displaced &= ~bit
    else:
        s.current[variable_key] = key
        s.displaced |= bit


def exist(s: State, key: int) -> None:
    """Compute a value that is only noted, since an exit shows it."""
    if key not in s.where and key not in s.mem:
        register = s.take(key)
        del s.where[key]
        s.fill(register, key)
        s.where[key] = register
    del s.deferred[key]


def to_home(s: State, variable: int, key: int, reads: int) -> None:
    """Put a value where a variable lives."""
    register = s.registers.get(variable)
    if register is None:
        to_slot(s, variable, key)
        s.current[variable] = key
        return
    if s.where.get(key) == register and s.holds[register] == key:
        s.current[variable] = key
        return
    s.move_away(register)
    source = s.where.get(key)
    if source is None:
        s.fill(register, key)
    else:
        s.code += MOVE[register, source]
        if s.holds[source] == key:
            if s.reserved >> source & 1:
                # The value now has two homes; this one gets a key of its own.
                s.spare[key] = register
                key = SET_AT + s.position
                s.last[key] = reads
            else:
                s.holds[source] = None
                if s.registers.get(key) == source and key not in s.current:
                    s.displaced |= s.bits[key]
    s.bind(key, register)
    s.current[variable] = key


def to_slot(s: State, variable: int, key: int) -> None:
    """Store a value into a variable's slot."""
    offset = s.homes.slots[variable]
    if s.mem.get(variable) == offset:
        if variable == key:
            return
        if s.last.get(variable, -1) > s.position and variable not in s.where:
            load(s, variable, variable)
        s.mem.pop(variable)
    source = s.where.get(key)
    if source is None and key in s.const:
        store_constant(s, offset, bits_of(s.const[key]))
    else:
        s.code += FRAME_STORE[load(s, key, variable) if source is None else source, offset]
    if key not in s.const:
        s.mem.setdefault(key, offset)


def load(s: State, key: int, variable: int) -> int:
    """Bring a value of a variable's machine type into a register."""
    return s.load_double(key) if s.facts.machines[variable] == "f" else s.load(key)


def store_constant(s: State, offset: int, bits: int) -> None:
    """Store 64 bits into the frame."""
    if -(2**31) <= bits < 2**31:
        s.code += STORE_IMMEDIATE["i64", bits, RSP, NO_INDEX, 0, offset]
    else:
        s.code += FRAME_STORE[s.integer(bits), offset]


def settle(s: State, temporary: Temporary) -> None:
    """Put a temporary that other blocks use into its home, right after its definition."""
    key = temporary[0]
    value = s.alias.pop(key, key)
    if value in s.const and value != key:
        s.const[key] = s.const[value]
        value = key
    s.extend(value, ALWAYS)
    to_home(s, key, value, ALWAYS)
    s.alias[key] = s.current[key]


def restore_homes(s: State) -> None:
    """Bring variables that calls drove out of their registers back, at the block's end."""
    homeless = s.displaced & s.live_out & s.homes.register_bits
    while homeless:
        bit = homeless & -homeless
        homeless ^= bit
        variable, register = s.homes.by_bit[bit]
        key = s.current.get(variable, variable)
        source = s.where.get(key)
        if source is None:
            s.fill(register, key)
        elif source != register:
            s.code += MOVE[register, source]
    s.displaced &= ~s.live_out


HANDLERS: dict[str, Handler] = {"get": get_variable, "set": set_variable}
