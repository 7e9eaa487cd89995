"""What a file is opened with, and what is said when it cannot be used."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest

import lean_agentic.agentdb.database_file as module
from lean_agentic.agentdb.connections import Connections
from lean_agentic.agentdb.database_file import open_reader, open_writer
from lean_agentic.agentdb.errors import CorruptStoreError, StoreMismatchError, StoreUnavailableError

ROOT = Path(__file__).parents[2]


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


def numbers(connections: Connections) -> list[int]:
    with connections.reading() as connection:
        return [number for (number,) in connection.execute("SELECT number FROM numbers ORDER BY number")]


def test_commits_are_synced_to_a_log(connections: Connections) -> None:
    with connections.writing() as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2
        assert connection.execute("PRAGMA foreign_keys").fetchone()[0] == 1
        assert connection.execute("PRAGMA secure_delete").fetchone()[0] == 1


def test_a_full_disk_is_named_and_loses_nothing(connections: Connections) -> None:
    add(connections, 1)
    with connections.writing() as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")
        connection.execute("CREATE TEMP TABLE big AS SELECT zeroblob(100000) AS data")

    def fill() -> None:
        with connections.writing() as connection:
            connection.execute("INSERT INTO numbers VALUES (2)")
            connection.execute("INSERT INTO numbers SELECT data FROM temp.big")

    with pytest.raises(StoreUnavailableError, match="disk is full"):
        fill()
    assert numbers(connections) == [1]
    with connections.writing() as connection:
        connection.execute(f"PRAGMA max_page_count = {pages + 100}")
        connection.execute("INSERT INTO numbers VALUES (3)")
    assert numbers(connections) == [1, 3]


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("these are no tables " * 100)
    with pytest.raises(StoreMismatchError, match="no SQLite database"):
        Connections(path)
    assert path.read_text().startswith("these")
    with pytest.raises(StoreUnavailableError, match="cannot be opened"):
        Connections(tmp_path)
    with pytest.raises(StoreUnavailableError, match="cannot be opened"):
        Connections(tmp_path / "missing" / "a.db")


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    connections = Connections(path)
    with connections.writing() as connection:
        connection.execute("CREATE TABLE numbers (number INTEGER)")
        connection.executemany("INSERT INTO numbers VALUES (?)", [(number,) for number in range(10000)])
    connections.close()
    content = bytearray(path.read_bytes())
    content[8192:] = b"\xff" * (len(content) - 8192)
    path.write_bytes(content)
    connections = Connections(path)
    with pytest.raises(CorruptStoreError, match="restore it from a backup"):
        numbers(connections)
    connections.close()


READ_ONLY = """
import os, sys
from pathlib import Path
import lean_agentic.agentdb.connections as module
from lean_agentic.agentdb.connections import Connections
from lean_agentic.agentdb.errors import StoreUnavailableError
folder = Path(sys.argv[1])
if os.getuid() == 0:
    os.setuid(65534)
for name in ("old.db", "new.db"):
    try:
        Connections(folder / name)
    except StoreUnavailableError as error:
        print(error)
"""


def test_a_read_only_folder_is_named() -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        Connections(folder / "old.db").close()
        (folder / "old.db").chmod(0o444)
        folder.chmod(0o555)
        said = subprocess.run(
            [sys.executable, "-c", READ_ONLY, str(folder)], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)
    old, new = said.splitlines()
    assert "old.db" in old
    assert "read-only" in old
    assert "new.db" in new
    assert "cannot be opened" in new


def test_an_old_sqlite_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEAST_SQLITE", (99, 0, 0))
    with pytest.raises(StoreUnavailableError, match=r"99\.0\.0 is needed"):
        Connections(tmp_path / "a.db")


def test_a_reader_makes_no_file_and_writes_none(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError, match="unable to open"):
        open_reader(tmp_path / "a.db", 1.0).execute("SELECT 1")
    assert list(tmp_path.iterdir()) == []
    open_writer(tmp_path / "a.db", 1.0).execute("CREATE TABLE a (b)")
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        open_reader(tmp_path / "a.db", 1.0).execute("DROP TABLE a")


def test_many_open_a_new_file_at_once(tmp_path: Path) -> None:
    """Entering the log's mode is the moment at which SQLite itself does not wait."""
    faults: list[Exception] = []
    barrier = threading.Barrier(6)

    def work() -> None:
        barrier.wait()
        try:
            open_writer(tmp_path / "a.db", 30.0).close()
        except sqlite3.Error as error:
            faults.append(error)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []


def test_names_need_no_escaping(tmp_path: Path) -> None:
    path = tmp_path / "a #b?mode=memory%20.db"
    open_writer(path, 1.0).close()
    assert path.exists()
    assert os.listdir(tmp_path) == [path.name]
