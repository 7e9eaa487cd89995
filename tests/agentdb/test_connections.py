"""Transactions from threads, processes and forks, and what is said when the file cannot be used."""

from __future__ import annotations

import gc
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lean_agentic.agentdb.connections as module
from lean_agentic.agentdb.connections import Connections
from lean_agentic.agentdb.errors import StoreUnavailableError


@pytest.fixture
def connections(tmp_path: Path) -> Any:
    opened = Connections(tmp_path / "a.db")
    with opened.writing() as connection:
        connection.execute("CREATE TABLE numbers (number INTEGER)")
    yield opened
    opened.close()


def add(connections: Connections, number: int) -> None:
    with connections.writing() as connection:
        connection.execute("INSERT INTO numbers VALUES (?)", (number,))


def numbers(connections: Connections, *, committed: bool = False) -> list[int]:
    with connections.reading(committed=committed) as connection:
        return [number for (number,) in connection.execute("SELECT number FROM numbers ORDER BY number")]


def run_threads(work: Callable[[int], None], count: int) -> None:
    faults: list[BaseException] = []

    def guarded(number: int) -> None:
        try:
            work(number)
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []


def test_threads_take_turns(connections: Connections) -> None:
    def count_up(_: int) -> None:
        for _ in range(20):
            # Read and write in one transaction: a lost update would show.
            with connections.writing() as connection:
                largest = connection.execute("SELECT coalesce(max(number), 0) FROM numbers").fetchone()[0]
                connection.execute("INSERT INTO numbers VALUES (?)", (largest + 1,))

    run_threads(count_up, 4)
    assert numbers(connections) == list(range(1, 81))


def test_readers_see_whole_transactions(connections: Connections) -> None:
    done = threading.Event()

    def work(number: int) -> None:
        if number == 0:
            for turn in range(60):
                with connections.writing() as connection:
                    connection.executemany("INSERT INTO numbers VALUES (?)", [(turn,)] * 3)
            done.set()
        while not done.is_set():
            assert len(numbers(connections)) % 3 == 0

    run_threads(work, 4)
    assert len(numbers(connections)) == 180


def test_blocks_nest(connections: Connections) -> None:
    def undone() -> None:
        with connections.writing():
            add(connections, 2)
            raise KeyError

    with connections.writing():
        add(connections, 1)
        with pytest.raises(KeyError):
            undone()
        add(connections, 3)
        assert numbers(connections) == [1, 3]
        assert numbers(connections, committed=True) == []
        with connections.reading(committed=True):
            assert numbers(connections) == []
        assert connections.in_write
    assert numbers(connections) == [1, 3]
    assert not connections.in_write


def test_an_exception_undoes_the_block(connections: Connections) -> None:
    with pytest.raises(ZeroDivisionError), connections.writing() as connection:
        connection.execute("INSERT INTO numbers VALUES (?)", (1 / 0,))
    add(connections, 1)
    assert numbers(connections) == [1]


def test_connections_of_threads_end_with_them(connections: Connections) -> None:
    def open_files() -> int:
        run_threads(lambda _: numbers(connections) and None, 8)
        gc.collect()
        return len(list(Path("/proc/self/fd").iterdir()))

    # SQLite keeps some files of closed connections for the next ones, at most as many as were open at once.
    before = open_files()
    assert max(open_files() for _ in range(5)) <= before + 2 * 8


def test_a_busy_writer_is_named(tmp_path: Path) -> None:
    first, second = Connections(tmp_path / "a.db"), Connections(tmp_path / "a.db", busy_s=0.05)
    with first.writing(), pytest.raises(StoreUnavailableError, match="another process is writing"), second.writing():
        pytest.fail("two writers at once")
    with second.writing():
        pass
    first.close()
    second.close()


