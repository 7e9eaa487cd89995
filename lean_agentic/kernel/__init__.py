"""One typed IR of numeric Python: `lower` a function, `interpret` the kernel, read the IR.

The semantics are CPython's, written down in `docs/kernel.md`. The readers of the IR (the reference interpreter here,
code generation and proof elsewhere) are tested against CPython on programs from `program_generator`.
"""

from lean_agentic.kernel.continuation import continuation
from lean_agentic.kernel.errors import UnsupportedError
from lean_agentic.kernel.interpreter import TypeSoundnessError, interpret
from lean_agentic.kernel.kernel import Kernel, lower
from lean_agentic.kernel.liveness import Liveness, liveness
from lean_agentic.kernel.outcome import Ending, Outcome, fingerprint
from lean_agentic.kernel.python_code import python_function
from lean_agentic.kernel.source import function_from_source
from lean_agentic.kernel.types import Type, type_of

__all__ = [
    "Ending",
    "Kernel",
    "Liveness",
    "Outcome",
    "Type",
    "TypeSoundnessError",
    "UnsupportedError",
    "continuation",
    "fingerprint",
    "function_from_source",
    "interpret",
    "liveness",
    "lower",
    "python_function",
    "type_of",
]
