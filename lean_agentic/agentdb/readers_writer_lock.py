"""A lock that lets many threads read together or one write, and lets neither starve.

Phase-fair: a reader that arrives while a writer waits or writes goes in as soon as that writer leaves, before the next
one. So a writer that takes the lock for short chunks, again and again, delays a reader by one chunk at most.
"""

from __future__ import annotations

import threading


class ReadersWriterLock:
    """`with lock.reading:` holds it together with other readers, `with lock.writing:` alone; not reentrant."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._changed = threading.Condition(self._mutex)
        self._readers = 0
        self._readers_waiting = 0
        self._writing = False
        self._writers_waiting = 0
        self._phase = 0
        self.reading = _Reading(self)
        self.writing = _Writing(self)

    def start_reading(self) -> None:
        """Enter together with other readers."""
        with self._mutex:
            if self._writing or self._writers_waiting:
                self._wait_for_phase()
            else:
                self._readers += 1

    def stop_reading(self) -> None:
        """Leave what `start_reading` entered."""
        with self._mutex:
            self._leave()

    def start_writing(self) -> None:
        """Enter alone."""
        with self._mutex:
            self._writers_waiting += 1
            try:
                while self._writing or self._readers:
                    self._changed.wait()
                self._writing = True
            finally:
                self._writers_waiting -= 1
                if not self._writing and not self._writers_waiting:
                    self._admit_readers()  # interrupted: nobody else would

    def stop_writing(self) -> None:
        """Leave what `start_writing` entered."""
        with self._mutex:
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
                self._leave()
            raise

    def _admit_readers(self) -> None:
        # The writer itself counts the readers in: left to wake up first, they could lose the lock to it again.
        self._phase += 1
        self._readers += self._readers_waiting
        self._readers_waiting = 0
        self._changed.notify_all()

    def _leave(self) -> None:
        self._readers -= 1
        if not self._readers and self._writers_waiting:
            self._changed.notify_all()


class _Reading:
    def __init__(self, lock: ReadersWriterLock) -> None:
        self._lock = lock

    def __enter__(self) -> None:
        self._lock.start_reading()

    def __exit__(self, *_: object) -> None:
        self._lock.stop_reading()


class _Writing:
    def __init__(self, lock: ReadersWriterLock) -> None:
        self._lock = lock

    def __enter__(self) -> None:
        self._lock.start_writing()

    def __exit__(self, *_: object) -> None:
        self._lock.stop_writing()
