"""Who may be in together, and that nobody waits for ever."""

from __future__ import annotations

import threading
import time

import pytest

from lean_agentic.agentdb.readers_writer_lock import ReadersWriterLock


def test_readers_are_in_together() -> None:
    lock = ReadersWriterLock()
    both = threading.Barrier(2, timeout=20)

    def read() -> None:
        with lock.reading:
            both.wait()

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not both.broken


def test_a_writer_is_alone() -> None:
    lock = ReadersWriterLock()
    inside = {"readers": 0, "writers": 0}
    guard = threading.Lock()
    broken: list[dict[str, int]] = []

    def visit(kind: str) -> None:
        for _ in range(300):
            with lock.writing if kind == "writers" else lock.reading:
                with guard:
                    inside[kind] += 1
                    if inside["writers"] > 1 or (inside["writers"] and inside["readers"]):
                        broken.append(dict(inside))
                time.sleep(0)
                with guard:
                    inside[kind] -= 1

    threads = [threading.Thread(target=visit, args=(kind,)) for kind in ["writers"] * 3 + ["readers"] * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert broken == []


def test_a_reader_goes_in_between_two_writes_of_one_writer() -> None:
    """The writer never pauses: only the lock's fairness lets the reader in."""
    lock = ReadersWriterLock()
    order: list[str] = []
    first_write, reader_waits = threading.Event(), threading.Event()

    def write() -> None:
        for turn in range(3):
            with lock.writing:
                order.append(f"write {turn}")
                first_write.set()
                reader_waits.wait(20)
                while not lock._readers_waiting and "read" not in order:
                    time.sleep(0.001)

    def read() -> None:
        first_write.wait(20)
        reader_waits.set()
        with lock.reading:
            order.append("read")

    threads = [threading.Thread(target=write), threading.Thread(target=read)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert order == ["write 0", "read", "write 1", "write 2"]


def test_a_writer_goes_in_though_readers_keep_coming() -> None:
    lock = ReadersWriterLock()
    written = threading.Event()

    def read() -> None:
        while not written.is_set():
            with lock.reading:
                time.sleep(0.001)

    def write() -> None:
        with lock.writing:
            written.set()

    readers = [threading.Thread(target=read) for _ in range(4)]
    for thread in readers:
        thread.start()
    writer = threading.Thread(target=write)
    writer.start()
    assert written.wait(20)
    for thread in [*readers, writer]:
        thread.join()


@pytest.mark.parametrize("how", ["reading", "writing"])
def test_an_error_inside_frees_the_lock(how: str) -> None:
    lock = ReadersWriterLock()
    with pytest.raises(KeyError), getattr(lock, how):
        raise KeyError
    with lock.writing, pytest.raises(ZeroDivisionError):
        raise ZeroDivisionError
    with lock.reading:
        pass


def test_an_interrupted_writer_leaves_no_reader_behind() -> None:
    """KeyboardInterrupt can end the wait for the lock."""
    lock = ReadersWriterLock()
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with lock.reading:
            held.set()
            done.wait(20)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(20)
    waiting = lock._changed.wait
    lock._changed.wait = lambda timeout=None: (_ for _ in ()).throw(KeyboardInterrupt)  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt), lock.writing:
        pass
    lock._changed.wait = waiting  # type: ignore[method-assign]
    with lock.reading:
        done.set()
    holder.join()
