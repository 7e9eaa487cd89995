"""A function compiled for one combination of argument types, in the tiers that it has reached.

In: compiled code of growing tiers, samples of the time spent in it, and what happens where it leaves. Out: what
`tiered` needs to decide: the code to run, the time spent, whether its speculations keep failing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from lean_agentic.jit_runtime.backend import CompiledCode
from lean_agentic.kernel.kernel import Kernel
from lean_agentic.kernel.python_code import python_function
from lean_agentic.kernel.types import Type

if TYPE_CHECKING:
    from types import FrameType

    from lean_agentic.jit_runtime.exit_points import ExitPoint
    from lean_agentic.jit_runtime.policy import JitRuntimeConfig
    from lean_agentic.jit_runtime.tiered import TieredFunction

ContinuationKey = tuple[int, tuple[tuple[str, Type], ...], int]
"""Statement, types of the live locals, tier."""


@dataclass(eq=False)
class Version:
    """One combination of argument types. It is the owner of all code compiled for it."""

    function: TieredFunction
    types: tuple[Type, ...]
    kernel: Kernel
    observed: Mapping[str, Any] = field(default_factory=dict)
    """Arguments that it was made for, as `observed` gives them."""
    tiers: dict[int, CompiledCode] = field(default_factory=dict)
    compile_ms: dict[int, float] = field(default_factory=dict)
    spent_ms: dict[int, float] = field(default_factory=dict)
    """Sampled time by tier."""
    requested: set[int] = field(default_factory=set)
    """Tiers that are compiled or being compiled."""
    refused: dict[int, str] = field(default_factory=dict)
    """Why a tier cannot be had."""
    continuations: dict[ContinuationKey, CompiledCode] = field(default_factory=dict)
    ordered: set[ContinuationKey] = field(default_factory=set)
    """Continuations that are compiled or being compiled in the background."""
    leaves: Counter[tuple[int, str]] = field(default_factory=Counter)
    """Failed speculations by line and reason."""
    misfits: int = 0
    """Calls with the right types but an int that has no machine form."""
    raised: int = 0
    """Exits whose exception went on to the caller, which is no failure."""
    cpython_ms: float = 0.0
    """Time of a call before there was compiled code, as far as samples tell."""
    speculate: bool = True
    given_up: str = ""
    earlier_calls: int = 0
    """Calls of code that has been replaced."""

    @property
    def config(self) -> JitRuntimeConfig:
        """The function's."""
        return self.function.config

    @property
    def tier(self) -> int:
        """The highest tier that is compiled; 0 before the first is."""
        return max(self.tiers, default=0)

    @property
    def code(self) -> Any:
        """The fastest code."""
        return self.tiers[self.tier].code

    @property
    def calls(self) -> int:
        """Calls of compiled code."""
        return self.earlier_calls + sum(getattr(each.code, "calls", 0) for each in list(self.tiers.values()))

    @property
    def size(self) -> int:
        """Statements of the kernel, the measure of compile time."""
        return len(self.kernel.statements)

    @property
    def failures(self) -> int:
        """Failed speculations so far."""
        return sum(self.leaves.values())

    def sampled(self, frame: FrameType, tier: int, milliseconds: float) -> None:
        """Compiled code of the version was seen running."""
        self.spent_ms[tier] = self.spent_ms.get(tier, 0.0) + milliseconds
        self.function.consider(self)

    def running(self, thread: int, tier: int, milliseconds: float) -> None:
        """A call has been in compiled code for long."""
        compiled = self.tiers.get(tier)
        if compiled is not None:
            self.function.replacement.long_call(self, compiled, milliseconds)

    def mismatch(self, compiled: CompiledCode, arguments: tuple[Any, ...]) -> Any:
        """The result of a call with other types than the code's."""
        if compiled.kernel.resumes is not None:
            return _in_python(compiled, arguments)
        return self.function.mismatch(self, arguments)

    def stale(self, compiled: CompiledCode, arguments: tuple[Any, ...]) -> Any:
        """The result of a call for which a guard of the code does not hold."""
        if compiled.kernel.resumes is not None:
            return _in_python(compiled, arguments)
        return self.function.stale(self, arguments)

    def left(self, compiled: CompiledCode, point: ExitPoint, error: BaseException | None) -> None:
        """The rest of a call ran in CPython."""
        if error is not None:
            self.raised += 1
            self.function.raised(self)
            return
        _, statement = compiled.kernel.statements[point.statement]
        self.leaves[statement.line, point.reason] += 1
        self.function.failed(self, compiled, statement.line, point.reason)

    def costly(self, compiled: CompiledCode) -> None:
        """Lists take longer to come in and out than the work on them."""
        if compiled.kernel.resumes is None:
            self.function.costly(self, compiled)

    def upgrade(self, compiled: CompiledCode, point: ExitPoint, locals: dict[str, Any]) -> Any:
        """A call is under way in lower code than there is; its result if it can go on in better code."""
        return self.function.upgrade(self, compiled, point, locals)


def _in_python(compiled: CompiledCode, arguments: tuple[Any, ...]) -> Any:
    """Run a kernel's entry in CPython: for the rest of a call, which cannot begin again."""
    names = [parameter.name for parameter in compiled.kernel.entry.parameters]
    return python_function(compiled.kernel)(dict(zip(names, arguments, strict=True)))


def observed(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """What higher tiers may specialise for: numbers, and the outlines of arrays."""
    found = {name: value for name, value in values.items() if type(value) in (bool, int, float)}
    found |= {name: outline(value) for name, value in values.items() if type(value) is np.ndarray}
    return found


def outline(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """An array without elements that has the strides of another, which it does not keep alive."""
    return np.ndarray((0,) * array.ndim, array.dtype, b"", strides=array.strides)
