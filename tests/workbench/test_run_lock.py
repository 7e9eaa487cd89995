import json
import os
import subprocess
import sys

import pytest

from lean_agentic.workbench import run_lock as module
from lean_agentic.workbench.project import Project
from lean_agentic.workbench.run_lock import RunLockError, run_lock


class EnoughError(Exception):
    """Raised to stop waiting."""


def test_a_second_holder_is_refused_and_told_who_holds_it(written_project):
    with run_lock(written_project, "first") as lock:
        lock.describe("04_routing_costs")
        with (
            pytest.raises(RunLockError, match=rf"process {os.getpid()}, 04_routing_costs, since 20.*--wait"),
            run_lock(written_project, "second"),
        ):
            pass
    with run_lock(written_project, "second"):
        pass


def test_waiting_asks_again_until_the_lock_is_free(written_project):
    asked = []
    first = run_lock(written_project, "first")
    first.__enter__()

    def wait(holder):
        asked.append(holder)
        if len(asked) == 2:
            first.__exit__(None, None, None)

    with run_lock(written_project, "second", wait):
        note = json.loads((written_project.experiments / ".run.lock.json").read_text())
        assert note["doing"] == "second"
    assert len(asked) == 2
    assert "first" in asked[0]


def test_whoever_waits_may_give_up(written_project):
    def give_up(holder):
        raise EnoughError

    with run_lock(written_project, "first"), pytest.raises(EnoughError), run_lock(written_project, "second", give_up):
        pass


def test_the_lock_is_free_after_an_error(written_project):
    with pytest.raises(EnoughError), run_lock(written_project, "first"):
        raise EnoughError
    with run_lock(written_project, "second"):
        pass


def test_a_killed_holder_does_not_hold_it(written_project):
    code = (
        "import os, signal, sys\nfrom pathlib import Path\n"
        "from lean_agentic.workbench.project import Project\nfrom lean_agentic.workbench.run_lock import run_lock\n"
        "held = run_lock(Project(Path(sys.argv[1])), 'doomed')\nheld.__enter__()\nos.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(written_project.root)], check=False)
    assert killed.returncode == -9
    assert (written_project.experiments / ".run.lock.json").exists()  # its note stays, and says nothing
    with run_lock(written_project, "next"):
        pass


def test_a_lock_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "experiments").write_text("no folder")
    with pytest.raises(RunLockError, match="cannot be written"), run_lock(Project(tmp_path), "x"):
        pass


def test_a_note_that_cannot_be_written_is_an_error_and_frees_the_lock(written_project, monkeypatch):
    def full(path, content):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        with run_lock(written_project, "first") as lock:
            patch.setattr(module, "write_atomically", full)
            with pytest.raises(RunLockError, match="No space left"):
                lock.describe("01_x")
        with pytest.raises(RunLockError, match="a disk with space"), run_lock(written_project, "second"):
            pass
    with run_lock(written_project, "third"):
        pass
