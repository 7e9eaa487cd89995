"""A lock that lets many threads read together or one write, and lets neither starve.

Phase-fair: a reader that arrives while a writer waits or writes goes in as soon as that writer leaves, before the next
one. So a writer that takes the lock for short chunks, again and again, delays a reader by one chunk at most.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class ReadersWriterLock:
    """`with lock.reading():` or `with lock.writing():`; not reentrant."""

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._readers = 0
        self._readers_waiting = 0
        self._writing = False
        self._writers_waiting = 0
        self._phase = 0

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Hold the lock together with other readers."""
        with self._changed:
            if self._writing or self._writers_waiting:
                self._wait_for_phase()
            else:
                self._readers += 1
        try:
            yield
        finally:
            with self._changed:
                self._leave_reading()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the lock alone."""
        with self._changed:
            self._writers_waiting += 1
            try:
                while self._writing or self._readers:
                    self._changed.wait()
                self._writing = True
            finally:
                self._writers_waiting -= 1
                if not self._writing and not self._writers_waiting:
                    self._admit_readers()  # interrupted: nobody else would
        try:
            yield
        finally:
            with self._changed:
                self._writing = False
                self._admit_readers()

    def _wait_for_phase(self) -> None:
        phase = self._phase
        self._readers_waiting += 1
        try:
            while self._phase == phase:
                self._changed.wait()
        except BaseException:
            if self._phase == phase:
                self._readers_waiting -= 1
            else:
                self._leave_reading()
            raise

    def _admit_readers(self) -> None:
        # The writer itself counts the readers in: left to wake up first, they could lose the lock to it again.
        self._phase += 1
        self._readers += self._readers_waiting
        self._readers_waiting = 0
        self._changed.notify_all()

    def _leave_reading(self) -> None:
        self._readers -= 1
        if not self._readers:
            self._changed.notify_all()
