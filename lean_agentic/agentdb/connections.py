"""Connections to one SQLite file: a single one that writes, and one in each thread that reads.

Journal in WAL mode, synced at every commit: what was committed survives a crash, and readers never wait for the
writer. SQLite allows neither connections nor its notes on locks to cross a fork; so before one all transactions are
awaited and all connections closed, and parent and child open their own when they need them.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lean_agentic.agentdb.database_file import explained, open_reader, open_writer, require_sqlite
from lean_agentic.agentdb.errors import StoreUnavailableError

BUSY_S = 60.0
"""How long to wait for the writer of another process."""
TRUNCATE_WAIT_S = 2.0
FORK_WAIT_S = 5.0
"""How long a fork waits for the transactions of other threads; after that the child cannot use the file."""

log = logging.getLogger(__name__)

_open: weakref.WeakSet[Connections] = weakref.WeakSet()
_inherited: list[object] = []
"""What was in a transaction at a fork: SQLite forbids even closing it in the child, so that it is kept alive."""


class _Reader:
    """The read connection of a thread. Closed when the thread ends."""

    def __init__(self) -> None:
        self.connection: sqlite3.Connection | None = None
        self.lock = threading.RLock()
        self.depth = 0
        self.committed = 0

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def __del__(self) -> None:
        self.close()


@dataclass
class _Process:
    """What belongs to one process and may not cross a fork."""

    pid: int = field(default_factory=os.getpid)
    lock: threading.RLock = field(default_factory=threading.RLock)
    guard: threading.Lock = field(default_factory=threading.Lock)
    writer: sqlite3.Connection | None = None
    owner: int | None = None
    """Thread in a write transaction."""
    depth: int = 0
    truncate_wait_s: float | None = None
    """How long to wait for readers when the log is emptied next; None where it need not be."""
    local: threading.local = field(default_factory=threading.local)
    readers: weakref.WeakSet[_Reader] = field(default_factory=weakref.WeakSet)


class Connections:
    """Transactions on the database at `path`, for all threads of this process and of its forks."""

    def __init__(self, path: Path, *, busy_s: float = BUSY_S) -> None:
        """Open the file, which is made where there is none.

        Raises StoreUnavailableError where that is impossible, StoreMismatchError where it is no SQLite database.
        """
        require_sqlite()
        self.path = path
        self.busy_s = busy_s
        self._closed = False
        self._process = _Process()
        self._held: list[threading.RLock] = []
        with explained(path), self._process.lock:
            self._writer(self._process)
        _open.add(self)

    @contextmanager
    def writing(self, *, wait_s: float | None = None) -> Iterator[sqlite3.Connection]:
        """The write connection in a transaction: committed and durable at the end, rolled back on an exception.

        Waits for other threads, and `busy_s` for other processes; or for `wait_s` each. A block inside another of the
        same thread is a savepoint of it. Raises StoreUnavailableError after a wait in vain.
        """
        process = self._here()
        if not process.lock.acquire(timeout=-1 if wait_s is None else wait_s):
            raise StoreUnavailableError(f"{self.path}: another thread is writing, for longer than {wait_s} s")
        try:
            with explained(self.path):
                writer = self._writer(process)
                patience_s = self.busy_s if wait_s is None else wait_s
                with self._nested(process, writer) if process.depth else self._outermost(process, writer, patience_s):
                    yield writer
        finally:
            process.lock.release()

    @contextmanager
    def reading(self, *, committed: bool = False) -> Iterator[sqlite3.Connection]:
        """A connection with one consistent view for the length of the block; nested blocks of a thread share it.

        Inside a write transaction of the same thread it sees that transaction, unless `committed`.
        """
        process = self._here()
        reader: _Reader | None = getattr(process.local, "reader", None)
        own = process.owner == threading.get_ident()
        if own and not committed and not (reader and reader.committed):
            assert process.writer is not None
            yield process.writer
            return
        reader = reader or self._new_reader(process)
        with explained(self.path), reader.lock:
            connection = self._connected(reader)
            with _snapshot(reader, connection, committed):
                yield connection

    @property
    def in_write(self) -> bool:
        """Whether this thread is inside a write transaction."""
        return self._process.owner == threading.get_ident()

    def truncate_log(self, *, insist: bool = True) -> None:
        """Move the write-ahead log into the database and empty it, after the running transaction where there is one.

        Where a reader needs the log for long, that is logged and tried again after every later transaction, unless it
        was not to `insist`.
        """
        process = self._here()
        with process.lock, explained(self.path):
            before, process.truncate_wait_s = process.truncate_wait_s, TRUNCATE_WAIT_S if insist else 0.0
            if not process.depth:
                _truncate_if_due(process, self._writer(process))
                if not insist:
                    process.truncate_wait_s = before

    def vacuum(self) -> None:
        """Write the whole file anew, without what deletions left in it, and empty the log.

        Needs as much free disk again, twice. Raises RuntimeError inside a transaction of this thread.
        """
        process = self._here()
        with process.lock, explained(self.path):
            if process.depth:
                raise RuntimeError("the file cannot be written anew inside a write transaction: do it after the block")
            writer = self._writer(process)
            # The copy may be larger than the memory.
            writer.execute("PRAGMA temp_store = FILE")
            writer.execute("VACUUM")
            writer.execute("PRAGMA temp_store = MEMORY")
            self.truncate_log()

    def close(self) -> None:
        """Wait for running transactions and close all connections. Safe to call twice."""
        process = self._process
        if process.pid != os.getpid():
            return
        with process.lock:
            if self._closed:
                return
            self._closed = True
            with process.guard:
                readers = list(process.readers)
            for reader in readers:
                with reader.lock:
                    reader.close()
            if process.writer is not None:
                _truncate_if_due(process, process.writer)
                process.writer.close()

    def _here(self) -> _Process:
        if self._closed:
            raise StoreUnavailableError(f"the memory {self.path} was closed: open it again")
        if self._process.pid != os.getpid():
            raise StoreUnavailableError(
                f"{self.path}: this process was forked in the middle of a transaction and cannot use the file: fork "
                "outside of transactions, or start processes by 'spawn'"
            )
        return self._process

    def _writer(self, process: _Process) -> sqlite3.Connection:
        self._here()
        if process.writer is None:
            process.writer = open_writer(self.path, self.busy_s)
        return process.writer

    def _new_reader(self, process: _Process) -> _Reader:
        reader = process.local.reader = _Reader()
        with process.guard:
            process.readers.add(reader)
        return reader

    def _connected(self, reader: _Reader) -> sqlite3.Connection:
        self._here()
        if reader.connection is None:
            reader.connection = open_reader(self.path, self.busy_s)
        return reader.connection

    def _before_fork(self) -> None:
        """Wait for transactions, close the connections, and keep others from opening new ones."""
        process = self._process
        deadline = time.monotonic() + FORK_WAIT_S
        process.guard.acquire()
        readers = list(process.readers)
        locks = [process.lock, *(reader.lock for reader in readers)]
        self._held = [lock for lock in locks if lock.acquire(timeout=max(0.0, deadline - time.monotonic()))]
        if len(self._held) < len(locks) or process.depth or any(reader.depth for reader in readers):
            log.warning("%s is forked in the middle of a transaction: the child cannot use it", self.path)
            return
        for reader in readers:
            reader.close()
        if process.writer is not None:
            process.writer.close()
            process.writer = None

    def _after_fork(self, *, child: bool) -> None:
        process, held, self._held = self._process, self._held, []
        if not child:
            process.guard.release()
            for lock in held:
                lock.release()
        elif process.writer is None and not any(reader.connection for reader in process.readers):
            self._process = _Process()
        else:
            _inherited.extend([process, *process.readers])

    @contextmanager
    def _outermost(self, process: _Process, writer: sqlite3.Connection, patience_s: float) -> Iterator[None]:
        with _patience(writer, patience_s):
            writer.execute("BEGIN IMMEDIATE")
        process.depth, process.owner = 1, threading.get_ident()
        try:
            yield
            self._require_same_process(process)
            writer.execute("COMMIT")
        except BaseException:
            # SQLite has rolled back by itself where the disk is full.
            if process.pid == os.getpid() and writer.in_transaction:
                writer.execute("ROLLBACK")
            raise
        finally:
            process.depth, process.owner = 0, None
        _truncate_if_due(process, writer)

    @contextmanager
    def _nested(self, process: _Process, writer: sqlite3.Connection) -> Iterator[None]:
        name = f"depth_{process.depth}"
        writer.execute(f"SAVEPOINT {name}")
        process.depth += 1
        try:
            yield
            self._require_same_process(process)
        except BaseException:
            if process.pid == os.getpid() and writer.in_transaction:
                writer.execute(f"ROLLBACK TO {name}")
                writer.execute(f"RELEASE {name}")
            raise
        else:
            writer.execute(f"RELEASE {name}")
        finally:
            process.depth -= 1

    def _require_same_process(self, process: _Process) -> None:
        if process.pid != os.getpid():
            raise StoreUnavailableError("forked inside a write transaction: it belongs to the parent process")


@contextmanager
def _snapshot(reader: _Reader, connection: sqlite3.Connection, committed: bool) -> Iterator[None]:
    if not reader.depth:
        connection.execute("BEGIN")
    reader.depth += 1
    reader.committed += committed
    try:
        yield
    finally:
        reader.depth -= 1
        reader.committed -= committed
        if not reader.depth and connection.in_transaction:
            connection.execute("COMMIT")


@contextmanager
def _patience(connection: sqlite3.Connection, wait_s: float) -> Iterator[None]:
    """Wait so long for others inside the block."""
    before = connection.execute("PRAGMA busy_timeout").fetchone()[0]
    connection.execute(f"PRAGMA busy_timeout = {round(1000 * wait_s)}")
    try:
        yield
    finally:
        connection.execute(f"PRAGMA busy_timeout = {before}")


def _truncate_if_due(process: _Process, writer: sqlite3.Connection) -> None:
    wait_s = process.truncate_wait_s
    if wait_s is None:
        return
    with _patience(writer, wait_s):
        busy = writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    process.truncate_wait_s = 0.0 if busy else None
    if busy and wait_s:
        log.warning("the write-ahead log is still being read, it is emptied later: forgotten text may be in it so long")


def _before_fork() -> None:
    for connections in list(_open):
        connections._before_fork()


def _after_fork(*, child: bool) -> None:
    for connections in list(_open):
        connections._after_fork(child=child)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=lambda: _after_fork(child=False),
        after_in_child=lambda: _after_fork(child=True),
    )
