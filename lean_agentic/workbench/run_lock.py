"""One run at a time in a project: two would share the cores, and neither's timings would mean anything.

The lock is a `flock` on `experiments/.run.lock`, which the system drops when its holder dies; who holds
it stands beside it in `.run.lock.json`, for the message of the one who is refused.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import filelock

from lean_agentic.workbench.errors import WorkbenchError
from lean_agentic.workbench.files import write_atomically
from lean_agentic.workbench.project import Project

POLL_S = 0.2


class RunLockError(WorkbenchError):
    """Another process runs experiments in this project, or the lock cannot be taken at all."""


class RunLock:
    """The held lock; `describe` says what its holder is doing."""

    def __init__(self, note: Path) -> None:
        self._note = note

    def describe(self, doing: str) -> None:
        """Tell those who want the lock what it is held for: `04_routing_costs`, `compare HEAD~1 HEAD`.

        Raises
        ------
        RunLockError
            The disk is full or read-only.
        """
        since = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        try:
            write_atomically(self._note, json.dumps({"pid": os.getpid(), "doing": doing, "since": since}))
        except OSError as error:
            raise _not_writable(self._note, error) from error


@contextmanager
def run_lock(project: Project, doing: str, wait: Callable[[str], None] | None = None) -> Iterator[RunLock]:
    """Hold the project's run lock.

    Parameters
    ----------
    doing
        What it is held for, as others are told.
    wait
        Called again and again, with who holds the lock, while it is held; may raise to give up. Without it a held
        lock is an error at once.

    Raises
    ------
    RunLockError
        The lock is held and `wait` is None, or the lock file cannot be written.
    """
    path = project.experiments / ".run.lock"
    note = path.with_name(".run.lock.json")
    lock = filelock.FileLock(path, timeout=0)
    try:
        _acquire(lock, note, wait)
    except OSError as error:
        raise _not_writable(path, error) from error
    try:
        held = RunLock(note)
        held.describe(doing)
        yield held
    finally:
        note.unlink(missing_ok=True)
        lock.release()


def _acquire(lock: filelock.BaseFileLock, note: Path, wait: Callable[[str], None] | None) -> None:
    while True:
        try:
            lock.acquire()
            return
        except filelock.Timeout as error:
            holder = _holder(note)
            if wait is None:
                raise RunLockError(
                    f"Another run is going on ({holder}), and two at once would disturb each other's timings. "
                    "Wait for it (`lean-agentic run --wait` does)."
                ) from error
            wait(holder)
            time.sleep(POLL_S)


def _not_writable(path: Path, error: OSError) -> RunLockError:
    return RunLockError(f"{path} cannot be written ({error}). {path.parent} must be writable, on a disk with space.")


def _holder(note: Path) -> str:
    try:
        content = json.loads(note.read_text(encoding="utf-8"))
        return f"process {content['pid']}, {content['doing']}, since {content['since']}"
    except (OSError, ValueError, KeyError):  # it took the lock a moment ago and has not written the note yet
        return "a process that has just started"
