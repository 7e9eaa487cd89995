"""Measures compile time and steady speed of contenders on programs, interleaved and checked.

In: programs and contenders. Out: a data frame, one row a program and contender. A contender's result and what it left
in the arguments are compared with CPython's by type and value before its time counts; one that fails is a row too, with
the reason. Times are taken in rounds over all contenders in random order, and are CPU times of the process (wall times
of those that use several cores), so that a busy machine slows all alike.
"""

from __future__ import annotations

import math
import os
import random
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np
import pandas as pd

from lean_agentic.workbench.jit_peers import CPYTHON, Contender, ContenderError, Process, short
from lean_agentic.workbench.jit_suite import WARM_UP_FILE, Program

LAST_BITS_TOLERANCE = 1e-9


class Verdict(Enum):
    """How a result compares with CPython's."""

    EXACT = "exact"
    OTHER_TYPE = "other type"
    """Equal values, but for instance `float` for `numpy.float64`, or a copy in place of the same list."""
    LAST_BITS = "last bits differ"
    WRONG = "wrong result"
    FAILED = "failed"

    @property
    def counts(self) -> bool:
        """Whether the time enters means; see `counts_for` for the stricter rule on ours."""
        return self in (Verdict.EXACT, Verdict.OTHER_TYPE, Verdict.LAST_BITS)


def verdict_on(expected: Any, got: Any) -> Verdict:
    """Compare two results as `jit_worker.describe` gives them."""
    if expected == got:
        return Verdict.EXACT
    theirs, ours = list(_leaves(expected)), list(_leaves(got))
    if theirs == ours:
        return Verdict.OTHER_TYPE
    if len(theirs) == len(ours) and all(map(_close, theirs, ours)):
        return Verdict.LAST_BITS
    return Verdict.WRONG


def _leaves(image: Any, seen: list[Any] | None = None) -> Iterator[str | float]:
    """Every value of an image without its type; numbers as such, so that 1 and 1.0 are one."""
    seen = [] if seen is None else seen
    kind, content = image
    if kind == "same as":
        yield from _leaves(seen[int(content)], list(seen))
    elif isinstance(content, str):
        yield _number(content)
    else:
        if kind != "tuple":
            seen.append(image)
        for each in content:
            if isinstance(each, str):  # an array's element
                yield _number(each)
            else:
                yield from _leaves(each, seen)


def _number(text: str) -> str | float:
    if text in ("True", "False"):
        return int(text == "True")
    for read in (int, float.fromhex):
        try:
            value = read(text)
        except ValueError:
            continue
        return "nan" if value != value else value
    return text


def _close(expected: str | float, got: str | float) -> bool:
    if isinstance(expected, str) or isinstance(got, str):
        return expected == got
    # Integers are right or wrong; only floats have last bits.
    if isinstance(expected, int) or isinstance(got, int):
        return expected == got
    return math.isclose(expected, got, rel_tol=LAST_BITS_TOLERANCE, abs_tol=LAST_BITS_TOLERANCE)


def measure(
    programs: Sequence[Program],
    contenders: Sequence[Contender],
    *,
    size: str = "small",
    rounds: int = 5,
    batch_ms: float = 2.0,
    builds: int = 3,
    settle_s: float = 0.0,
    seed: int = 1,
    told: Callable[[str], None] = lambda _: None,
) -> pd.DataFrame:
    """Measure contenders on programs.

    Parameters
    ----------
    programs, contenders
        CPython is added when it is not among the contenders.
    size : str
        "small" or "large".
    rounds : int
        Times each contender is timed; the median counts.
    batch_ms : float
        Length of one timed batch of calls.
    builds : int
        Times each program is compiled afresh; the median counts.
    settle_s : float
        Seconds of calls before timing, for contenders that compile as they go (PyPy, our whole runtime).
    told
        Is given each program's title when it is finished.

    Returns
    -------
    One row a program and contender: `program`, `form`, `size`, `contender`, `ours`, `verdict`, `reason`, `compile_ms`,
    `first_ms`, `call_us` with `low_us` and `high_us` over the rounds, `speedup` (median over the rounds of CPython's
    time over its), `exits_per_call`, `details`.
    """
    cast = [CPYTHON, *(each for each in contenders if each is not CPYTHON)]
    plan = _Plan(size, rounds, batch_ms, builds, settle_s, random.Random(seed))
    rows: list[dict[str, Any]] = []
    with ExitStack() as stack:
        processes, missing = _start(cast, max(os.sched_getaffinity(0)), stack)
        for program in programs:
            rows += _measure_program(program, plan, processes)
            rows += [_failed(program, size, contender, reason) for contender, reason in missing.items()]
            told(program.title)
    order = {each.name: position for position, each in enumerate(cast)}
    frame = pd.DataFrame(rows)
    return frame.sort_values("contender", key=lambda names: names.map(order), kind="stable").reset_index(drop=True)


@dataclass(frozen=True)
class _Plan:
    size: str
    rounds: int
    batch_ms: float
    builds: int
    settle_s: float
    source: random.Random


@dataclass
class _Entry:
    """A contender's program, built and being timed."""

    reply: dict[str, Any]
    calls: int
    verdict: Verdict
    microseconds: list[float] = field(default_factory=list)
    exits_per_call: float = math.nan
    note: str = ""


def _start(
    cast: Sequence[Contender], cpu: int, stack: ExitStack
) -> tuple[dict[Contender, Process], dict[Contender, str]]:
    processes: dict[Contender, Process] = {}
    missing: dict[Contender, str] = {}
    for contender in cast:
        try:
            processes[contender] = stack.enter_context(Process(contender, cpu))
        except ContenderError as error:
            missing[contender] = str(error)
            continue
        # One that cannot even do this will say so on the programs.
        with suppress(ContenderError):
            processes[contender].ask("warm", file=WARM_UP_FILE)
    return processes, missing


