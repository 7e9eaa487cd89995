"""What has become of a tiered function and why: `explain`, `inspect`, `timeline`.

In: a tiered function. Out: frozen figures with a text and a small HTML view; the code of a tier as text.
"""

from __future__ import annotations

import html
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lean_agentic.jit_runtime.runtime import tiers_of
from lean_agentic.jit_runtime.tiered import TieredFunction
from lean_agentic.jit_runtime.timeline import Sample
from lean_agentic.jit_runtime.versions import Version

TIER_NAMES = ("CPython", "baseline", "optimising", "max-opt")


@dataclass(frozen=True)
class VersionView:
    """One version of a function."""

    types: tuple[str, ...]
    result: str
    tier: int
    compile_ms: dict[int, float]
    """By tier, lowering included in the first."""
    spent_ms: dict[int, float]
    """Sampled time by tier."""
    calls: int
    guards: tuple[str, ...]
    deopts: dict[str, int]
    """Failed speculations by place and reason."""
    raised: int
    """Exits whose exception went to the caller."""
    given_up: str
    refused: dict[int, str]
    """Why a tier cannot be had."""


@dataclass(frozen=True)
class Explanation:
    """The state of a tiered function. `print` it, or show it in a notebook."""

    name: str
    tier: int
    why_not_higher: str
    calls: int
    interpreted_calls: int
    interpreted_ms: float
    """Sampled time in CPython since the last version was made."""
    versions: tuple[VersionView, ...]
    refused: dict[str, str]
    """Argument types that are not compiled for, with the reason."""
    replaced: int
    """Calls that left CPython in mid-loop."""
    upgraded: int
    """Calls that went on in a higher tier in mid-loop."""
    trip_counts: dict[int, int]
    rival: str = ""
    """What has become of Numba's version, if the configuration wants one."""
    threads: str = ""
    """What has become of the version with loops on threads, if the configuration wants one."""

    def __repr__(self) -> str:
        types = len(self.versions)
        return f"<{self.name}: tier {self.tier} {TIER_NAMES[self.tier]}, {self.calls} calls, {types} version(s)>"

    def __str__(self) -> str:
        lines = [
            f"{self.name}: tier {self.tier} ({TIER_NAMES[self.tier]}), {self.calls} calls, "
            f"{self.interpreted_calls} of them in CPython",
            f"  not higher: {self.why_not_higher}",
        ]
        if self.rival:
            lines.append(f"  Numba: {self.rival}")
        if self.threads:
            lines.append(f"  threads: {self.threads}")
        if self.replaced or self.upgraded:
            lines.append(f"  replaced in mid-loop: {self.replaced} from CPython, {self.upgraded} from a lower tier")
        for version in self.versions:
            lines += _version_lines(version)
        lines += [f"  ({types}): {reason}" for types, reason in self.refused.items()]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>({html.escape(', '.join(each.types))}) → {html.escape(each.result)}</td><td>{each.tier}</td>"
            f"<td>{each.calls}</td><td>{_by_tier(each.compile_ms)}</td>"
            f"<td>{html.escape(_failures(each))}</td></tr>"
            for each in self.versions
        )
        head = "<tr><th>types</th><th>tier</th><th>calls</th><th>compile ms</th><th>deoptimisations</th></tr>"
        refused = "".join(f"<li>({html.escape(t)}): {html.escape(reason)}</li>" for t, reason in self.refused.items())
        return (
            f"<div><b>{html.escape(self.name)}</b>: tier {self.tier} ({TIER_NAMES[self.tier]}), {self.calls} calls, "
            f"{self.interpreted_calls} in CPython<br>not higher: {html.escape(self.why_not_higher)}"
            f"<table>{head}{rows}</table><ul>{refused}</ul></div>"
        )


def explain(function: Callable[..., Any]) -> Explanation:
    """The tier of a function and why it is not higher, its versions, guards, deoptimisations and compile times.

    Raises
    ------
    TypeError
        If the function is not tiered.
    """
    return explain_state(_state(function))


def explain_state(state: TieredFunction) -> Explanation:
    """The same for a state."""
    replacement = state.replacement
    return Explanation(
        name=state.name,
        tier=state.tier,
        why_not_higher=why_not_higher(state),
        calls=state.calls,
        interpreted_calls=state.profile.calls,
        interpreted_ms=state.profile.spent_ms,
        versions=tuple(map(_view, list(state.versions))),
        refused={", ".join(map(str, types)): str(why) for types, why in state.refused.items()} | _foreign(state),
        replaced=replacement.entries,
        upgraded=replacement.upgrades,
        trip_counts=dict(state.profile.trip_counts),
        rival=state.rival,
        threads=state.threads,
    )


