import json
import os
import subprocess
import sys

import pytest

from lean_agentic.workbench.experiment import load_experiments
from lean_agentic.workbench.recorder import RUN_DIR_VARIABLE
from lean_agentic.workbench.results import RunResult, finished_runs
from lean_agentic.workbench.run_folder import RunFolderError, open_run_folder, remove_leftovers


@pytest.fixture
def experiment(written_project):
    written_project.add_experiment("01_x")
    return load_experiments(written_project)[0]


@pytest.fixture
def folder(experiment):
    """A run that has executed its notebook."""
    folder = open_run_folder(experiment, "abc1234")
    (folder.partial / "notebook.ipynb").write_text("{}")
    (folder.partial / "log.txt").write_text("a warning")
    (folder.partial / "recorded.json").write_text("{}")
    (folder.partial / "rows.parquet").write_text("rows")
    return folder


def result(folder):
    return RunResult("01_x", "quick", folder.name, {}, {})


def names(path):
    return sorted(entry.name for entry in path.iterdir())


def test_names_hold_the_time_and_the_revision(folder):
    assert folder.name.endswith("Z-abc1234")
    assert folder.partial.name == f".partial-{folder.name}"


def test_two_runs_in_one_second_get_different_names(experiment):
    made = [open_run_folder(experiment, "abc1234").name for _ in range(2)]
    assert len(set(made)) == 2


def test_publishing_renames_a_whole_run_into_place(folder, experiment):
    assert finished_runs(experiment) == []
    published = folder.publish(result(folder))
    assert names(experiment.runs) == [folder.name]
    assert names(published) == ["notebook.ipynb", "result.json", "rows.parquet"]
    assert [run.run for run in finished_runs(experiment)] == [folder.name]


def test_no_space_while_publishing_leaves_no_finished_run(folder, experiment, monkeypatch):
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(RunFolderError, match="No space left"):
        folder.publish(result(folder))
    assert finished_runs(experiment) == []
    assert names(experiment.runs) == [folder.partial.name]
    folder.discard()
    folder.discard()
    assert names(experiment.runs) == []


def test_a_failed_run_keeps_its_copy_and_nothing_it_measured(folder, experiment):
    kept = folder.keep_failed("ZeroDivisionError\n\n")
    assert names(experiment.runs) == [f"failed-{folder.name}"]
    assert names(kept) == ["error.txt", "log.txt", "notebook.ipynb"]
    assert (kept / "error.txt").read_text() == "ZeroDivisionError\n"


def test_a_copy_that_was_cut_short_is_not_kept(folder):
    (folder.partial / "notebook.ipynb").write_text('{"cells": [')
    (folder.partial / "log.txt").write_text("")
    assert names(folder.keep_failed("killed")) == ["error.txt"]


def test_no_space_for_a_failed_run_leaves_nothing(folder, experiment, monkeypatch):
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(RunFolderError, match="cannot be kept"):
        folder.keep_failed("killed")
    assert names(experiment.runs) == []


def test_something_else_in_its_place_is_an_error(experiment):
    experiment.runs.write_text("a file")
    with pytest.raises(RunFolderError, match="No run can be kept"):
        open_run_folder(experiment, "abc1234")


def test_leftovers_of_killed_runners_go_with_their_processes(written_project, experiment, folder, caplog):
    finished = open_run_folder(experiment, "abc1234")
    finished.publish(result(finished))
    command = [sys.executable, "-c", "print(1, flush=True); import time; time.sleep(600)"]
    environment = os.environ | {RUN_DIR_VARIABLE: str(folder.partial)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as left:
        left.stdout.readline()
        assert remove_leftovers(written_project) == 1
        assert left.wait(timeout=10) == -9
    assert names(experiment.runs) == [finished.name]
    assert json.loads((experiment.runs / finished.name / "result.json").read_text())["run"] == finished.name
    assert "left by a run that was killed" in caplog.text
    assert remove_leftovers(written_project) == 0


def test_a_leftover_that_cannot_be_removed_is_an_error(written_project, folder, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("shutil.rmtree", refuse)
    for remove in (folder.discard, lambda: remove_leftovers(written_project)):
        with pytest.raises(RunFolderError, match=r"cannot be removed: .*Permission denied.*Make it writable"):
            remove()