def _measure_program(program: Program, plan: _Plan, processes: dict[Contender, Process]) -> list[dict[str, Any]]:
    entries: dict[Contender, _Entry] = {}
    failed: dict[Contender, str] = {}
    for contender, process in processes.items():
        if contender.arrays_for_lists and program.form != "lists":
            continue
        try:
            base = entries.get(CPYTHON)
            entries[contender] = _enter(program, plan, process, base.reply if base else None)
        except ContenderError as error:
            if contender is CPYTHON:  # there is nothing to compare with
                raise
            failed[contender] = str(error)
    for _ in range(plan.rounds):
        for contender in plan.source.sample(list(entries), len(entries)):
            try:
                _time(entries[contender], processes[contender])
            except ContenderError as error:
                del entries[contender]
                failed[contender] = str(error)
    rows = [_failed(program, plan.size, contender, reason) for contender, reason in failed.items()]
    base = entries[CPYTHON]
    return rows + [_row(program, plan.size, contender, entry, base) for contender, entry in entries.items()]


def _enter(program: Program, plan: _Plan, process: Process, expected: dict[str, Any] | None) -> _Entry:
    if program.form == "arrays" and not process.contender.numpy:
        raise ContenderError("has no NumPy, so it runs the list form only")
    # The first build of one that caches on disk compiles; the later ones load, which is what it is there for.
    skipped = 1 if process.contender.options.get("jit", {}).get("cache") else 0
    where = program.where(as_arrays=process.contender.arrays_for_lists)
    reply = process.ask("build", **where, size=plan.size, repeats=plan.builds + skipped)
    expected = expected or reply
    if reply["raised"] and not expected["raised"]:
        raise ContenderError(short(reply["raised"]))
    reply |= {key: reply[key][skipped:] for key in ("compile_ms", "first_ms")}
    process.ask("settle", seconds=plan.settle_s if process.contender.settles else 0.0)
    calls = process.ask("calls_for", batch_ms=plan.batch_ms)["calls"]
    return _Entry(reply, calls, verdict_on(expected["result"], reply["result"]))


def _time(entry: _Entry, process: Process) -> None:
    reply = process.ask("time", calls=entry.calls)
    entry.microseconds.append(reply["ns"] / entry.calls / 1e3)
    entry.note = reply["note"]
    if reply["exits_per_call"] is not None:
        entry.exits_per_call = reply["exits_per_call"]


def _row(program: Program, size: str, contender: Contender, entry: _Entry, base: _Entry) -> dict[str, Any]:
    times = np.array(entry.microseconds)
    return _names(program, size, contender) | {
        "verdict": entry.verdict.value,
        "reason": "",
        # What compiles as it goes has no one compile time.
        "compile_ms": math.nan if contender.settles else statistics.median(entry.reply["compile_ms"]),
        "first_ms": statistics.median(entry.reply["first_ms"]),
        "call_us": float(np.median(times)),
        "low_us": float(times.min()),
        "high_us": float(times.max()),
        "speedup": float(np.median(np.array(base.microseconds) / times)),
        "exits_per_call": entry.exits_per_call,
        "details": entry.note or " ".join(f"{phase} {spent:.2f}" for phase, spent in entry.reply["details"].items()),
    }


def _failed(program: Program, size: str, contender: Contender, reason: str) -> dict[str, Any]:
    nothing = dict.fromkeys(
        ("compile_ms", "first_ms", "call_us", "low_us", "high_us", "speedup", "exits_per_call"), math.nan
    )
    named = _names(program, size, contender)
    return named | {"verdict": Verdict.FAILED.value, "reason": reason, **nothing, "details": ""}


def _names(program: Program, size: str, contender: Contender) -> dict[str, Any]:
    return {
        "program": program.name,
        "form": program.form,
        "size": size,
        "contender": contender.name,
        "ours": contender.ours,
    }


def counted(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows whose times enter means: results equal to CPython's, and for ours equal by type and bits too."""
    good = frame.verdict.map(lambda text: Verdict(text).counts)
    return frame[good & (~frame.ours | (frame.verdict == Verdict.EXACT.value))]


def geomean(values: Sequence[float] | pd.Series[float]) -> float:
    """Geometric mean; NaN of nothing."""
    return float(np.exp(np.mean(np.log(np.asarray(values, dtype=float))))) if len(values) else math.nan


def by_contender(frame: pd.DataFrame) -> pd.DataFrame:
    """One row a contender: programs that count and that do not, compile time, speed-up over CPython."""
    rows = {}
    for name, all_rows in frame.groupby("contender", sort=False):
        good = counted(all_rows)
        rows[name] = {
            "programs": len(all_rows),
            "counted": len(good),
            "inexact": int((good.verdict != Verdict.EXACT.value).sum()),
            "wrong": int((all_rows.verdict == Verdict.WRONG.value).sum()),
            "failed": int((all_rows.verdict == Verdict.FAILED.value).sum()),
            "compile median ms": good.compile_ms.median(),
            "compile worst ms": good.compile_ms.max(),
            "speed-up geomean": geomean(good.speedup),
            "speed-up worst": good.speedup.min(),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def over(frame: pd.DataFrame, ours: str, peer: str) -> pd.Series[float]:
    """How many times faster `ours` is than `peer`, by program, form and size, where both count."""
    speed = counted(frame).pivot_table(index=["program", "form", "size"], columns="contender", values="speedup")
    if not {ours, peer} <= set(speed.columns):
        return pd.Series(dtype=float)
    return (speed[ours] / speed[peer]).dropna()
