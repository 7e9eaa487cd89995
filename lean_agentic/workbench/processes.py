"""Finds and ends every process of one run: the child, its kernel, and whatever the notebook started.

A process belongs to a run when it carries the run's folder in its environment. Parentage would not do:
a kernel has a session of its own, and a notebook's background process outlives both once its parents
are gone. The environment is inherited by all of them and names one run only.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import psutil

from lean_agentic.workbench.recorder import RUN_DIR_VARIABLE

# A process may start another between being listed and being killed; each round catches the next ones.
ROUNDS = 20


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
    """
    ended = 0
    for _ in range(ROUNDS):
        found = list(run_processes(folder))
        if not found:
            break
        for process in found:
            _kill(process)
        psutil.wait_procs(found, timeout=1)
        ended += len(found)
    return ended


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
