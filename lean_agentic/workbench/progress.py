"""What `lean-agentic run` shows while it works: a progress bar on a terminal, plain lines elsewhere.

Goes in: cells done, and how long earlier runs took. Comes out: the bar or a line every ten seconds, with
the time passed and an estimate of what is left, which comes from finished runs of the same experiment
and profile alone; cells take too unequal times to say anything.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from lean_agentic.workbench.experiment import Experiment
from lean_agentic.workbench.results import finished_runs

PLAIN_INTERVAL_S = 10.0
RECENT_RUNS = 5


@dataclass(frozen=True)
class Expectation:
    """How long a run and those after it should take."""

    this_s: float | None
    """None: there is no earlier run to judge by."""
    later_s: float
    later_unknown: int = 0
    """How many later runs have no earlier one."""

    def left(self, elapsed_s: float) -> str:
        """What is left, in words, `elapsed_s` after the run began."""
        if self.this_s is None:
            return "time left unknown"
        seconds = max(self.this_s - elapsed_s, 0) + self.later_s
        text = f"about {duration(seconds)} left"
        return text if not self.later_unknown else f"{text} + {self.later_unknown} unknown"


def expected_s(experiment: Experiment, profile: str) -> float | None:
    """Median wall time, in seconds, of the latest finished runs of a profile; None when none says its time."""
    times = [run.provenance.get("wall_s") for run in finished_runs(experiment) if run.profile == profile]
    known = [time for time in times if isinstance(time, (int, float))]
    return statistics.median(known[-RECENT_RUNS:]) if known else None


def duration(seconds: float) -> str:
    """Hours, minutes and seconds: `0:01:05`."""
    return str(timedelta(seconds=round(seconds)))


class Display(Protocol):
    """What the runner tells about its progress."""

    def begin(self, title: str, expectation: Expectation) -> None:
        """A run starts."""

    def cells(self, done: int | None, total: int | None) -> None:
        """Called several times a second while it runs, with code cells; None as long as unknown."""

    def end(self, message: str) -> None:
        """The run has ended, well or not; `message` is to be read."""


class PlainDisplay:
    """Lines for logs: one when a run starts, one every ten seconds, one when it ends."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._title = ""
        self._expectation = Expectation(None, 0.0)
        self._started = self._last = 0.0

    def begin(self, title: str, expectation: Expectation) -> None:
        """Write the first line."""
        self._title, self._expectation = title, expectation
        self._started = self._last = time.monotonic()
        self._write(f"{title}: started, {expectation.left(0)}")

    def cells(self, done: int | None, total: int | None) -> None:
        """Write a line when the last is ten seconds old."""
        now = time.monotonic()
        if now - self._last < PLAIN_INTERVAL_S:
            return
        self._last = now
        elapsed = now - self._started
        counted = "starting" if done is None else f"{done} of {total} cells"
        self._write(f"{self._title}: {counted}, {duration(elapsed)}, {self._expectation.left(elapsed)}")

    def end(self, message: str) -> None:
        """Write the last line."""
        self._write(message)


class BarDisplay:
    """A progress bar; messages of ended runs stand above it."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=12),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}", markup=False),
            console=console,
            transient=True,
        )
        self._task: TaskID | None = None
        self._expectation = Expectation(None, 0.0)
        self._started = 0.0

    def begin(self, title: str, expectation: Expectation) -> None:
        """Show the bar."""
        self._expectation, self._started = expectation, time.monotonic()
        self._task = self._progress.add_task(title, total=None, left=expectation.left(0))
        self._progress.start()

    def cells(self, done: int | None, total: int | None) -> None:
        """Move the bar."""
        if self._task is not None:
            left = self._expectation.left(time.monotonic() - self._started)
            self._progress.update(self._task, completed=done or 0, total=total, left=left)

    def end(self, message: str) -> None:
        """Take the bar away and leave the message."""
        if self._task is not None:
            self._progress.remove_task(self._task)
            self._task = None
        self._progress.stop()
        self._progress.console.print(message, markup=False, highlight=False, soft_wrap=True)
