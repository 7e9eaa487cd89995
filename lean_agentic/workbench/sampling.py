"""Runs one sampler process a side and takes their samples in turn.

Goes in: checkouts, their interpreters and one benchmark file. Comes out: the measurements of both sides and the
order they were taken in. Two things make a comparison hold. Interleaving: whatever else the machine does in the
meantime meets both sides alike. One core for both: left to the scheduler, each process can stay on a core of its own,
and the cores of a shared machine can differ in speed by more than the differences looked for.
"""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from lean_agentic.workbench import sampler
from lean_agentic.workbench.errors import WorkbenchError
from lean_agentic.workbench.worktrees import Checkout

WARM_UPS = 3
"""Pairs taken first and thrown away: compilation, caches and the interpreter's own specialisation."""

Progress = Callable[[str], None]


class SampleError(WorkbenchError):
    """A side that gave no usable measurement."""


@dataclass(frozen=True)
class Samples:
    """Interleaved measurements of two sides."""

    a: tuple[float, ...]
    b: tuple[float, ...]
    order: str
    """The sides in the order of their samples: `ABBAAB...`."""
    unit: str
    core: int | None
    """The core that both sides ran on; None where they were not pinned."""


class Sampler:
    """The process of one side; a context manager that ends it.

    Parameters
    ----------
    side
        `A` or `B`, for messages.
    """

    def __init__(self, side: str, checkout: Checkout, python: Path, benchmark: Path) -> None:
        self.name = f"Side {side}, {checkout.label}"
        tree = str(checkout.project.root)
        # Equal hash seeds: the order of sets and dictionaries of strings would otherwise differ by process.
        environment = os.environ | {"PYTHONPATH": tree, "PYTHONHASHSEED": "0"}
        self._printed = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115 - open until close()
        # -P keeps this package's own folder off the path. A session of its own keeps Ctrl-C from the process:
        # the session that owns it ends it.
        self._process = subprocess.Popen(
            [str(python), "-P", sampler.__file__, tree, str(benchmark), str(shared_core())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._printed,
            text=True,
            cwd=tree,
            env=environment,
            start_new_session=True,
        )

    def prepare(self) -> dict[str, Any]:
        """Import the package and the benchmark and run its untimed set-up; returns its unit and core."""
        return self._ask("prepare")

    def sample(self) -> float:
        """One measurement.

        Raises
        ------
        SampleError
            The benchmark raised, the process died, or the measurement is not finite and above 0.
        """
        value = self._ask("sample")["value"]
        if not (math.isfinite(value) and value > 0):
            raise SampleError(f"{self.name}: sample() measured {value}; a measurement is a finite number above 0.")
        return float(value)

    def _ask(self, command: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(f"{command}\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise SampleError(self._how_it_ended()) from error
        line = self._process.stdout.readline()
        if not line.endswith("\n"):
            raise SampleError(self._how_it_ended())
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise SampleError(f"{self.name}: {answer['error']}\n\n{answer['traceback']}")
        return answer

    def _how_it_ended(self) -> str:
        status = self._process.wait()
        how = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
        self._printed.seek(0)
        lines = self._printed.read().strip().splitlines()
        printed = f" It last printed: {lines[-1]}" if lines else " It printed nothing."
        return f"{self.name}: the benchmark's process {how} before it gave a measurement.{printed}"

    def close(self) -> None:
        """End the process and whatever it started."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._printed):
            stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def interleave(a: Sampler, b: Sampler, *, pairs: int, seed: int, progress: Progress) -> Samples:
    """Prepare both sides and take their samples in pairs, each pair in random order.

    Parameters
    ----------
    pairs
        Samples a side, warm-ups not counted.
    seed
        Of the order within the pairs.

    Raises
    ------
    SampleError
        A side gave no usable measurement, or the sides measure in different units.
    """
    sides = {"A": a, "B": b}
    unit, core = _prepare(sides, progress)
    taken: dict[str, list[float]] = {"A": [], "B": []}
    orders = pair_orders(WARM_UPS + pairs, seed)
    start = time.monotonic()
    for done, order in enumerate(orders, start=-WARM_UPS):
        # Warm-ups compile, so they say nothing about how long the rest will take.
        start = start if done > 0 else time.monotonic()
        progress(_pair_text(done, pairs, time.monotonic() - start))
        for side in order:
            taken[side].append(sides[side].sample())
    kept = {side: tuple(values[WARM_UPS:]) for side, values in taken.items()}
    return Samples(kept["A"], kept["B"], "".join(orders[WARM_UPS:]), unit, core)


def pair_orders(pairs: int, seed: int) -> list[str]:
    """`AB` or `BA` for each pair, at random: a fixed order would give one side the other's after-effects."""
    return ["BA" if swapped else "AB" for swapped in np.random.default_rng(seed).integers(0, 2, pairs)]


def shared_core() -> int:
    """The core for both sides: the last of those allowed, since the first serves most interrupts."""
    if not hasattr(os, "sched_getaffinity"):
        return 0
    return max(os.sched_getaffinity(0))


def _prepare(sides: dict[str, Sampler], progress: Progress) -> tuple[str, int | None]:
    answers = []
    for side, process in sides.items():
        progress(f"Preparing side {side}")
        answers.append(process.prepare())
    a, b = (answer["unit"] for answer in answers)
    if a != b:
        raise SampleError(f"Side A measures in {a!r} and side B in {b!r}; both need the same UNIT.")
    return "s" if a is None else str(a), answers[0]["core"]


def _pair_text(done: int, total: int, seconds: float) -> str:
    if done < 0:
        return f"Warming up: pair {WARM_UPS + done + 1} of {WARM_UPS}"
    left = f", about {seconds / done * (total - done):.0f} s left" if done else ""
    return f"Sampling: pair {done + 1} of {total}{left}"
