"""A scratch repository holds the revisions it was told to."""

import subprocess

import pytest

from lean_agentic.workbench.experiment import find_experiment
from lean_agentic.workbench.scratch_repository import EXPERIMENT, scratch_repository


def test_each_revision_is_a_tag_with_its_source(tmp_path):
    project = scratch_repository(tmp_path / "r", benchmark="", revisions={"before": "A = 1\n", "after": "A = 2\n"})
    for tag, source in (("before", "A = 1\n"), ("after", "A = 2\n")):
        shown = subprocess.run(
            ["git", "-C", project.root, "show", f"{tag}:lean_agentic/work.py"], capture_output=True, text=True
        )
        assert shown.stdout == source


def test_its_experiment_is_one_that_compare_accepts(tmp_path):
    project = scratch_repository(tmp_path / "r", benchmark="pass\n", revisions={"only": ""})
    experiment = find_experiment(project, EXPERIMENT)
    assert experiment.benchmark is not None
    assert experiment.benchmark.read_text() == "pass\n"


def test_equal_revisions_are_two_commits(tmp_path):
    project = scratch_repository(tmp_path / "r", benchmark="", revisions={"x": "A = 1\n", "y": "A = 1\n"})
    count = subprocess.run(["git", "-C", project.root, "rev-list", "--count", "HEAD"], capture_output=True, text=True)
    assert count.stdout.strip() == "2"


def test_a_folder_in_use_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="not empty"):
        scratch_repository(tmp_path, benchmark="", revisions={"x": ""})
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