def why_not_higher(state: TieredFunction) -> str:
    """One sentence."""
    if state.blocked is not None:
        return str(state.blocked)
    live = [version for version in state.versions if version.tiers and not version.given_up]
    if not live:
        return _before_tier_1(state)
    version = max(live, key=lambda each: each.tier)
    tier = version.tier + 1
    if tier > state.config.max_tier:
        return "this is the highest tier" if tier > 3 else f"max_tier is {state.config.max_tier}"
    if tier in version.refused:
        return f"tier {tier}: {version.refused[tier]}"
    if tier in version.requested:
        return f"tier {tier} is being compiled"
    cost, spent = state.runtime.costs.estimate(tier, version.size), version.spent_ms.get(version.tier, 0.0)
    return f"{spent:.1f} ms spent in tier {version.tier}; tier {tier} is estimated to cost {cost:.1f} ms"


def _before_tier_1(state: TieredFunction) -> str:
    if state.due:
        return "tier 1 will be compiled at the next call"
    if state.profile.calls == 0:
        return "not called yet"
    if state.refused:
        types, refusal = list(state.refused.items())[-1]
        return f"{refusal} (for {', '.join(map(str, types))}); other types are still tried"
    cost = state.runtime.costs.estimate(1, state.size) * state.hesitation
    obstacle = f"; {state.replacement.last_obstacle}" if state.replacement.last_obstacle else ""
    return f"{state.profile.spent_ms:.1f} ms spent in CPython; tier 1 is estimated to cost {cost:.1f} ms{obstacle}"


def inspect(function: Callable[..., Any], tier: int | None = None) -> str:
    """The kernel IR of a function's version, and what the tier's back end made of it: LLVM IR and assembly.

    Parameters
    ----------
    function : function
        A tiered function.
    tier : int, optional
        The highest that it has reached by default; 0 shows the kernel IR only.

    Raises
    ------
    ValueError
        If there is no code of the tier.
    """
    state = _state(function)
    live = [version for version in state.versions if tier in (None, 0) or tier in version.tiers]
    if not live:
        reached = sorted({each for version in state.versions for each in version.tiers})
        raise ValueError(f"{state.name} has no code of tier {tier}; it has {reached}; {why_not_higher(state)}")
    version = max(live, key=lambda each: each.tier)
    sections = [("kernel IR", str(version.kernel))]
    compiled = version.tiers.get(version.tier if tier is None else tier)
    sections += _artefacts(compiled)
    return "\n\n".join(f"; {name}\n{text}" for name, text in sections)


def _artefacts(compiled: Any) -> list[tuple[str, str]]:
    """What a back end made. The direct one has no text form, so its bytes are shown."""
    machine = getattr(compiled, "machine", None)
    if machine is None:
        return []
    if machine.llvm is None:
        lines = [machine.object_code[at : at + 16].hex(" ") for at in range(0, len(machine.object_code), 16)]
        return [(f"machine code, {machine.engine}", "\n".join(lines))]
    llvm = machine.llvm
    return [("LLVM IR", llvm.ir), ("LLVM IR, optimised", llvm.optimised_ir()), ("assembly", llvm.assembly())]


def timeline(function: Callable[..., Any]) -> list[Sample]:
    """Number, seconds and tier of each call.

    Raises
    ------
    ValueError
        If the configuration does not have `record_timeline`.
    """
    state = _state(function)
    if state.timeline is None:
        raise ValueError(f"{state.name} records no times; use JitRuntimeConfig(record_timeline=True)")
    return list(state.timeline.samples)


def _state(function: Callable[..., Any]) -> TieredFunction:
    state = tiers_of(function)
    if state is None:
        raise TypeError(f"{getattr(function, '__qualname__', function)!s} is not tiered; decorate it with @tiered")
    return state


def _view(version: Version) -> VersionView:
    return VersionView(
        types=tuple(map(str, version.types)),
        result=str(version.kernel.entry.result),
        tier=version.tier,
        compile_ms=dict(version.compile_ms),
        spent_ms=dict(version.spent_ms),
        calls=version.calls,
        guards=tuple(dict.fromkeys(map(str, version.kernel.guards))),
        deopts={f"line {line}: {reason}": count for (line, reason), count in version.leaves.items()},
        raised=version.raised,
        given_up=version.given_up,
        refused=dict(version.refused),
    )


def _foreign(state: TieredFunction) -> dict[str, str]:
    return {f"{count} call(s)": reason for reason, count in state.foreign.items()}


def _version_lines(version: VersionView) -> list[str]:
    lines = [
        f"  ({', '.join(version.types)}) -> {version.result}: tier {version.tier}, {version.calls} calls, "
        f"compiled in {_by_tier(version.compile_ms)} ms"
    ]
    if version.guards:
        lines.append(f"    as long as {'; '.join(version.guards)}")
    if _failures(version):
        lines.append(f"    {_failures(version)}")
    return lines


def _by_tier(values: dict[int, float]) -> str:
    return ", ".join(f"{value:.1f} (tier {tier})" for tier, value in sorted(values.items())) or "-"


def _failures(version: VersionView) -> str:
    parts = [f"{count} × {place}" for place, count in version.deopts.items()]
    parts += [f"{version.raised} exception(s) raised"] * bool(version.raised)
    parts += [f"given up: {version.given_up}"] * bool(version.given_up)
    return "; ".join(parts)
