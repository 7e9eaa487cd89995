"""Compiles a function through selection and compares what it does with what CPython does.

In: source text or a function, and arguments. Out: `Run`, after the comparison: value by type and bits, exception type,
changes to the arguments. The LIR is checked on the way.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from types import FunctionType
from typing import Any

from lean_agentic.jit_runtime import _native
from lean_agentic.jit_runtime.compiled import Alone, Compiled, compile_kernel
from lean_agentic.jit_runtime.exit_points import ExitPoint
from lean_agentic.jit_runtime.facts import Facts
from lean_agentic.jit_runtime.lir import Mode
from lean_agentic.jit_runtime.lir_check import check_unit
from lean_agentic.jit_runtime.machine_code import Options
from lean_agentic.kernel import fingerprint, function_from_source, lower, type_of
from lean_agentic.kernel.kernel import Kernel


@dataclass(frozen=True)
class Given(Options):
    """Options with facts of the test's own."""

    given: Facts | None = None

    def facts(self, kernel: Kernel, tier: int) -> Facts:
        """The given ones, or those of the tier."""
        return self.given or super().facts(kernel, tier)


class Watcher(Alone):
    """Notes where compiled code leaves."""

    def __init__(self) -> None:
        self.left_at: list[ExitPoint] = []
        self.polls: list[dict[str, Any]] = []

    def left(self, compiled: Compiled, point: ExitPoint, error: BaseException | None) -> None:
        self.left_at.append(point)

    def upgrade(self, compiled: Compiled, point: ExitPoint, locals: dict[str, Any]) -> Any:
        self.polls.append(dict(locals))
        return _native.GO_ON


@dataclass
class Run:
    """A comparison that found no difference."""

    compiled: Compiled
    kernel: Kernel
    watcher: Watcher
    outcome: tuple[Any, ...]

    @property
    def left(self) -> list[int]:
        """Statements at which the compiled code left."""
        return [point.statement for point in self.watcher.left_at]

    @property
    def asks(self) -> int:
        """Operations that Python evaluates, as the code stands."""
        return sum(point.mode is Mode.ASK for point in self.compiled.selected.exits)


def outcome(function: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """What can be seen of a call."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ("returned", fingerprint((function(*arguments), arguments)))
        except Exception as error:
            return ("raised", type(error).__name__, fingerprint((None, arguments)))


def as_function(source: str | FunctionType) -> FunctionType:
    """A function from its text."""
    return function_from_source("import math\nimport numpy as np\n" + source) if isinstance(source, str) else source


def compiled(
    source: str | FunctionType, *arguments: Any, tier: int = 1, facts: Facts | None = None, engine: str = "llvm"
) -> Run:
    """Compile for the arguments' types, without running."""
    kernel = lower(as_function(source), [type_of(each) for each in arguments])
    watcher = Watcher()
    made = compile_kernel(kernel, tier, options=Given(engine=engine, given=facts), owner=watcher)
    check_unit(made.selected.unit, made.selected.exits)
    return Run(made, kernel, watcher, ())


def same(source: str | FunctionType, *arguments: Any, tier: int = 1, facts: Facts | None = None) -> Run:
    """Compile, run, compare with CPython."""
    run = compiled(source, *arguments, tier=tier, facts=facts)
    return again(run, *arguments)


def again(run: Run, *arguments: Any) -> Run:
    """Run and compare with other arguments of the same types."""
    expected = outcome(run.kernel.function, copy.deepcopy(arguments))
    run.outcome = outcome(run.compiled.code, copy.deepcopy(arguments))
    assert run.outcome == expected, (arguments, run.outcome, expected)
    return run
