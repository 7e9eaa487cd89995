"""Chooses the back end for a tier and returns callable machine code.

In: a LIR unit and a tier. Out: `Machine`, whose `address` is the unit's entry and which keeps the code memory alive.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from lean_agentic.jit_runtime.facts import NOTHING, Facts
from lean_agentic.jit_runtime.lir import Unit
from lean_agentic.jit_runtime.object_cache import ObjectCache
from lean_agentic.jit_runtime.range_analysis import USUAL_INT, analyse
from lean_agentic.kernel.kernel import Kernel


@dataclass(frozen=True)
class Options:
    """How to compile."""

    engine: str = "auto"
    """Back end of tier 1: "x86" (direct machine code), "llvm", or "auto", the first of them that this machine has."""
    fast_math: bool = False
    """Let floating-point operations be reassociated; results change in the last bits, and the result says so."""
    vector_width: Mapping[int, int] = field(default_factory=dict)
    """Wished vectorisation factors by id of the `ForRange` statement."""
    observed: Mapping[str, Any] | None = None
    """Values that parameters had: an int within 32 bits is assumed to stay so, as is an array whose last axis has no
    gaps. None: assume it of all."""
    cache: ObjectCache | None = None
    """Where machine code is kept between processes."""
    speculate: bool = True
    """Whether to assume anything of the arguments beyond their types."""

    def facts(self, kernel: Kernel, tier: int) -> Facts:
        """What is proved before selection: nothing in tier 1, which has no time for it."""
        if tier == 1:
            return NOTHING
        return replace(analyse(kernel, self._assume), vector_width=self.vector_width)

    def _assume(self, name: str) -> bool:
        if not self.speculate or self.observed is None:
            return self.speculate
        value = self.observed.get(name)
        if isinstance(value, np.ndarray):
            return value.ndim > 0 and value.strides[-1] == value.itemsize
        return type(value) is int and USUAL_INT[0] <= value <= USUAL_INT[1]


@dataclass(eq=False)
class Machine:
    """Machine code in memory."""

    address: int
    owner: Any
    """Keeps the memory."""
    object_code: bytes
    engine: str
    timings: dict[str, float]
    """Milliseconds by phase."""
    llvm: Any = None
    """The engine's own object, for `inspect`; None when LLVM was not used."""


def assemble(unit: Unit, tier: int, options: Options) -> Machine:
    """Machine code of a unit for a tier."""
    if tier == 1 and options.engine != "llvm":
        from lean_agentic.jit_runtime import x86_backend

        if x86_backend.available():
            return _direct(unit)
    from lean_agentic.jit_runtime import llvm_engine  # LLVM is loaded by who needs it

    how = llvm_engine.EngineOptions(fast_math=options.fast_math)
    built = llvm_engine.compile_unit(unit, tier, how, options.cache)
    return Machine(built.address, built, built.object_code, "llvm", built.timings, built)


def _direct(unit: Unit) -> Machine:
    from lean_agentic.jit_runtime import _native, x86_backend

    start = time.perf_counter()
    code, entry = x86_backend.compile_unit(unit)
    memory = _native.map_code(code)
    timings = {"x86": 1e3 * (time.perf_counter() - start)}
    return Machine(memory.address + entry, memory, code, "x86", timings)
