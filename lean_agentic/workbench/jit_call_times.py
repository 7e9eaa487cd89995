"""Times every call of a tiered function on its way up: microseconds, tier, and whether machine code was left.

In: a program of the suite and a `Way` (thresholds, what promotes, whether some calls are disturbed). Out: `CallTimes`.
Runs in this process, on a fresh copy of the function, and compares the results with CPython's.
"""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lean_agentic.jit_runtime import Explanation, JitRuntime, JitRuntimeConfig, explain, tiers_of
from lean_agentic.kernel import fingerprint
from lean_agentic.workbench.charts import Floats
from lean_agentic.workbench.errors import WorkbenchError
from lean_agentic.workbench.jit_suite import Program

DISTURBED_EVERY = 25
CALLS_OF_CPYTHON = 20


class WrongResultError(WorkbenchError):
    """A tiered function did not do what CPython does."""


@dataclass(frozen=True)
class Way:
    """How a function goes up the tiers, and what stands in its way."""

    calls: int = 2_000
    baseline: int = 10
    optimising: int = 100
    max_opt: int = 1_000
    by_work: bool = True
    """Promote by the time spent, with the counts as upper limits; else by the counts alone."""
    background: bool = True
    """Compile tiers 2 and 3 beside the running calls."""
    disturbed: bool = False
    """From the middle on every 25th call gets arguments that the compiled code was not made for."""

    @property
    def config(self) -> JitRuntimeConfig:
        """The runtime's configuration."""
        return JitRuntimeConfig(
            baseline_threshold=self.baseline,
            optimising_threshold=self.optimising,
            max_opt_threshold=self.max_opt,
            least_work=JitRuntimeConfig.least_work if self.by_work else 0.0,
            sampling=self.by_work,
            background=self.background,
            record_timeline=True,
        )


@dataclass(frozen=True, eq=False)
class CallTimes:
    """What each call took, and in which tier it ran."""

    microseconds: Floats
    """(n,) in the order of the calls; recording costs each about half a microsecond."""
    tiers: NDArray[np.int64]
    """(n,) 0 to 3."""
    deoptimised: NDArray[np.bool_]
    """(n,) whether the call left machine code because a speculation failed."""
    cpython_us: float
    """A call of the plain function."""
    explanation: Explanation

    def __repr__(self) -> str:
        calls, left = self.microseconds.size, int(self.deoptimised.sum())
        return f"CallTimes({calls:,} calls, up to tier {self.tiers.max()}, {left} deoptimised)"


def call_times(program: Program, way: Way) -> CallTimes:
    """Call a program's function and time every call.

    Raises
    ------
    WrongResultError
        A result, or what is left in the arguments, differs from CPython's by type or value.
    """
    plain = program.fresh_function()
    cpython_us = _plain_us(plain, program.arguments("small"))
    runtime = JitRuntime(way.config)
    function = runtime.tiered(program.fresh_function())
    found = _timed(function, program, way)
    runtime.wait(10)  # a compile that is still going on would disturb the next measurement
    for arguments in (program.arguments("small"), *([disturb(program)] if way.disturbed else [])):
        _compare(function, plain, arguments)
    return CallTimes(*found, cpython_us, explain(function))


def _timed(function: FunctionType, program: Program, way: Way) -> tuple[Floats, NDArray[np.int64], NDArray[np.bool_]]:
    state = tiers_of(function)
    assert state is not None
    assert state.timeline is not None
    usual, other = program.arguments("small"), disturb(program) if way.disturbed else ()
    microseconds, tiers, left = np.zeros(way.calls), np.zeros(way.calls, np.int64), np.zeros(way.calls, np.bool_)
    failures = 0
    for call in range(way.calls):
        strange = way.disturbed and call >= way.calls // 2 and call % DISTURBED_EVERY == 0
        arguments = other if strange else usual
        start = time.perf_counter()
        function(*arguments)
        microseconds[call] = 1e6 * (time.perf_counter() - start)
        if not way.by_work:
            # Compiled code is looked at when it is sampled; by the counts alone, that is done here.
            for version in state.versions:
                state.consider(version)
        # Inner calls of a recursive function are recorded before the outer one.
        tiers[call] = state.timeline.samples[-1].tier if state.timeline.samples else 0
        before, failures = failures, sum(version.failures for version in state.versions)
        left[call] = failures > before
    return microseconds, tiers, left


def _plain_us(function: FunctionType, arguments: tuple[Any, ...]) -> float:
    times = []
    for _ in range(CALLS_OF_CPYTHON):
        start = time.perf_counter()
        function(*arguments)
        times.append(1e6 * (time.perf_counter() - start))
    return float(np.median(times))


def _compare(function: FunctionType, plain: FunctionType, arguments: tuple[Any, ...]) -> None:
    ours, theirs = copy.deepcopy(arguments), copy.deepcopy(arguments)
    got, expected = (function(*ours), ours), (plain(*theirs), theirs)
    if fingerprint(got) != fingerprint(expected):
        raise WrongResultError(
            f"{plain.__name__}{arguments!r:.200} gave {got[0]!r:.200}; CPython gives {expected[0]!r:.200}. "
            "Please report it: the tiers must not change a result."
        )


def disturb(program: Program) -> tuple[Any, ...]:
    """Arguments that code compiled for the usual ones cannot take: those that the program names, or other types."""
    makers = program.makers
    if "disturbed" in makers:
        made: tuple[Any, ...] = makers["disturbed"]()
        return made
    return tuple(map(_other_type, program.arguments("small")))


def _other_type(value: Any) -> Any:
    if isinstance(value, list):
        return [_swapped(each) for each in value]
    if isinstance(value, np.ndarray):
        return value.astype(np.float32 if value.dtype == np.float64 else np.int32)
    return np.int64(value) if type(value) is int else value


def _swapped(value: Any) -> Any:
    """Numbers inside lists: floats for ints, ints for floats."""
    if isinstance(value, list):
        return [_swapped(each) for each in value]
    return float(value) if type(value) is int else round(value)