def in_child(work: Callable[[], None]) -> int:
    """Run `work` in a forked process; its exit code, 0 where nothing was raised."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            signal.alarm(30)
            work()
            code = 0
        except BaseException as error:
            os.write(2, repr(error).encode())
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_fork_opens_its_own_connections(connections: Connections) -> None:
    add(connections, 1)
    numbers(connections)

    def work() -> None:
        assert numbers(connections) == [1]
        add(connections, 2)
        connections.close()

    assert in_child(work) == 0
    add(connections, 3)
    assert numbers(connections) == [1, 2, 3]


def holding(connections: Connections, writing: threading.Event, release: Callable[[], object]) -> threading.Thread:
    """A thread in a write transaction, which it ends after `release` returns."""

    def hold() -> None:
        with connections.writing():
            writing.set()
            release()
            add(connections, 1)

    thread = threading.Thread(target=hold)
    thread.start()
    writing.wait()
    return thread


def test_a_fork_waits_for_the_transactions_of_other_threads(connections: Connections) -> None:
    thread = holding(connections, threading.Event(), lambda: time.sleep(0.2))
    reader = threading.Thread(target=lambda: [numbers(connections) for _ in range(50)])
    reader.start()

    def work() -> None:
        assert numbers(connections) == [1]
        add(connections, 2)

    assert in_child(work) == 0
    thread.join()
    reader.join()
    assert numbers(connections) == [1, 2]


def test_a_fork_into_a_long_transaction_cannot_use_the_file(
    connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FORK_WAIT_S", 0.05)
    release = threading.Event()
    thread = holding(connections, threading.Event(), release.wait)

    def work() -> None:
        for use in (numbers, lambda connections: add(connections, 2)):
            with pytest.raises(StoreUnavailableError, match="forked in the middle of a transaction"):
                use(connections)
        connections.close()

    assert in_child(work) == 0
    release.set()
    thread.join()
    assert numbers(connections) == [1]


def test_a_wait_may_be_short(connections: Connections) -> None:
    release = threading.Event()
    thread = holding(connections, threading.Event(), release.wait)
    with pytest.raises(StoreUnavailableError, match=r"longer than 0\.01 s"), connections.writing(wait_s=0.01):
        pytest.fail("two writers at once")
    other = Connections(connections.path)
    with pytest.raises(StoreUnavailableError, match="another process"), other.writing(wait_s=0.01):
        pytest.fail("two writers at once")
    release.set()
    thread.join()
    add(other, 2)
    other.close()
    assert numbers(connections) == [1, 2]


def test_a_transaction_is_not_committed_by_a_fork_of_it(connections: Connections) -> None:
    child = -1

    def fork_inside() -> None:
        nonlocal child
        with connections.writing() as connection:
            connection.execute("INSERT INTO numbers VALUES (1)")
            child = os.fork()

    try:
        fork_inside()
    except StoreUnavailableError as error:
        os._exit(0 if child == 0 and "forked inside a write transaction" in str(error) else 1)
    if child == 0:
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert numbers(connections) == [1]


def test_many_forks_write_beside_their_parent(connections: Connections) -> None:
    """Each child ends with a close, which must not take the log away from those still writing."""

    def work() -> None:
        for _ in range(5):
            add(connections, 1)
        connections.close()

    threads = [threading.Thread(target=lambda: [add(connections, 2), numbers(connections)]) for _ in range(5)]
    for thread in threads:
        thread.start()
        assert in_child(work) == 0
    for thread in threads:
        thread.join()
    assert numbers(connections) == [1] * 25 + [2] * 5
    with connections.writing() as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"


def test_the_log_is_emptied_when_nobody_reads_it(
    connections: Connections, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(f"{connections.path}-wal")
    add(connections, 1)
    assert path.stat().st_size > 0
    reader = sqlite3.connect(connections.path)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM numbers").fetchall()
    add(connections, 2)
    monkeypatch.setattr(module, "TRUNCATE_WAIT_S", 0.01)
    connections.truncate_log()
    add(connections, 3)
    assert path.stat().st_size > 0
    assert caplog.text.count("still being read") == 1
    reader.close()
    add(connections, 4)
    assert path.stat().st_size == 0
    assert numbers(connections) == [1, 2, 3, 4]


def test_closing_waits_for_readers(connections: Connections) -> None:
    reading, closed = threading.Event(), threading.Event()
    seen: list[int] = []

    def read() -> None:
        with connections.reading() as connection:
            reading.set()
            assert not closed.wait(0.2)
            seen.extend(connection.execute("SELECT count(*) FROM numbers").fetchone())

    def close() -> None:
        reading.wait()
        connections.close()
        closed.set()

    run_threads(lambda number: (read, close)[number](), 2)
    assert seen == [0]
    with pytest.raises(StoreUnavailableError, match="was closed"):
        numbers(connections)
