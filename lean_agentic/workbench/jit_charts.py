"""Pictures and tables of the JIT suite: what a tier costs and gives, time to result, and a function's way up the tiers.

In: the data frames of `jit_measurements` and `jit_timing_curve`, and `CallTimes`. Out: `Chart`s and `Table`s.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from lean_agentic.workbench.charts import Chart, Reference, Series
from lean_agentic.workbench.jit_call_times import CallTimes
from lean_agentic.workbench.jit_measurements import Verdict, by_contender, counted
from lean_agentic.workbench.jit_peers import CPYTHON
from lean_agentic.workbench.jit_timing_curve import OURS, PEERS, against_best_peer, geomean_curves
from lean_agentic.workbench.style import PALETTE
from lean_agentic.workbench.tables import Cell, Table

TIER_NAMES = ("tier 0", "tier 1", "tier 2", "tier 3")
DEOPTIMISED = "deoptimised"
# Fixed once, so that a tier looks the same in every chart; the first seven differ in colour.
PALETTE.reserve(*TIER_NAMES, DEOPTIMISED, OURS.name, "Numba", "PyPy", CPYTHON.name)


def speed_against_compile(frame: pd.DataFrame) -> Chart:
    """Each contender as a point: what its compiles cost, and what they give."""
    summary = by_contender(frame)
    shown = summary[(summary["compile median ms"] > 0) & (summary["speed-up geomean"] > 0)]
    series = [
        Series(str(name), [row["compile median ms"]], [row["speed-up geomean"]], "points")
        for name, row in shown.iterrows()
    ]
    return Chart(
        "What a compile costs and gives", "compile time, ms (median)", "speed-up over CPython (geomean)",
        tuple(series), x_log=True, y_log=True, y_format="{:,.3g}x",
    )  # fmt: skip


def speedups_sorted(frame: pd.DataFrame, contenders: Sequence[str]) -> Chart:
    """The speed-ups of each contender from its worst program to its best."""
    good = counted(frame)
    series = []
    for name in contenders:
        ordered = np.sort(good.speedup[good.contender == name].to_numpy(dtype=float))
        if ordered.size:
            series.append(Series(name, (np.arange(ordered.size) + 0.5) / ordered.size, ordered, "line"))
    return Chart(
        "Speed-up, worst to best program", "share of programs", "speed-up over CPython", tuple(series), y_log=True,
        references=(Reference(1.0, "CPython"),), x_format="{:.0%}", y_format="{:,.3g}x",
    )  # fmt: skip


def speedup_table(frame: pd.DataFrame, contenders: Sequence[str]) -> Table:
    """One row a program: CPython's time and every contender's speed-up, or what kept it from having one."""
    rows = []
    titles = frame.program + np.where(frame.form == "scalars", "", " (" + frame.form + ")")
    for title in dict.fromkeys(titles):
        cells = {row["contender"]: row for row in frame[titles == title].to_dict("records")}
        base = float(cells[CPYTHON.name]["call_us"])
        rows.append((title, base, *(_speedup_cell(cells.get(name)) for name in contenders)))
    columns = ("program", "CPython, us", *contenders)
    return Table("Speed-up over CPython", columns, tuple(rows), ("", "{:,.4g}", *("{:,.3g}x" for _ in contenders)))


def _speedup_cell(row: dict[str, object] | None) -> Cell:
    if row is None:
        return ""
    verdict = Verdict(row["verdict"])
    if verdict is Verdict.FAILED:
        return "failed"
    if verdict is Verdict.EXACT:
        return float(str(row["speedup"]))
    return verdict.value if not verdict.counts else f"{float(str(row['speedup'])):,.3g}x, {verdict.value}"


def reasons_table(frame: pd.DataFrame, who: str = "contender") -> Table:
    """Who failed on what, and why; `who` is "contender" or "start"."""
    failed = frame[frame.reason != ""]
    rows = [
        (str(name), ", ".join(dict.fromkeys(group.program + " " + group.form)), str(reason))
        for (name, reason), group in failed.groupby([who, "reason"], sort=False)
    ]
    return Table("What did not run", (who, "programs", "reason"), tuple(rows) or (("none", "", ""),))


def time_curves(frame: pd.DataFrame, title: str = "Time to result") -> Chart:
    """Cumulative milliseconds over calls, geometric mean over the programs that all starts ran."""
    means = geomean_curves(frame).droplevel("size")
    programs = int(means.programs.max()) if len(means) else 0
    over = f"{programs} program{'s' * (programs != 1)}"
    names = [name for name in means.columns if name != "programs"]
    series = [Series(str(name), means.index, means[name], "line") for name in names]
    return Chart(
        f"{title} ({over})", "calls", "ms since the first call (geomean)", tuple(series),
        x_log=True, y_log=True, x_format="{:,.3g}", y_format="{:,.3g}",
    )  # fmt: skip


def curve_charts(frame: pd.DataFrame) -> list[Chart]:
    """The means by size, arrays apart since PyPy has none, and ours over the best peer; only what was measured."""
    made = []
    for size in dict.fromkeys(frame["size"]):
        measured = frame[(frame["size"] == size) & (frame.calls > 0)]
        on_arrays = measured.form == "arrays"
        for rows, title in ((measured[~on_arrays], "numbers and lists"), (measured[on_arrays], "arrays")):
            if len(rows):
                made.append(time_curves(rows, f"{size.capitalize()} calls, {title}"))
        made.append(ratio_chart(measured))
    return made


def ratio_chart(frame: pd.DataFrame, limit: float = 1.2) -> Chart:
    """Ours over the best peer at each number of calls: the worst program, the middle one, and every one as a point."""
    both = against_best_peer(frame, OURS.name, PEERS)
    size = " and ".join(dict.fromkeys(frame["size"]))
    by_calls = both.groupby("calls").ratio
    counts = np.array(sorted(both.calls.unique()), dtype=float)
    return Chart(
        f"{size.capitalize()} calls: ours over the best peer", "calls", "time, ours over the best peer's",
        (
            Series("each program", both.calls, both.ratio, "points"),
            Series("worst program", counts, by_calls.max().to_numpy(), "line"),
            Series("median program", counts, by_calls.median().to_numpy(), "line"),
        ),
        x_log=True, y_log=True, references=(Reference(limit, f"{limit:g}x"),), x_format="{:,.3g}", y_format="{:,.3g}x",
    )  # fmt: skip


def tier_timeline(times: CallTimes, title: str) -> Chart:
    """Microseconds of each call, coloured by tier, deoptimised calls marked."""
    number = np.arange(1, times.microseconds.size + 1)
    series = []
    for tier, name in enumerate(TIER_NAMES):
        inside = (times.tiers == tier) & ~times.deoptimised
        if inside.any():
            series.append(Series(name, number[inside], times.microseconds[inside], "points"))
    if times.deoptimised.any():
        left = times.deoptimised
        series.append(Series(DEOPTIMISED, number[left], times.microseconds[left], "points"))
    return Chart(
        title, "call", "us a call", tuple(series), x_log=True, y_log=True, x_format="{:,.3g}", y_format="{:,.3g}"
    )


def time_so_far(times: CallTimes) -> Chart:
    """Milliseconds spent after each call, beside what CPython would have spent."""
    number = np.arange(1, times.microseconds.size + 1)
    return Chart(
        "Time so far", "call", "ms",
        (
            Series(OURS.name, number, np.cumsum(times.microseconds) / 1e3, "line"),
            Series(CPYTHON.name, number, number * times.cpython_us / 1e3, "line"),
        ),
        x_log=True, y_log=True, x_format="{:,.3g}", y_format="{:,.3g}",
    )  # fmt: skip
