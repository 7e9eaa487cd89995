"""A back end without machine code: "compiled" kernels run as Python, so that the tiers can be tested by themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lean_agentic.jit_runtime.errors import NotCompiledError
from lean_agentic.jit_runtime.policy import JitRuntimeConfig
from lean_agentic.jit_runtime.runtime import JitRuntime
from lean_agentic.kernel import type_of
from lean_agentic.kernel.errors import UnsupportedError
from lean_agentic.kernel.kernel import Kernel
from lean_agentic.kernel.python_code import python_function


class StubCode:
    """Callable like `_native.Code`."""

    def __init__(self, compiled: StubCompiled) -> None:
        self.compiled = compiled
        self.calls = 0
        self.upgrade_requests = 0

    def __call__(self, *arguments: Any) -> Any:
        kernel, owner = self.compiled.kernel, self.compiled.owner
        parameters = kernel.entry.parameters
        assert len(arguments) == len(parameters)
        try:
            fits = all(type_of(value) == each.type for value, each in zip(arguments, parameters, strict=True))
        except UnsupportedError:
            fits = False
        if not fits:
            return owner.mismatch(self.compiled, arguments)
        if not kernel.is_current():
            return owner.stale(self.compiled, arguments)
        self.calls += 1
        return python_function(kernel)({each.name: value for each, value in zip(parameters, arguments, strict=True)})

    def request_upgrade(self) -> None:
        self.upgrade_requests += 1

    def set_next(self, code: object) -> None:
        """Calls of other types always ask the owner."""

    def set_guards(self, guards: list[Any]) -> None:
        self.guards = guards


@dataclass(eq=False)
class StubCompiled:
    kernel: Kernel
    tier: int
    owner: Any
    observed: Mapping[str, Any] | None
    speculate: bool
    compile_ms: float = 1.0
    code: StubCode = field(init=False)

    def __post_init__(self) -> None:
        self.code = StubCode(self)


@dataclass
class StubBackend:
    """`refuses` names tiers that have no form; `made` lists what was compiled."""

    refuses: dict[int, str] = field(default_factory=dict)
    ready: bool = True
    fails: type[Exception] | None = None
    made: list[StubCompiled] = field(default_factory=list)

    def compile(
        self, kernel: Kernel, tier: int, owner: Any, observed: Mapping[str, Any] | None, speculate: bool
    ) -> StubCompiled:
        if self.fails:
            raise self.fails("no such thing")
        if tier in self.refuses:
            raise NotCompiledError(self.refuses[tier], 1)
        made = StubCompiled(kernel, tier, owner, observed, speculate)
        self.made.append(made)
        return made

    def on_threads(self, kernel: Kernel, owner: Any, observed: Mapping[str, Any] | None, speculate: bool) -> None:
        return None

    def is_ready(self, tier: int) -> bool:
        return self.ready

    def load(self) -> None:
        self.ready = True


def stub_runtime(recorder: Any = None, backend: StubBackend | None = None, **options: Any) -> JitRuntime:
    """A runtime whose decisions depend on counts alone, and which compiles at once."""
    settings: dict[str, Any] = {"sampling": False, "background": False, "least_work": 0.0} | options
    return JitRuntime(JitRuntimeConfig(**settings), recorder, backend or StubBackend())
