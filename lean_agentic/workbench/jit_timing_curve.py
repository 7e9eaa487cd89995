"""Time to result: milliseconds of wall time after 1, 3, 10, ... calls, each contender in a process of its own.

In: programs and starts (a contender, and what it did before the clock runs). Out: a data frame of cumulative times.

What is counted, for all alike: everything from the first call until the last has returned. That holds profiling, every
compile, the engine's first use of LLVM, modules that it imports only then, and code that is compiled in the background
as far as the calls wait for it. What is not counted, and reported beside it: `decorate_ms`, the decorator at the
function's definition, and `import_ms`, the compiler's package (`import numba`; `from lean_agentic.jit_runtime import
tiered`) after NumPy. A *warm* start has compiled another function before, which spares Numba its own start; a *cached*
start finds what an earlier process left on disk. No contender is kept on one core, since compiling in the background is
meant to use another.
"""

from __future__ import annotations

import random
import statistics
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from lean_agentic.workbench.jit_measurements import Verdict, geomean, verdict_on
from lean_agentic.workbench.jit_peers import (
    CPYTHON,
    NUMBA,
    OURS_CACHED,
    PYPY,
    TIERED,
    Contender,
    ContenderError,
    Process,
    numba,
)
from lean_agentic.workbench.jit_suite import WARM_UP_FILE, Program

LONGEST_S = 1_800.0
SETTLE_S = 0.5


@dataclass(frozen=True, eq=False)
class Start:
    """A contender and what its process, or an earlier one, has done before the clock runs."""

    name: str
    contender: Contender
    warm: bool = False
    cached: bool = False

    def __repr__(self) -> str:
        return f"Start({self.name!r})"


CPYTHON_START = Start("CPython", CPYTHON)
OURS = Start("ours", TIERED)
PEERS = (
    CPYTHON_START,
    Start("Numba, fresh process", NUMBA),
    Start("Numba, warm", NUMBA, warm=True),
    Start("PyPy", PYPY),
)
CACHED = (
    Start("Numba, cached on disk", numba("Numba, cached", cache=True), cached=True),
    Start("ours, cached on disk", OURS_CACHED, cached=True),
)


def checkpoints(calls: int) -> tuple[int, ...]:
    """1, 3, 10, 30, ... up to `calls`."""
    found = [mantissa * 10**power for power in range(12) for mantissa in (1, 3)]
    return tuple(each for each in found if each <= calls)


def time_to_result(
    programs: Sequence[Program],
    starts: Sequence[Start],
    *,
    size: str = "small",
    calls: int = 100_000,
    repeats: int = 3,
    seed: int = 1,
    budget_s: float = 20.0,
    told: Callable[[str], None] = lambda _: None,
) -> pd.DataFrame:
    """Measure the curves.

    Parameters
    ----------
    programs, starts
        CPython is added when it is not among the starts: results are compared with its.
    size : str
        "small" or "large".
    calls : int
        Where the curves end. CPython goes there whatever it takes.
    repeats : int
        Processes a start; the median over them counts, and the starts take turns in random order.
    budget_s : float
        A curve other than CPython's ends at the first checkpoint after that many seconds.

    Returns
    -------
    One row a program, start and number of calls: `program`, `form`, `size`, `start`, `ours`, `calls`, `ms`, `low_ms`,
    `high_ms`, `decorate_ms`, `import_ms`, `verdict`, `reason`. A start that failed has one row with `calls` 0.
    """
    cast = [CPYTHON_START, *(each for each in starts if each is not CPYTHON_START)]
    plan = _Plan(size, checkpoints(calls), budget_s)
    rows: list[dict[str, Any]] = []
    source = random.Random(seed)
    for program in programs:
        found: dict[Start, list[dict[str, Any]]] = {each: [] for each in cast}
        failed: dict[Start, str] = {}
        for _ in range(repeats):
            for start in source.sample(cast, len(cast)):
                try:
                    found[start].append(_one_curve(program, start, plan))
                except ContenderError as error:
                    failed[start] = str(error)
        expected = found[CPYTHON_START][0]["results"]
        for start in cast:
            named = _names(program, start, size)
            if start in failed:
                rows.append(_failed(named, failed[start]))
            else:
                rows += _rows(found[start], expected, named, plan)
        told(program.title)
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class _Plan:
    size: str
    checkpoints: tuple[int, ...]
    budget_s: float


