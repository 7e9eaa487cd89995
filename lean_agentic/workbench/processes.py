"""Finds and ends every process of one run: the child, its kernel, and whatever the notebook started.

A process belongs to a run when it carries the run's folder in its environment. Parentage would not do:
a kernel has a session of its own, and a notebook's background process outlives both once its parents
are gone. The environment is inherited by all of them and names one run only.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from lean_agentic.workbench.errors import WorkbenchError
from lean_agentic.workbench.recorder import RUN_DIR_VARIABLE

PAUSE_S = 0.02
PATIENCE_S = 10.0


class ProcessesLeftError(WorkbenchError):
    """A run's processes cannot be ended."""


def run_processes(folder: Path) -> Iterator[psutil.Process]:
    """Living processes of the run in `folder`, except the caller."""
    for process in psutil.process_iter():
        if process.pid != os.getpid() and _belongs(process, folder):
            yield process


def end_run_processes(folder: Path) -> int:
    """Kill all processes of the run in `folder`, except the caller, and wait until they are gone.

    Returns
    -------
    int
        How many were killed.

    Raises
    ------
    ProcessesLeftError
        Some are still there after ten seconds, as a process waiting for a broken disk may be.
    """
    ended: set[int] = set()
    deadline = time.monotonic() + PATIENCE_S
    # Again and again: a process may start another between being listed and being killed. Waiting is left to the
    # parents, for psutil would take a child's exit status away from its `Popen`.
    while found := list(run_processes(folder)):
        for process in found:
            _kill(process)
        ended.update(process.pid for process in found)
        if time.monotonic() > deadline:
            raise ProcessesLeftError(f"Processes {sorted(ended)} of the run {folder} do not end when killed.")
        time.sleep(PAUSE_S)
    return len(ended)


def _belongs(process: psutil.Process, folder: Path) -> bool:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:  # ended already; its parent has yet to notice
            return False
        return process.environ().get(RUN_DIR_VARIABLE) == str(folder)
    except (psutil.NoSuchProcess, psutil.AccessDenied):  # gone meanwhile, or another user's: not ours
        return False


def _kill(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return
