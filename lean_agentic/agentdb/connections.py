"""Connections to one SQLite file: a single one that writes, and one in each thread that reads.

Journal in WAL mode, synced at every commit: what was committed survives a crash, and readers never wait for the
writer. A connection is never used in a process that was forked after it was made; the child opens its own.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lean_agentic.agentdb.errors import CorruptStoreError, StoreMismatchError, StoreUnavailableError

LEAST_SQLITE = (3, 35, 0)
BUSY_S = 60.0
"""How long to wait for the writer of another process."""
PAGE_BYTES = 8192
CACHE_KIB = 16384
LOG_BYTES = 64 << 20
"""Above this the write-ahead log is cut after a checkpoint."""
TRUNCATE_WAIT_S = 2.0

log = logging.getLogger(__name__)

_inherited: list[object] = []
"""Connections from before a fork: SQLite forbids even closing them in the child, so that they are kept alive."""


class _Reader:
    """The read connection of a thread. Closed when the thread ends."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.lock = threading.RLock()
        self.depth = 0
        self.committed = 0
        self._pid = os.getpid()

    def __del__(self) -> None:
        if os.getpid() == self._pid:
            self.connection.close()
        else:
            _inherited.append(self.connection)


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
    truncate_due: bool = False
    local: threading.local = field(default_factory=threading.local)
    readers: weakref.WeakSet[_Reader] = field(default_factory=weakref.WeakSet)


class Connections:
    """Transactions on the database at `path`, for all threads of this process and of its forks."""

    def __init__(self, path: Path, *, busy_s: float = BUSY_S) -> None:
        """Open the file, which is made where there is none.

        Raises StoreUnavailableError where that is impossible, StoreMismatchError where it is no SQLite database.
        """
        if sqlite3.sqlite_version_info < LEAST_SQLITE:
            found, needed = sqlite3.sqlite_version, ".".join(map(str, LEAST_SQLITE))
            raise StoreUnavailableError(f"this Python has SQLite {found}, {needed} is needed: use a newer Python")
        self.path = path
        self.busy_s = busy_s
        self._closed = False
        self._process = _Process()
        with explained(path), self._process.lock:
            self._writer(self._process)

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """The write connection in a transaction: committed and durable at the end, rolled back on an exception.

        Waits for other threads and processes. A block inside another of the same thread is a savepoint of it.
        """
        process = self._here()
        with process.lock, explained(self.path):
            writer = self._writer(process)
            with self._nested(process, writer) if process.depth else self._outermost(process, writer):
                yield writer

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
        with explained(self.path):
            reader = reader or self._open_reader(process)
            with reader.lock, _snapshot(reader, committed):
                self._here()
                yield reader.connection

    @property
    def in_write(self) -> bool:
        """Whether this thread is inside a write transaction."""
        return self._process.owner == threading.get_ident()

    def truncate_log(self, wait_s: float = TRUNCATE_WAIT_S) -> None:
        """Move the write-ahead log into the database and empty it, after the running transaction where there is one.

        Where a reader still needs the log it is tried again after every later transaction.
        """
        process = self._here()
        with process.lock, explained(self.path):
            process.truncate_due = True
            if not process.depth:
                _truncate_if_due(process, self._writer(process), wait_s)

    def close(self) -> None:
        """Wait for running transactions and close all connections. Safe to call twice."""
        process = self._here() if not self._closed else self._process
        with process.lock:
            if self._closed or process.pid != os.getpid():
                return
            self._closed = True
            with process.guard:
                readers = list(process.readers)
            for reader in readers:
                with reader.lock:
                    reader.connection.close()
            if process.writer is not None:
                _truncate_if_due(process, process.writer, TRUNCATE_WAIT_S)
                process.writer.close()

    def _here(self) -> _Process:
        if self._closed:
            raise StoreUnavailableError(f"the memory {self.path} was closed: open it again")
        if self._process.pid != os.getpid():
            _inherited.append(self._process)
            self._process = _Process()
        return self._process

    def _writer(self, process: _Process) -> sqlite3.Connection:
        self._here()
        if process.writer is None:
            process.writer = _open_writer(self.path, self.busy_s)
        return process.writer

    def _open_reader(self, process: _Process) -> _Reader:
        connection = _connect(self.path, "rw", self.busy_s)
        connection.execute("PRAGMA query_only = ON")
        reader = _Reader(connection)
        process.local.reader = reader
        with process.guard:
            process.readers.add(reader)
        return reader

    @contextmanager
    def _outermost(self, process: _Process, writer: sqlite3.Connection) -> Iterator[None]:
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
        _truncate_if_due(process, writer, 0.0)

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
def explained(path: Path) -> Iterator[None]:
    """Turn what SQLite raises for files, disks and locks into errors that say what to do."""
    try:
        yield
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", "") or ""
        for prefix, kind, advice in _ADVICE:
            if name.startswith(prefix):
                raise kind(f"{path}: {error} ({name}): {advice}") from error
        raise


