"""Four execution tiers for numeric Python over the kernel IR.

`@tiered` on a plain function is all that is needed: it starts in CPython and is compiled as its running time pays for
it, with CPython's results. `explain` says what has become of it.
"""

from lean_agentic.jit_runtime.errors import NotCompiledError
from lean_agentic.jit_runtime.events import Step, Trajectory
from lean_agentic.jit_runtime.explain import Explanation, explain, inspect, timeline
from lean_agentic.jit_runtime.policy import JitRuntimeConfig
from lean_agentic.jit_runtime.runtime import JitRuntime, tiered, tiers_of

__all__ = [
    "Explanation",
    "JitRuntime",
    "JitRuntimeConfig",
    "NotCompiledError",
    "Step",
    "Trajectory",
    "explain",
    "inspect",
    "tiered",
    "tiers_of",
    "timeline",
]
