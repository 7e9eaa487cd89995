import os
import signal
from dataclasses import replace

import pytest

from lean_agentic.workbench import supervise as module
from lean_agentic.workbench.processes import run_processes
from lean_agentic.workbench.run_folder import JUPYTER_FOLDER
from lean_agentic.workbench.supervise import Job, RunFailedError, supervise

pytestmark = pytest.mark.slow


class EnoughError(Exception):
    """Raised by a watcher."""


@pytest.fixture
def job(notebook_project, tmp_path, request):
    def make(*cells, timeout_s=60.0):
        name = f"{request.node.name[:30]}"
        notebook_project.add(name, *cells)
        (tmp_path / JUPYTER_FOLDER).mkdir()
        notebook = notebook_project.root / "notebooks" / f"{name}.ipynb"
        return Job(str(notebook), str(tmp_path), "title", {"n": 1}, timeout_s)

    return make


def test_watches_the_cells_and_measures_the_kernels_work_too(job, tmp_path):
    seen = []
    burn = "import time\nend = time.process_time() + 1.0\nwhile time.process_time() < end: pass"
    usage = supervise(job(burn), lambda done, total: seen.append((done, total)))
    assert seen[0] == (None, None)
    assert seen[-1] == (3, 3)
    assert usage.cpu_s > 1.0
    assert usage.wall_s > 1.0
    assert list(run_processes(tmp_path)) == []


def test_what_the_watcher_raises_stops_the_run(job, tmp_path):
    def watch(done, total):
        if done == 2:
            assert len(list(run_processes(tmp_path))) == 2
            raise EnoughError

    with pytest.raises(EnoughError):
        supervise(job("while True: pass"), watch)
    assert list(run_processes(tmp_path)) == []


def test_a_child_that_dies_without_a_word_is_a_failure(job, tmp_path):
    def watch(done, total):
        for process in run_processes(tmp_path):
            os.kill(process.pid, signal.SIGKILL)

    with pytest.raises(RunFailedError, match="died with exit code -9"):
        supervise(job("1"), watch)


def test_a_child_that_does_not_keep_its_time_is_killed(job, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "GRACE_S", 0.0)
    with pytest.raises(RunFailedError, match="did not end after its time-out"):
        supervise(job("1", timeout_s=0.3), lambda done, total: None)
    assert list(run_processes(tmp_path)) == []


def test_a_child_that_cannot_be_started_is_a_failure(job, tmp_path, monkeypatch):
    monkeypatch.setattr("sys.executable", str(tmp_path / "absent"))
    with pytest.raises(RunFailedError, match=r"cannot be started: .*No such file"):
        supervise(job("1"), lambda done, total: None)


def test_a_child_that_dies_before_it_reads_its_job_is_a_failure(job, monkeypatch):
    monkeypatch.setattr("sys.executable", "false")
    with pytest.raises(RunFailedError, match="died with exit code 1"):
        supervise(replace(job("1"), parameters={"more_than_a_pipe_holds": "x" * 200_000}), lambda done, total: None)


def test_a_child_that_falls_silent_and_stays_is_killed(job, tmp_path, monkeypatch):
    lingers = tmp_path / "lingers"
    lingers.write_text("#!/bin/sh\nread job\nexec 1>&-\nsleep 60\n")
    lingers.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(lingers))
    monkeypatch.setattr(module, "GRACE_S", 0.0)
    watched = []
    with pytest.raises(RunFailedError, match="did not end after its time-out"):
        supervise(job("1", timeout_s=1.0), lambda done, total: watched.append(done))
    assert len(watched) > 2  # Ctrl-C would have been noticed
    assert list(run_processes(tmp_path)) == []