_ADVICE: tuple[tuple[str, Callable[[str], Exception], str], ...] = (
    ("SQLITE_FULL", StoreUnavailableError, "the disk is full; nothing of the transaction was stored; free some space"),
    ("SQLITE_READONLY", StoreUnavailableError, "the file or its folder is read-only; allow writing to both"),
    ("SQLITE_CANTOPEN", StoreUnavailableError, "the file cannot be opened; check its folder and the permissions"),
    ("SQLITE_PERM", StoreUnavailableError, "access is not permitted; check the permissions"),
    ("SQLITE_BUSY", StoreUnavailableError, "another process is writing for long; try again when it is done"),
    ("SQLITE_LOCKED", StoreUnavailableError, "another connection is writing; try again when it is done"),
    ("SQLITE_IOERR", StoreUnavailableError, "reading or writing the disk failed; see the system's log"),
    ("SQLITE_NOTADB", StoreMismatchError, "this is no SQLite database; choose another path"),
    ("SQLITE_CORRUPT", CorruptStoreError, "the database is damaged; restore it from a backup"),
)


@contextmanager
def _snapshot(reader: _Reader, committed: bool) -> Iterator[None]:
    if not reader.depth:
        reader.connection.execute("BEGIN")
    reader.depth += 1
    reader.committed += committed
    try:
        yield
    finally:
        reader.depth -= 1
        reader.committed -= committed
        if not reader.depth and reader.connection.in_transaction:
            reader.connection.execute("COMMIT")


def _connect(path: Path, mode: str, busy_s: float) -> sqlite3.Connection:
    # Statements of a thread run under its own locks, so that the check of sqlite3 for threads is not needed.
    address = f"{path.absolute().as_uri()}?mode={mode}"
    connection = sqlite3.connect(address, busy_s, isolation_level=None, check_same_thread=False, uri=True)
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    return connection


def _open_writer(path: Path, busy_s: float) -> sqlite3.Connection:
    connection = _connect(path, "rwc", busy_s)
    connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
    _enter_wal(connection, path, time.monotonic() + busy_s)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    # What is deleted is overwritten by zeros.
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute(f"PRAGMA journal_size_limit = {LOG_BYTES}")
    return connection


def _enter_wal(connection: sqlite3.Connection, path: Path, deadline: float) -> None:
    while True:
        try:
            mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
            break
        except sqlite3.OperationalError as error:
            # SQLite does not wait here when another process changes the mode at the same moment.
            if not error.sqlite_errorname.startswith("SQLITE_BUSY") or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
    if mode != "wal":
        raise StoreUnavailableError(f"{path}: SQLite refuses a write-ahead log here; use a folder on a local disk")


def _truncate_if_due(process: _Process, writer: sqlite3.Connection, wait_s: float) -> None:
    if not process.truncate_due:
        return
    before = writer.execute("PRAGMA busy_timeout").fetchone()[0]
    writer.execute(f"PRAGMA busy_timeout = {round(1000 * wait_s)}")
    try:
        busy = writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    finally:
        writer.execute(f"PRAGMA busy_timeout = {before}")
    process.truncate_due = bool(busy)
    if busy:
        log.warning("the write-ahead log is still being read, it is emptied later: forgotten text may be in it so long")
