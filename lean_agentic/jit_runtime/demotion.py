"""Moves a function down the tiers: failed speculations, outside values that change, what cannot be compiled.

In: what compiled code, its guards and the compiler say of a function. Out: versions dropped or given up, and in the end
a function that stays in CPython with the user's own bytecode and says why.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

from lean_agentic.jit_runtime import rivals
from lean_agentic.jit_runtime.errors import NotCompiledError
from lean_agentic.jit_runtime.versions import Version
from lean_agentic.kernel.errors import UnsupportedError
from lean_agentic.kernel.program import lower_source
from lean_agentic.kernel.types import Type

if TYPE_CHECKING:
    from lean_agentic.jit_runtime.backend import CompiledCode
    from lean_agentic.jit_runtime.tiered import TieredFunction

WORTH = 1.2
"""A version may cost so many times what CPython needs; samples of short calls are coarse."""
HOPELESS = 30.0
"""CPython is no more than about so many times slower than machine code."""
LONG_MS = 5.0
"""Taking lists apart for so long is not looked at often before there is a decision."""
SHORT_MS, MANY_RAISED, RAISED_SHARE = 0.05, 50, 0.05
"""Calls of less time are given up when so many, and more than this share of them, raise."""
MOST_RENEWALS = 4
"""How often the versions may be dropped because an outside value has changed."""


@dataclass(frozen=True)
class Refusal:
    """Why something is not compiled."""

    reason: str
    line: int | None = None

    def __str__(self) -> str:
        return self.reason if self.line is None else f"line {self.line}: {self.reason}"


def failed(function: TieredFunction, version: Version, compiled: CompiledCode, line: int, reason: str) -> None:
    """A speculation failed: count, and after some failures compile without it or give the version up."""
    config = function.config
    function.event(
        "deoptimisation", action=f"leave tier {compiled.tier}", outcome=f"line {line}: {reason}", success=False,
        types=version.types,
    )  # fmt: skip
    if version.given_up or version.failures < config.deopt_threshold:
        return
    if version.failures < config.deopt_share * version.calls:
        return
    if version.speculate and compiled.tier > 1:
        _without_speculation(function, version)
    else:
        give_up(function, version, f"line {line}: {reason}, {version.failures} times")


def misfit(function: TieredFunction, version: Version) -> None:
    """A call had the version's types, but a value without machine form."""
    version.misfits += 1
    if version.misfits >= function.config.deopt_threshold and version.misfits > version.calls:
        give_up(function, version, f"ints beyond 64 bits among the arguments, {version.misfits} times")


def costly(function: TieredFunction, version: Version, compiled: CompiledCode) -> None:
    """Taking the lists of the arguments apart costs more than the work on them: is CPython faster?"""
    recent = compiled.code.recent()
    # Other programs make a call seem longer, never shorter.
    lists, work = min(each for each, _ in recent) / 1e6, max(each for _, each in recent) / 1e6
    if version.given_up or len(recent) < (2 if lists > LONG_MS else 4):
        return
    if lists + work > WORTH * version.cpython_ms > 0 or lists > HOPELESS * work:
        reason = f"taking lists apart takes {lists:.3f} ms a call, the work on them {work:.3f} ms"
        give_up(function, version, f"{reason}, CPython about {version.cpython_ms:.3f} ms")


def raised(function: TieredFunction, version: Version) -> None:
    """Calls that raise take compiled code some microseconds more than CPython: do short calls do so often?"""
    often = version.raised >= MANY_RAISED and version.raised > RAISED_SHARE * version.calls
    if often and not version.given_up and version.cpython_ms < SHORT_MS:
        reason = f"it raised in {version.raised} of {version.calls} calls, which takes CPython less time"
        give_up(function, version, reason)


def _without_speculation(function: TieredFunction, version: Version) -> None:
    """Fall back to tier 1, which assumes nothing but types, and compile the tiers above anew."""
    with function.lock:
        version.speculate = False
        version.leaves.clear()
        version.earlier_calls += sum(getattr(each.code, "calls", 0) for tier, each in version.tiers.items() if tier > 1)
        version.tiers = {tier: each for tier, each in version.tiers.items() if tier == 1}
        version.requested = {1}
        version.continuations.clear()
        version.ordered.clear()
    function.install(version)


def give_up(function: TieredFunction, version: Version, reason: str) -> None:
    """Use a version no more; when none is left the function stays in CPython for good."""
    version.given_up = reason
    function.refused[version.types] = Refusal(reason)
    function.event("blacklist", action="give up version", outcome=reason, success=False, types=version.types)
    left = [each for each in function.versions if each.tiers and not each.given_up]
    if left:
        function.install(left[0])
    elif len(function.refused) >= function.config.max_versions or len(function.profile.shapes) <= 1:
        function.block(Refusal(reason))
    else:
        function.start_again()


def drop_versions(function: TieredFunction, reason: str) -> None:
    """Start again from tier 0."""
    with function.lock:
        function.versions = []
        function.renewals += 1
        function.hesitation *= 2
        function.refused.clear()
    function.event("deoptimisation", action="drop all versions", outcome=reason, success=False)
    if function.renewals > MOST_RENEWALS:
        function.block(Refusal(f"{reason}, {function.renewals} times"))
    else:
        function.start_again()


def refuse(function: TieredFunction, types: tuple[Type, ...], error: UnsupportedError | NotCompiledError) -> None:
    """Types cannot be compiled for. When the reason lies in the text, no others can, either."""
    refusal = Refusal(error.reason, error.line)
    function.refused[types] = refusal
    function.event("unsupported", action="lower", outcome=str(refusal), success=False, types=types)
    if any(version.tiers for version in function.versions):
        return
    if len(function.refused) >= function.config.max_versions or not _depends_on_types(function):
        function.block(refusal)
    else:
        function.hesitation *= 2
        function.start_again()
    if function.config.numba:
        function.runtime.submit(lambda: rivals.beside_cpython(function, types))


def _depends_on_types(function: TieredFunction) -> bool:
    try:
        lower_source(function.switch.original, count(1))
    except UnsupportedError:
        return False
    return True


def defect(function: TieredFunction, error: Exception) -> None:
    """The compiler itself failed: say so, and leave the function to CPython."""
    text = f"a defect of the compiler, {type(error).__name__}: {error}"
    function.block(Refusal(text))
    warnings.warn(f"{function.name} stays in CPython: {text}; please report it", RuntimeWarning, stacklevel=3)
