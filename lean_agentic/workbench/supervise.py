"""Runs one notebook in a process of its own: starts it, relays its progress, ends it and all it started.

Goes in: a `Job`. Comes out: what it used, or a `RunFailedError`. The child (`execute.py`) reads the job as
one JSON line on its standard input and answers with one JSON line an event on its standard output. The
input stays open for as long as the parent lives: its end is how the child notices that the parent died.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from lean_agentic.workbench.errors import WorkbenchError
from lean_agentic.workbench.processes import end_run_processes
from lean_agentic.workbench.recorder import RUN_DIR_VARIABLE
from lean_agentic.workbench.run_folder import JUPYTER_FOLDER, LOG_FILE

POLL_S = 0.2
GRACE_S = 30.0
"""Time beyond the time-out in which the child itself ends a hanging notebook and saves it."""


class RunFailedError(WorkbenchError):
    """A notebook did not run to its end, or not to a valid result."""

    exit_code = 1

    def __init__(self, line: str, details: str = "") -> None:
        super().__init__(line)
        self.details = details or line
        """The whole traceback, for `error.txt`."""


@dataclass(frozen=True)
class Job:
    """What the child is to do."""

    notebook: str
    """Absolute path of the notebook; it runs in that folder, as it does in JupyterLab."""
    folder: str
    """Absolute path of the partial folder, where the executed notebook and its HTML go."""
    title: str
    parameters: dict[str, Any]
    timeout_s: float


@dataclass(frozen=True)
class Usage:
    """What a run took, from the start of its process to its end."""

    wall_s: float
    cpu_s: float
    """User and system time of the child, its kernel and the processes that the kernel waited for."""


def supervise(job: Job, watch: Callable[[int | None, int | None], None]) -> Usage:
    """Run a notebook in a child process and wait for its end.

    Parameters
    ----------
    watch
        Called several times a second with the code cells done and in all, None as long as unknown. What it raises
        stops the run.

    Raises
    ------
    RunFailedError
        A cell raised, the kernel died, the time-out passed, or the child died or could not be started.
    """
    started, cpu = time.monotonic(), _children_cpu_s()
    child = _start(job)
    try:
        failure = _relay(child, started + job.timeout_s + GRACE_S, watch)
    finally:
        # Also after a good end: a server that the notebook left running must not disturb the next run.
        end_run_processes(Path(job.folder))
        code = child.wait()
        for pipe in (child.stdin, child.stdout):
            # A child that died before it read its job leaves the rest of it to be flushed here.
            with contextlib.suppress(BrokenPipeError):
                if pipe is not None:
                    pipe.close()
    if failure is not None:
        raise failure
    if code != 0:
        raise RunFailedError(f"The process that ran the notebook died with exit code {code}; see {LOG_FILE}.")
    return Usage(round(time.monotonic() - started, 3), round(_children_cpu_s() - cpu, 3))


def _start(job: Job) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}  # inline figures
    environment[RUN_DIR_VARIABLE] = job.folder
    environment["JUPYTER_RUNTIME_DIR"] = str(Path(job.folder) / JUPYTER_FOLDER)
    try:
        with (Path(job.folder) / LOG_FILE).open("w", encoding="utf-8") as log:
            child = subprocess.Popen(
                [sys.executable, "-P", "-m", "lean_agentic.workbench.execute"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=environment,
                start_new_session=True,  # Ctrl-C in the terminal reaches the parent alone, which then ends the child
            )
    except OSError as error:
        raise RunFailedError(f"The process for the notebook cannot be started: {error}.") from error
    assert child.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # it has died already; its exit code will say so
        child.stdin.write(json.dumps(asdict(job)) + "\n")
        child.stdin.flush()
    return child


def _relay(
    child: subprocess.Popen[str], deadline: float, watch: Callable[[int | None, int | None], None]
) -> RunFailedError | None:
    """Pass the child's progress on until its output and itself have ended; returns the failure it reported."""
    events: queue.Queue[dict[str, Any] | None] = queue.Queue()
    threading.Thread(target=_read_events, args=(child.stdout, events), daemon=True).start()
    done = total = None
    failure = None
    silent = False
    # Its output ends before its clean-up does, and a thread of a library may keep it from ending at all.
    while not (silent and child.poll() is not None):
        watch(done, total)
        if time.monotonic() > deadline:
            return failure or RunFailedError("The run did not end after its time-out and was killed.")
        try:
            event = events.get(timeout=POLL_S)
        except queue.Empty:
            continue
        if event is None:
            silent = True
        elif "failed" in event:
            failure = RunFailedError(event["failed"], event["details"])
        else:
            done, total = event["done"], event["total"]
    return failure


def _read_events(stream: IO[str], events: queue.Queue[dict[str, Any] | None]) -> None:
    for line in stream:
        events.put(json.loads(line))
    events.put(None)


def _children_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
