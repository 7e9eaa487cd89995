"""One thread that compiles while the program runs.

In: jobs, which are callables. Out: their effects. The thread starts with the first job; at the end of the process the
job that is running is waited for, because LLVM must not be torn down under it.
"""

from __future__ import annotations

import atexit
import os
import queue
import sys
import threading
from collections.abc import Callable

Job = Callable[[], None]
_LONGEST_WAIT = 5.0


class Worker:
    """Runs jobs in order."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._open = True
        self._pending = 0
        self._idle = threading.Condition(self._lock)
        os.register_at_fork(after_in_child=self._forget_thread)

    def submit(self, job: Job) -> None:
        """Run a job later."""
        with self._lock:
            if not self._open:
                return
            self._pending += 1
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="tier compiler", daemon=True)
                self._thread.start()
                atexit.register(self.stop)
        self._jobs.put(job)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until nothing is left to do; whether that came true in time."""
        with self._idle:
            return self._idle.wait_for(lambda: self._pending == 0, timeout)

    def stop(self) -> None:
        """Do no more jobs; returns when the one under way is done."""
        with self._lock:
            self._open = False
        self._jobs.put(None)
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(_LONGEST_WAIT)

    def _run(self) -> None:
        while True:
            job = self._jobs.get()
            if job is None or not self._open:
                return
            try:
                job()
            except Exception:
                threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), threading.current_thread())))
            finally:
                with self._idle:
                    self._pending -= 1
                    self._idle.notify_all()

    def _forget_thread(self) -> None:
        # The child of a fork has no such thread, and the lock may have been held.
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._jobs = queue.SimpleQueue()
        self._thread, self._pending = None, 0


worker = Worker()
"""The process has one."""
