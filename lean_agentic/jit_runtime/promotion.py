"""Moves a function up the tiers.

In: the state of a function and its versions after each sample. Out: compiled versions installed. Tier 1 is compiled in
the calling thread, since that takes about a millisecond; the tiers above in the background.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from lean_agentic.jit_runtime import demotion, rivals
from lean_agentic.jit_runtime.demotion import Refusal
from lean_agentic.jit_runtime.errors import NotCompiledError
from lean_agentic.jit_runtime.guards import native_guards
from lean_agentic.jit_runtime.policy import LAST_TIER, is_due
from lean_agentic.jit_runtime.versions import Version, observed
from lean_agentic.kernel.errors import UnsupportedError
from lean_agentic.kernel.kernel import Kernel, lower
from lean_agentic.kernel.types import Type

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lean_agentic.jit_runtime.backend import CompiledCode
    from lean_agentic.jit_runtime.tiered import TieredFunction

LEAST_CALL_MS, MANY_CALLS = 0.0004, 2_000
"""Functions without loops and calls are left to CPython when after so many calls one takes less than this."""


def consider_first(function: TieredFunction) -> None:
    """Decide whether tier 1 has been paid for."""
    if function.due or function.blocked is not None:
        return
    cost = function.runtime.costs.estimate(1, function.size) * function.hesitation
    profile = function.profile
    if not is_due(function.config, 1, spent_ms=profile.spent_ms, calls=profile.calls, cost_ms=cost):
        return
    if function.is_straight and profile.calls > MANY_CALLS and profile.spent_ms < LEAST_CALL_MS * profile.calls:
        function.block(Refusal("its calls are so short that calling machine code would take as long"))
    elif function.runtime.is_ready(1):
        function.expect_version()


def first_version(function: TieredFunction, types: tuple[Type, ...], arguments: tuple[Any, ...]) -> Version | None:
    """Lower and compile for argument types, and install the result."""
    begun = time.perf_counter()
    try:
        version = lowered_version(function, types)
        version.observed = observed(dict(zip(function.switch.parameters, arguments, strict=True)))
    except UnsupportedError as error:
        demotion.refuse(function, types, error)
        return None
    if compile_tier(function, version, 1, begun):
        function.install(version)
        function.consider(version)  # calls that were moved here in mid-loop may have paid for more
    return version


def lowered_version(function: TieredFunction, types: tuple[Type, ...]) -> Version:
    """The version for argument types, lowered but perhaps not compiled.

    Raises
    ------
    UnsupportedError
        If it cannot be lowered.
    """
    found = function.find(types)
    if found is not None:
        return found
    version = Version(function, types, lower(function.switch.original, types))
    with function.lock:
        function.versions.append(version)
    return version


def compile_tier(function: TieredFunction, version: Version, tier: int, begun: float | None = None) -> bool:
    """Compile a version in a tier; whether it succeeded. `begun` is when its lowering began."""
    begun = time.perf_counter() if begun is None else begun
    version.requested.add(tier)
    try:
        made = compile_kernel(function, version, version.kernel, tier, version.observed)
    except (UnsupportedError, NotCompiledError) as error:
        version.refused[tier] = str(error)
        if tier == 1:
            with function.lock:
                function.versions = [each for each in function.versions if each is not version]
            demotion.refuse(function, version.types, error)
        return False
    milliseconds = 1e3 * (time.perf_counter() - begun)
    function.runtime.costs.learn(tier, version.size, milliseconds)
    version.tiers[tier], version.compile_ms[tier] = made, milliseconds
    if tier == 1:
        version.cpython_ms = function.profile.spent_ms / max(1, function.profile.calls)
    function.profile.spent_ms = 0.0
    function.due = False
    outcome = f"{milliseconds:.1f} ms"
    function.event("promotion", action=f"tier {tier}", outcome=outcome, cost=milliseconds, types=version.types)
    return True


def compile_kernel(
    function: TieredFunction, version: Version, kernel: Kernel, tier: int, values: Mapping[str, Any]
) -> CompiledCode:
    """Compile an entry or a continuation of a version; `values` are what parameters were observed to have."""
    made = function.runtime.backend.compile(kernel, tier, version, values, version.speculate)
    if hasattr(made.code, "set_guards"):
        made.code.set_guards(native_guards(kernel))
    return made


def renew_guards(version: Version) -> None:
    """Compare with the present objects: they are equal to those compiled in, though not the same."""
    guards = native_guards(version.kernel)
    for compiled in version.tiers.values():
        compiled.code.set_guards(guards)


def consider_next(function: TieredFunction, version: Version) -> bool:
    """Decide whether the next tier of a version has been paid for; whether there is anything left to hope for."""
    tier = version.tier + 1
    if not 1 < tier <= min(LAST_TIER, function.config.max_tier) or version.given_up:
        return False
    if tier in version.refused:
        return False
    if tier not in version.requested:
        cost = function.runtime.costs.estimate(tier, version.size)
        spent = version.spent_ms.get(tier - 1, 0.0)
        if is_due(function.config, tier, spent_ms=spent, calls=function.calls, cost_ms=cost):
            version.requested.add(tier)
            function.runtime.submit(lambda: _next_tier(function, version, tier))
    return True


def _next_tier(function: TieredFunction, version: Version, tier: int) -> None:
    try:
        made = compile_tier(function, version, tier)
    except Exception as error:  # the tier below stays; the thread's hook shows the traceback
        version.refused[tier] = f"a defect of the compiler, {type(error).__name__}: {error}"
        raise
    if made:
        function.install(version)
        if tier == LAST_TIER:
            rivals.challenge_tier_3(function, version)
        if tier == min(LAST_TIER, function.config.max_tier):
            function.runtime.settled(function)