def _one_curve(program: Program, start: Start, plan: _Plan) -> dict[str, Any]:
    if program.form == "arrays" and not start.contender.numpy:
        raise ContenderError("has no NumPy, so it runs the list form only")
    is_base = start is CPYTHON_START
    command = program.where() | {"size": plan.size, "checkpoints": list(plan.checkpoints), "each_result": is_base}
    command |= {"budget_s": LONGEST_S if is_base else plan.budget_s}
    with tempfile.TemporaryDirectory(prefix="jit_curve_") as cache:
        if start.cached:
            with Process(start.contender, cache=Path(cache)) as earlier:
                earlier.ask("curve", LONGEST_S, **command)
                earlier.ask("settle", seconds=SETTLE_S)  # what is compiled in the background is to be kept too
        with Process(start.contender, cache=Path(cache)) as process:
            if start.warm:
                process.ask("warm", file=WARM_UP_FILE)
            return process.ask("curve", LONGEST_S, **command) | {"import_ms": process.ready["import_ms"]}


def _names(program: Program, start: Start, size: str) -> dict[str, Any]:
    return {
        "program": program.name,
        "form": program.form,
        "size": size,
        "start": start.name,
        "ours": start.contender.ours,
    }


def _failed(named: dict[str, Any], reason: str) -> dict[str, Any]:
    return named | {"calls": 0, "verdict": Verdict.FAILED.value, "reason": reason}


def _rows(
    found: Sequence[dict[str, Any]], expected: dict[str, Any], named: dict[str, Any], plan: _Plan
) -> list[dict[str, Any]]:
    verdicts = [verdict_on(expected[count], got) for each in found for count, got in each["results"].items()]
    shared = {
        "decorate_ms": statistics.median(each["decorate_ns"] for each in found) / 1e6,
        "import_ms": statistics.median(each["import_ms"] for each in found),
        "verdict": max(verdicts, key=list(Verdict).index).value,
        "reason": "",
    }
    rows = []
    # Where the budget ended some of the processes early, the curve ends with the shortest.
    for count, times in zip(plan.checkpoints, zip(*(each["ns"] for each in found), strict=False), strict=False):
        median, low, high = statistics.median(times) / 1e6, min(times) / 1e6, max(times) / 1e6
        rows.append(named | {"calls": count, "ms": median, "low_ms": low, "high_ms": high} | shared)
    return rows


def counted_curves(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows with a time whose results are CPython's; ours by type and bits too."""
    good = frame.verdict.map(lambda text: Verdict(text).counts)
    return frame[(frame.calls > 0) & good & (~frame.ours | (frame.verdict == Verdict.EXACT.value))]


def with_decorating(frame: pd.DataFrame) -> pd.DataFrame:
    """The same curves with the clock started before the function is decorated."""
    return frame.assign(**{name: frame[name] + frame.decorate_ms for name in ("ms", "low_ms", "high_ms")})


def against_best_peer(frame: pd.DataFrame, ours: str = OURS.name, peers: Sequence[Start] = PEERS) -> pd.DataFrame:
    """Ours beside the best peer at each number of calls of each program.

    Returns
    -------
    One row a program, form, size and number of calls: `ours_ms`, `best_peer`, `best_ms`, `ratio` (ours over the best).
    """
    keys = ["program", "form", "size", "calls"]
    good = counted_curves(frame)
    rivals = good[good.start.isin([each.name for each in peers])]
    best = rivals.loc[rivals.groupby(keys, sort=False).ms.idxmin(), [*keys, "start", "ms"]]
    best = best.rename(columns={"start": "best_peer", "ms": "best_ms"})
    mine = good.loc[good.start == ours, [*keys, "ms"]].rename(columns={"ms": "ours_ms"})
    both = mine.merge(best, on=keys)
    return both.assign(ratio=both.ours_ms / both.best_ms)


def geomean_curves(frame: pd.DataFrame) -> pd.DataFrame:
    """Geometric means over the programs that every start of `frame` ran to that number of calls.

    Returns
    -------
    Index: size and calls. Columns: milliseconds of each start, and `programs`, how many the means are over.
    """
    wide = counted_curves(frame).pivot_table(
        index=["size", "calls", "program", "form"], columns="start", values="ms", sort=False
    )
    whole = wide.dropna()
    groups = whole.groupby(level=["size", "calls"])
    return groups.agg(geomean).assign(programs=groups.size())


def geomean_ratios(frame: pd.DataFrame, ours: str = OURS.name, peers: Sequence[Start] = PEERS) -> pd.DataFrame:
    """Ours over each peer, as a geometric mean over the programs that both count for; below 1 is ahead.

    Returns
    -------
    Index: size and calls. Columns: the peers that ran.
    """
    good = counted_curves(frame)
    wide = good.pivot_table(index=["size", "calls", "program", "form"], columns="start", values="ms", sort=False)
    names = [each.name for each in peers if each.name in wide.columns]
    if ours not in wide.columns:
        return pd.DataFrame(columns=names)
    ratios = wide[names].rdiv(wide[ours], axis=0)
    return ratios.groupby(level=["size", "calls"]).agg(_geomean_of_known)


def _geomean_of_known(column: pd.Series[float]) -> float:
    return geomean(column.dropna())
