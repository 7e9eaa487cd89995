"""What each exit of a compiled unit means: where in the kernel it stands and which locals it carries.

In: made by `selection`, in the order of the exits' numbers. Out: read by the native boundary (descriptors) and by the
handler that goes on in Python.
"""

from __future__ import annotations

from dataclasses import dataclass

from lean_agentic.jit_runtime.layout import Descriptor
from lean_agentic.jit_runtime.lir import Mode
from lean_agentic.kernel.ir import Operation
from lean_agentic.kernel.types import Type


@dataclass(frozen=True, eq=False)
class ExitPoint:
    """One exit. `names[k]` is the local whose value has the descriptor `state[k]`."""

    mode: Mode
    procedure: str
    statement: int
    """The statement to go on with (LEAVE, POLL), or the one that is evaluated (ASK)."""
    behind: bool
    """Whether to go on behind the statement: its target is then the local of the pending descriptor."""
    names: tuple[str, ...]
    """For ASK: `#0`, `#1`, ... for the operands in the order of `ir.atoms(operation)`, constants left out."""
    state: tuple[Descriptor, ...]
    result: Type
    """What the handler's answer is unboxed as: the procedure's result, or for ASK the operation's."""
    result_descriptor: Descriptor
    operation: Operation | None = None
    """For ASK."""
    reason: str = ""
    """Why one leaves here, for people: "overflow of *", "index out of range or negative zero", ..."""
