"""The live part of the JIT notebook: thresholds and a function on one side, its calls coloured by tier on the other.

In: the programs to choose from and a `Way` to start with. Out: a widget. Each change runs the function anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

from lean_agentic.workbench.controls import Control, choice, slider, toggle
from lean_agentic.workbench.explorer import Explorer, View, explore
from lean_agentic.workbench.jit_call_times import CallTimes, Way, call_times
from lean_agentic.workbench.jit_charts import tier_timeline, time_so_far
from lean_agentic.workbench.jit_suite import DEMOS, Program, programs
from lean_agentic.workbench.tables import Table

EXPLORED = (*DEMOS, *programs(forms=("scalars", "lists", "arrays")))
FIRST = "sum-xor"


def jit_explorer(start: Way | None = None, explored: Sequence[Program] = EXPLORED, first: str = FIRST) -> Explorer:
    """Make the explorer, its controls at `start`."""
    by_title = {program.title: program for program in explored}

    def compute(
        program: str, calls: float, baseline: float, optimising: float, max_opt: float,
        by_work: bool, background: bool, disturbed: bool,
    ) -> View:  # fmt: skip
        way = Way(int(calls), int(baseline), int(optimising), int(max_opt), by_work, background, disturbed)
        times = call_times(by_title[program], way)
        charts = (tier_timeline(times, f"Each call of {program}"), time_so_far(times))
        return View(charts, versions_table(times), summary(times))

    return explore(compute, _controls(start or Way(), by_title, first))


def summary(times: CallTimes) -> str:
    """One sentence, read aloud when a control moves."""
    spent, cpython = times.microseconds.sum() / 1e3, times.cpython_us * times.microseconds.size / 1e3
    left = int(times.deoptimised.sum())
    deopts = f", {left} deoptimised" if left else ""
    return (
        f"{times.microseconds.size:,} calls in {spent:.1f} ms, up to tier {times.tiers.max()}{deopts}; "
        f"CPython takes {cpython:.1f} ms. Results are CPython's. Not higher: {times.explanation.why_not_higher}."
    )


def versions_table(times: CallTimes) -> Table:
    """What was compiled, for which types, at what cost, and why code was left."""
    rows = [
        (
            f"({', '.join(version.types)})",
            version.tier,
            version.calls,
            ", ".join(f"{spent:.1f} (tier {tier})" for tier, spent in sorted(version.compile_ms.items())),
            "; ".join(f"{count} at {place}" for place, count in version.deopts.items()) or version.given_up,
        )
        for version in times.explanation.versions
    ]
    refused = [(f"({types})", 0, 0, "", reason) for types, reason in times.explanation.refused.items()]
    columns = ("argument types", "tier", "calls", "compile ms", "deoptimisations, refusals")
    rows += refused
    return Table("Versions", columns, tuple(rows) or (("none", 0, 0, "", ""),), ("", "{:.0f}", "{:,.0f}", "", ""))


def _controls(start: Way, by_title: dict[str, Program], first: str) -> dict[str, Control]:
    def count(name: str, label: str, most: int, step: int = 1) -> Control:
        value = float(getattr(start, name))
        # Whatever a run was given, its explorer starts there.
        return slider(label, value, min(1.0, value), max(float(most), value), step, format="{:,.0f}")

    made: dict[str, Control] = {
        "program": choice("Function", list(by_title), first),
        "calls": slider("Calls", start.calls, min(100, start.calls), max(10_000, start.calls), 100, format="{:,.0f}"),
        "baseline": count("baseline", "Tier 1 after at most", 500),
        "optimising": count("optimising", "Tier 2 after at most", 2_000),
        "max_opt": count("max_opt", "Tier 3 after at most", 5_000),
        "by_work": toggle("Promote by time spent", start.by_work),
        "background": toggle("Compile in the background", start.background),
        "disturbed": toggle("Disturb every 25th call from the middle on", start.disturbed),
    }
    assert set(made) - {"program"} == {field.name for field in fields(Way)}
    return made
