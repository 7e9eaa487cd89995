import os
import subprocess
import sys

import psutil
import pytest

from lean_agentic.workbench.processes import end_run_processes, run_processes
from lean_agentic.workbench.recorder import RUN_DIR_VARIABLE

SLEEP = [sys.executable, "-c", "print('up', flush=True); import time; time.sleep(600)"]
# Starts a process of a session of its own, tells its number and goes: nothing links the two any more.
DAEMON = """
import subprocess, sys
child = subprocess.Popen(
    [sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True, stdout=subprocess.DEVNULL
)
print(child.pid, flush=True)
"""


def start(folder, command):
    environment = os.environ | {RUN_DIR_VARIABLE: str(folder)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    return process, process.stdout.readline()


@pytest.fixture
def other(tmp_path):
    """A process of another run whose folder's name begins alike."""
    process, _ = start(tmp_path / "run-2", SLEEP)
    yield process
    process.kill()
    process.communicate()


def test_ends_all_processes_of_a_run_and_no_others(tmp_path, other):
    first, _ = start(tmp_path / "run", SLEEP)
    second, _ = start(tmp_path / "run", SLEEP)
    assert {process.pid for process in run_processes(tmp_path / "run")} == {first.pid, second.pid}
    assert end_run_processes(tmp_path / "run") == 2
    for process in (first, second):
        process.communicate()
        assert process.returncode == -9
    assert other.poll() is None


def test_ends_a_process_whose_parent_has_gone(tmp_path):
    parent, pid = start(tmp_path / "run", [sys.executable, "-c", DAEMON])
    parent.communicate()
    orphan = psutil.Process(int(pid))
    assert end_run_processes(tmp_path / "run") == 1
    assert not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE


def test_never_ends_the_caller(tmp_path, monkeypatch):
    monkeypatch.setenv(RUN_DIR_VARIABLE, str(tmp_path))
    assert end_run_processes(tmp_path) == 0
