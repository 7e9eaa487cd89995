"""Schemas: made at once, by steps, by several processes, by one that is killed; newer and foreign ones refused."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

import lean_agentic.agentdb.migrations as module
from lean_agentic.agentdb.connections import Connections
from lean_agentic.agentdb.errors import StoreMismatchError
from lean_agentic.agentdb.migrations import MIGRATIONS, Migration, migrate

ROOT = Path(__file__).parents[2]


def schema(path: Path) -> list[tuple[str, str]]:
    connection = sqlite3.connect(path)
    found = connection.execute("SELECT name, coalesce(sql, '') FROM sqlite_master ORDER BY name").fetchall()
    connection.close()
    return found


def migrated(path: Path, migrations: tuple[Migration, ...] = MIGRATIONS) -> list[tuple[str, str]]:
    connections = Connections(path)
    try:
        migrate(connections, migrations)
    finally:
        connections.close()
    return schema(path)


def test_steps_lead_where_one_leap_does(tmp_path: Path) -> None:
    for count in range(len(MIGRATIONS) + 1):
        by_steps = migrated(tmp_path / "steps.db", MIGRATIONS[:count])
    assert by_steps == migrated(tmp_path / "leap.db")
    assert migrated(tmp_path / "leap.db") == by_steps


def test_names_are_ordered_and_noted(tmp_path: Path) -> None:
    migrated(tmp_path / "a.db")
    connection = sqlite3.connect(tmp_path / "a.db")
    noted = connection.execute("SELECT name FROM migrations ORDER BY position").fetchall()
    connection.close()
    names = [migration.name for migration in MIGRATIONS]
    assert [name for (name,) in noted] == names == sorted(set(names))


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    newer = (*MIGRATIONS, Migration("999 from the future", ("CREATE TABLE future (x)",)))
    before = migrated(tmp_path / "a.db", newer)
    with pytest.raises(StoreMismatchError, match=r"another version.*999 from the future.*newer"):
        migrated(tmp_path / "a.db")
    assert schema(tmp_path / "a.db") == before


def test_another_order_is_refused(tmp_path: Path) -> None:
    migrated(tmp_path / "a.db", MIGRATIONS[:1])
    with pytest.raises(StoreMismatchError, match="another version"):
        migrated(tmp_path / "a.db", MIGRATIONS[1:])


def test_databases_of_other_programs_are_left_alone(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "a.db")
    connection.execute("CREATE TABLE recipes (name)")
    connection.close()
    before = schema(tmp_path / "a.db")
    with pytest.raises(StoreMismatchError, match="another program"):
        migrated(tmp_path / "a.db")
    assert schema(tmp_path / "a.db") == before


def test_a_step_is_done_wholly_or_not_at_all(tmp_path: Path) -> None:
    broken = Migration("005 broken", ("CREATE TABLE half (x)", "CREATE TABLE (nonsense"))
    before = migrated(tmp_path / "a.db")
    with pytest.raises(sqlite3.OperationalError):
        migrated(tmp_path / "a.db", (*MIGRATIONS, broken))
    assert schema(tmp_path / "a.db") == before


@pytest.mark.parametrize("killed_at", range(5))
def test_what_a_killed_process_began_is_finished(tmp_path: Path, killed_at: int) -> None:
    """The process dies inside the transaction of each step in turn, the founding one first."""
    child = os.fork()
    if child == 0:
        done = 0

        def dying(connection: sqlite3.Connection, migration: Migration) -> None:
            nonlocal done
            apply(connection, migration)
            done += 1
            if done == killed_at:
                os.kill(os.getpid(), 9)

        def dying_found(connection: sqlite3.Connection) -> None:
            found(connection)
            if killed_at == 0:
                os.kill(os.getpid(), 9)

        apply, found, module._apply, module._found = module._apply, module._found, dying, dying_found
        migrated(tmp_path / "a.db")
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -9
    assert migrated(tmp_path / "a.db") == migrated(tmp_path / "whole.db")


OPEN = """
import sys
from lean_agentic.agentdb.store import Store
with Store(sys.argv[1], dimensions=3, embedding="a model") as store:
    print(store.database)
"""


def test_processes_may_open_a_new_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    processes = [
        subprocess.Popen([sys.executable, "-c", OPEN, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    said = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4
    assert len(set(said)) == 1
    assert schema(path) == migrated(tmp_path / "alone.db")
