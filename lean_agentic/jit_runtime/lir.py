"""The low-level IR: machine values, explicit control flow, and exits that carry the whole state.

Instruction selection (`selection`) turns a kernel into this form once; the two back ends (`llvm_text`, `x86_encoder`)
read it. Everything that depends on Python's semantics is decided before this form, so a back end knows nothing of it.

A function has *variables*, which are mutable and live as long as the function, and *temporaries*, which are assigned
once, mostly used in the block that assigns them, and otherwise only in blocks that it dominates. Side exits do not end
a block, so blocks are extended basic blocks. Instructions are plain tuples, `(operation, target, operands...)`, since
making them has to be cheap.

Machine types are single letters: `i` a 64-bit integer, `f` an IEEE double, `p` an address, `b` a truth value (a
temporary only, never a variable).

An operand is a `Temporary`, an int or a float (immediate), or None for the null address. The operations:

==============================  ========================================================================================
``("get", t, v)``               t = variable v
``("set", v, a)``               variable v = a
``(op, t, a, b)``               i: add sub mul and or xor shl ashr lshr sdiv srem udiv urem (wrapping; shifts by 0 to
                                63; the divisor is known to be neither 0 nor, for sdiv and srem, -1);
                                f: fadd fsub fmul fdiv
``(op, t, a, b, exit)``         addo subo mulo: signed, leaving by the exit when the result does not fit
``(op, t, a)``                  ineg inot; fneg fabs fsqrt ffloor fceil ftrunc frint (half to even); round32 (to float32
                                and back); sext8 sext16 sext32 zext8 zext16 zext32 (the low bits of an i); itof (signed)
                                uitof (unsigned), ftoi (truncating, known to fit), bits (f to i), float_of (i to f);
                                btoi (0 or 1), itob (is not 0), bnot; ptoi, itop
``("fcopysign", t, a, b)``      magnitude of a, sign of b
``("icmp", t, a, b, cc)``       b: eq ne slt sle sgt sge ult ule ugt uge; also of addresses (eq, ne)
``("fcmp", t, a, b, cc)``       b: oeq une olt ole ogt oge (ordered but for une) uno (one is NaN)
``("band"|"bor", t, a, b)``     of truth values
``("select", t, c, a, b)``      a if c else b, for any machine type
``("load", t, p, offset, w)``   unaligned; w: i8 i16 i32 i64 (sign extended) u8 u16 u32 (zero extended) f32 (widened)
                                f64 ptr; n64 is i64 for the lengths of lists, which no other store changes
``("store", p, offset, a, w)``  the low bits of a, or a as float32
``("advance", t, p, i, k)``     address p + i * k bytes; k an int constant
``("scratch", t, n)``           address of n slots of 8 bytes in the function's own frame, the same area each time
``("guard", c, exit)``          leave by the exit unless c
``("runtime", t, name, args)``  call a function of `runtime_functions`; t is None when it returns nothing
``("call", ts, name, args, e)`` call a procedure; ts its results; e an exit *behind* the call, taken with the result
                                pending when the callee's result has no machine form, and when an
                                exception of the callee passes
``("ask", ts, exit)``           an exit that comes back: Python evaluates one operation and ts get the result; when that
                                raises the procedure ends raised; `behind` is taken when the result has no form
``("poll", exit, weight)``      at the head of an iteration: if the poll word is set, take the exit, which may come back
``("br", label)``               go to a block
``("cbr", c, yes, no)``         go to one of two blocks
``("ret", values)``             return normally, the values in the order of the function's `results`
``("leave", exit)``             always leave by the exit
``("unreachable",)``            control never comes here
==============================  ========================================================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, NamedTuple


class Temporary(NamedTuple):
    """A value assigned once; `machine` is its machine type's letter."""

    number: int
    machine: str


class Variable(NamedTuple):
    """A mutable value of a function; `hint` is for people who read the code."""

    number: int
    machine: str
    hint: str


Operand = Temporary | int | float | None
Instruction = tuple[Any, ...]


class Mode(IntEnum):
    """What an exit is for; the numbers are those of `native/exits.c`."""

    LEAVE = 0
    """The rest of the procedure runs in Python; the procedure returns its result."""
    ASK = 1
    """Python evaluates one operation and the compiled code goes on."""
    POLL = 2
    """Signals and tier changes are looked after; afterwards the compiled code goes on, or the procedure is done."""


@dataclass(frozen=True, eq=False)
class Exit:
    """A way out of compiled code. `values` are the machine values of the state, in the order of its layouts."""

    number: int
    """Index into the exits of the compiled unit (all its functions together)."""
    mode: Mode
    values: tuple[Operand | Variable, ...]
    behind: Exit | None = None
    """For `ask`: the exit to take, with the result pending, when the result has no machine form."""


@dataclass(eq=False)
class Block:
    """Instructions of which the last one goes elsewhere. `depth` is the number of loops around it."""

    label: int
    depth: int = 0
    instructions: list[Instruction] = field(default_factory=list)
    cold: bool = False


@dataclass(eq=False)
class Function:
    """One procedure. Arguments arrive in the first variables; blocks are in the order of their text."""

    name: str
    parameters: list[Variable]
    results: str
    """Machine types of the results, one letter each."""
    variables: list[Variable] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    recursive: bool = False
    """Calls itself, directly or not, so its entry has to check the depth of the stack."""
    vector_width: dict[int, int] = field(default_factory=dict)
    """Wished vectorisation factor by label of a loop's head block, for the tier that vectorises; 0 where the loop is
    seldom run and not worth the time."""


@dataclass(eq=False)
class Unit:
    """What is compiled at once: the functions of a kernel, the first one being its entry."""

    functions: Sequence[Function]
    exits: int
    """Number of exits."""
