"""Opening a SQLite file for a memory, and what its errors mean for whoever uses it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lean_agentic.agentdb.errors import CorruptStoreError, StoreMismatchError, StoreUnavailableError

LEAST_SQLITE = (3, 35, 0)
CACHE_KIB = 16384
LOG_BYTES = 64 << 20
"""Above this the write-ahead log is cut after a checkpoint."""


def require_sqlite() -> None:
    """Raises StoreUnavailableError where this Python's SQLite is too old."""
    if sqlite3.sqlite_version_info < LEAST_SQLITE:
        found, needed = sqlite3.sqlite_version, ".".join(map(str, LEAST_SQLITE))
        raise StoreUnavailableError(f"this Python has SQLite {found}, {needed} is needed: use a newer Python")


def open_reader(path: Path, busy_s: float) -> sqlite3.Connection:
    """A connection that cannot write, to a file that is there."""
    connection = _connect(path, "rw", busy_s)
    connection.execute("PRAGMA query_only = ON")
    return connection


def open_writer(path: Path, busy_s: float) -> sqlite3.Connection:
    """A connection that writes, every commit synced; makes the file where there is none."""
    connection = _connect(path, "rwc", busy_s)
    _enter_wal(connection, path, time.monotonic() + busy_s)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    # What is deleted is overwritten by zeros.
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute(f"PRAGMA journal_size_limit = {LOG_BYTES}")
    return connection


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


def _connect(path: Path, mode: str, busy_s: float) -> sqlite3.Connection:
    # Statements of a thread run under its own locks, so that the check of sqlite3 for threads is not needed.
    address = f"{path.absolute().as_uri()}?mode={mode}"
    connection = sqlite3.connect(address, busy_s, isolation_level=None, check_same_thread=False, uri=True)
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
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
