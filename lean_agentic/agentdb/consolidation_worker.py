"""Consolidation in the background: a thread that runs it at intervals, and stops when it is told to.

It stops between two clusters, at `stop`, at the end of a `with` block, and at the exit of the interpreter; what is
left is done by the next run. An error ends a run, not the worker: it is logged, and kept to be looked at.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
from typing import Self

from lean_agentic.agentdb.consolidation import Consolidation, ConsolidationProgress
from lean_agentic.agentdb.consolidation_report import ConsolidationReport

INTERVAL_S = 600.0
log = logging.getLogger(__name__)


class _StoppedError(Exception):
    """Ends a run because the worker is to stop."""


class ConsolidationWorker:
    """Runs a consolidation every `interval_s` seconds, the first time at once.

    Stop it before the store is closed. After a fork it runs in the parent only.

    Parameters
    ----------
    consolidation : Consolidation
    interval_s : float
        Seconds from the end of one run to the start of the next.
    """

    def __init__(self, consolidation: Consolidation, interval_s: float = INTERVAL_S) -> None:
        if not interval_s > 0:
            raise ValueError(f"interval_s must be a positive number of seconds, got {interval_s}")
        self.interval_s = interval_s
        self.runs = 0
        """Runs that ended, with an error or without."""
        self.last_report: ConsolidationReport | None = None
        """Of the last run without an error."""
        self.last_error: Exception | None = None
        """Of the last run; None where it ended well."""
        self._consolidation = consolidation
        self._stopping = threading.Event()
        self._due = threading.Event()
        self._control = threading.Lock()
        self._thread: threading.Thread | None = None
        self._pid = 0

    @property
    def running(self) -> bool:
        """Whether the thread is there, in this process."""
        return self._thread is not None and self._thread.is_alive() and self._pid == os.getpid()

    def start(self) -> None:
        """Start the thread; nothing where it runs already."""
        with self._control:
            if self.running:
                return
            self._stopping.clear()
            self._due.set()
            self._pid = os.getpid()
            self._thread = threading.Thread(target=self._work, name="consolidation", daemon=True)
            self._thread.start()
            # A daemon thread is cut off in the middle of anything; this lets it end a transaction first.
            atexit.register(self.stop)

    def run_soon(self) -> None:
        """Do not wait for the interval to pass."""
        self._due.set()

    def stop(self, timeout_s: float | None = None) -> None:
        """Let the current cluster be finished and wait for the thread to end. Safe to call twice.

        Raises TimeoutError where it still runs after that many seconds; it ends all the same, later.
        """
        with self._control:
            thread, self._thread = self._thread, None
            atexit.unregister(self.stop)
            if thread is None or self._pid != os.getpid():
                return
            self._stopping.set()
            self._due.set()
            thread.join(timeout_s)
            if thread.is_alive():
                self._thread = thread
                raise TimeoutError(
                    f"the consolidation is still in one cluster after {timeout_s} s: wait, and stop again"
                )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        state = "running" if self.running else "stopped"
        shown = "" if self.last_error is None else f", last error: {self.last_error!r}"
        return f"ConsolidationWorker({state}, every {self.interval_s:g} s, {self.runs} runs{shown})"

    def _work(self) -> None:
        while True:
            self._due.wait(self.interval_s)
            self._due.clear()
            if self._stopping.is_set():
                return
            try:
                self.last_report = self._consolidation.run(self._go_on)
                self.last_error = None
            except _StoppedError:
                return
            except Exception as error:
                self.last_error = error
                log.exception("a consolidation in the background failed, it is tried again in %g s", self.interval_s)
            self.runs += 1

    def _go_on(self, progress: ConsolidationProgress) -> None:
        if self._stopping.is_set():
            raise _StoppedError
