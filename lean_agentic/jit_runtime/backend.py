"""The compiler as the tiers see it.

In: a kernel and a tier. Out: compiled code. Whether a tier can be had at once, or LLVM has to be loaded first, is asked
here too. LLVM is the only part that is loaded late. Tests put a stub in its place.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, Protocol

from lean_agentic.jit_runtime import x86_backend
from lean_agentic.jit_runtime.compiled import Owner, compile_kernel
from lean_agentic.jit_runtime.machine_code import Options
from lean_agentic.jit_runtime.object_cache import ObjectCache
from lean_agentic.jit_runtime.policy import LAST_TIER, JitRuntimeConfig
from lean_agentic.kernel.kernel import Kernel


class CompiledCode(Protocol):
    """What the tiers need of `compiled.Compiled`."""

    kernel: Kernel
    tier: int

    @property
    def code(self) -> Any:
        """Callable with the values of the entry's parameters."""

    @property
    def compile_ms(self) -> float:
        """Milliseconds that it took."""


class Backend(Protocol):
    """Makes code for kernels."""

    def compile(
        self, kernel: Kernel, tier: int, owner: Owner, observed: Mapping[str, Any] | None, speculate: bool
    ) -> CompiledCode:
        """Compile; `observed` are values that parameters had."""

    def on_threads(
        self, kernel: Kernel, owner: Owner, observed: Mapping[str, Any] | None, speculate: bool
    ) -> CompiledCode | None:
        """Code of the last tier whose independent loops run on threads; None where there is no such loop."""

    def is_ready(self, tier: int) -> bool:
        """Whether a compile would begin at once."""

    def load(self) -> None:
        """Make every tier ready."""


class NativeBackend:
    """Direct machine code for tier 1 where the machine has it, LLVM for the rest."""

    def __init__(self, config: JitRuntimeConfig) -> None:
        self._config = config
        self._loaded = threading.Event()
        self._cache = ObjectCache(config.cache_folder) if config.cache else None

    def compile(
        self, kernel: Kernel, tier: int, owner: Owner, observed: Mapping[str, Any] | None, speculate: bool
    ) -> CompiledCode:
        """Compile a kernel."""
        made: CompiledCode | None = None
        if self._config.parallel and tier == LAST_TIER and kernel.resumes is not None:
            # The rest of one long call: there will be no other call to compare it on.
            made = self.on_threads(kernel, owner, observed, speculate)
        made = made or compile_kernel(kernel, tier, options=self._options(observed, speculate), owner=owner)
        if tier > 1:
            self._loaded.set()
        return made

    def on_threads(
        self, kernel: Kernel, owner: Owner, observed: Mapping[str, Any] | None, speculate: bool
    ) -> CompiledCode | None:
        """Code of the last tier whose independent loops run on threads; None where there is no such loop."""
        from lean_agentic.jit_runtime.parallel import parallel_version  # only who asks for it pays for it

        return parallel_version(kernel, self._options(observed, speculate), owner)

    def _options(self, observed: Mapping[str, Any] | None, speculate: bool) -> Options:
        config = self._config
        return Options(
            engine=config.engine, fast_math=config.fast_math, observed=observed, speculate=speculate, cache=self._cache
        )

    def is_ready(self, tier: int) -> bool:
        """Tier 1 is ready without LLVM where there is a direct back end."""
        if self._loaded.is_set():
            return True
        if tier > 1 or self._config.engine == "llvm":
            return False
        return x86_backend.available()

    def load(self) -> None:
        """Load LLVM."""
        from lean_agentic.jit_runtime import llvm_engine

        llvm_engine.warm_up()
        self._loaded.set()
