"""`JitRuntime`: a configuration, the functions that run under it, and the compiler they share.

In: functions. Out: the same functions, tiered; results of calls by name. The module's `tiered` uses a runtime with the
default configuration.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FunctionType
from typing import Any, TypeVar, overload

from lean_agentic.jit_runtime.backend import Backend, NativeBackend
from lean_agentic.jit_runtime.background import worker
from lean_agentic.jit_runtime.events import Recorder
from lean_agentic.jit_runtime.policy import CostModel, JitRuntimeConfig
from lean_agentic.jit_runtime.sampler import sampler
from lean_agentic.jit_runtime.tiered import TieredFunction

SomeFunction = TypeVar("SomeFunction", bound=Callable[..., Any])


class JitRuntime:
    """Runs functions under one configuration.

    Parameters
    ----------
    config : JitRuntimeConfig, optional
        How functions move through the tiers.
    recorder : callable or list, optional
        Gets a `Trajectory` for each decision.
    backend : Backend, optional
        Makes code; by default this machine's.

    Examples
    --------
    >>> runtime = JitRuntime(JitRuntimeConfig(max_tier=0))
    >>> def double(x):
    ...     return 2 * x
    >>> runtime.execute(double, [21])
    42
    """

    def __init__(
        self,
        config: JitRuntimeConfig | None = None,
        recorder: Recorder | None = None,
        backend: Backend | None = None,
    ) -> None:
        self.config = config or JitRuntimeConfig()
        self.recorder = recorder
        self.backend = backend or NativeBackend(self.config)
        self.costs = CostModel(lambda: self.backend.is_ready(2))
        self._functions: dict[str, weakref.ref[TieredFunction]] = {}
        self._loading = False

    def tiered(self, function: SomeFunction) -> SomeFunction:
        """Make a function tiered; the same object comes back.

        Raises
        ------
        TypeError
            If it is not a plain Python function.
        """
        if not isinstance(function, FunctionType):
            raise TypeError(
                f"tiered takes a plain Python function, not {type(function).__name__}; "
                "apply it below other decorators, nearest to the def"
            )
        if tiers_of(function) is None:
            state = TieredFunction(function, self)
            self._functions[f"{function.__module__}.{function.__qualname__}"] = weakref.ref(state)
            if self.config.sampling and state.blocked is None:
                sampler.follow(state, self.config.sampling_ms)
        return function

    def register(self, function: SomeFunction, name: str | None = None) -> SomeFunction:
        """Make a function tiered and known by a name, its own by default."""
        made = self.tiered(function)
        state = tiers_of(made)
        assert state is not None
        self._functions[name or state.name] = weakref.ref(state)
        return made

    def execute(
        self,
        function: str | Callable[..., Any],
        arguments: Sequence[Any] = (),
        keywords: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call a function, or the one registered under a name.

        Raises
        ------
        KeyError
            If no function has the name.
        """
        called = self.named(function) if isinstance(function, str) else self.tiered(function)
        return called(*arguments, **(keywords or {}))

    def named(self, name: str) -> Callable[..., Any]:
        """The function registered under a name."""
        reference = self._functions.get(name)
        state = reference() if reference else None
        function = state.function if state else None
        if function is None:
            known = sorted({each.name for each in self})
            raise KeyError(f"no function {name!r} is registered here; there are {known}; use `register`")
        return function

    def __iter__(self) -> Iterator[TieredFunction]:
        """The states of the functions that still exist."""
        states = {id(state): state for each in list(self._functions.values()) if (state := each()) is not None}
        return iter(state for state in states.values() if state.function is not None)

    def is_ready(self, tier: int) -> bool:
        """Whether a tier can be compiled at once; if not, what it needs is being loaded from now on."""
        if self.backend.is_ready(tier):
            return True
        if not self._loading:
            self._loading = True
            self.submit(self.backend.load)
        return False

    def submit(self, job: Callable[[], None]) -> None:
        """Run a job in the background, or at once if the configuration says so."""
        if self.config.background:
            worker.submit(job)
        else:
            job()

    def settled(self, function: TieredFunction) -> None:
        """A function has gone as far as it will."""
        sampler.forget(function)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the compiles in the background; whether they were done in time."""
        return worker.wait(timeout)


def tiers_of(function: Any) -> TieredFunction | None:
    """The state of a tiered function; None for any other object, one that only wraps a tiered function included."""
    state = getattr(function, "__tiers__", None)
    if isinstance(state, TieredFunction) and state.function is getattr(function, "__func__", function):
        return state
    return None


default_runtime = JitRuntime()
"""What `tiered` without a configuration uses."""


@overload
def tiered(function: SomeFunction, /) -> SomeFunction: ...
@overload
def tiered(
    function: None = None, /, *, config: JitRuntimeConfig | None = None, recorder: Recorder | None = None
) -> Callable[[SomeFunction], SomeFunction]: ...
def tiered(function: Any = None, /, *, config: JitRuntimeConfig | None = None, recorder: Recorder | None = None) -> Any:
    """Let a function be compiled as its running time pays for it.

    Parameters
    ----------
    function : function
        A plain Python function. The same object comes back, so it can be used as a decorator with or without
        arguments.
    config : JitRuntimeConfig, optional
        Thresholds and options.
    recorder : callable or list, optional
        Gets a `Trajectory` for each decision.

    Examples
    --------
    >>> @tiered
    ... def triangle(n):
    ...     total = 0
    ...     for i in range(n + 1):
    ...         total += i
    ...     return total
    >>> triangle(10)
    55
    """
    runtime = default_runtime if config is None and recorder is None else JitRuntime(config, recorder)
    return runtime.tiered if function is None else runtime.tiered(function)
