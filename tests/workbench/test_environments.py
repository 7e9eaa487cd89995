"""Equal constraints share the running interpreter; others get an environment of their own, once."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lean_agentic.workbench.environments import EnvironmentBuildError, build_environment, interpreters
from lean_agentic.workbench.project import Project
from lean_agentic.workbench.worktrees import Checkout

RUNNING = Path(sys.executable)


def checkout(folder, constraints):
    folder.mkdir()
    if constraints is not None:
        (folder / "constraints.txt").write_text(constraints)
    return Checkout(folder.name, Project(folder), {"git_sha": "0" * 40, "git_dirty": False})


def quiet(text):
    """Progress nobody reads."""


@pytest.mark.parametrize("constraints", ["numpy==2.0\n", None])
def test_equal_constraints_share_the_running_interpreter(tmp_path, constraints):
    sides = [checkout(tmp_path / name, constraints) for name in "ab"]
    assert interpreters(Project(tmp_path), sides, quiet) == [RUNNING, RUNNING]
    assert not (tmp_path / ".cache").exists()


def test_a_side_with_other_constraints_gets_an_environment_once(tmp_path):
    running = checkout(tmp_path / "project", "# now\n").project
    sides = [checkout(tmp_path / "a", "# then: nothing to install\n"), checkout(tmp_path / "b", "# now\n")]
    said = []
    a, b = interpreters(running, sides, said.append)
    assert b == RUNNING
    assert a.is_relative_to(running.root / ".cache" / "venvs")
    shown = subprocess.run([a, "-c", "import sys; print(sys.prefix)"], capture_output=True, text=True)
    assert Path(shown.stdout.strip()) == a.parents[1]
    assert said[0].startswith("Building the environment")
    said.clear()
    assert interpreters(running, sides, said.append) == [a, b]
    assert said == []
    shutil.rmtree(a.parents[1])


def test_a_half_built_environment_is_built_again(tmp_path):
    side = checkout(tmp_path / "a", "# nothing to install\n")
    running = checkout(tmp_path / "project", "# now\n").project
    python = build_environment(running, side.project.lock, quiet)
    (python.parents[1] / "complete").unlink()
    python.unlink()
    assert build_environment(running, side.project.lock, quiet).is_file()


def test_constraints_that_cannot_be_installed_are_an_error(tmp_path):
    side = checkout(tmp_path / "a", "this is no requirement\n")
    with pytest.raises(EnvironmentBuildError, match=r"cannot\s+be installed here"):
        build_environment(Project(tmp_path), side.project.lock, quiet)
    assert not list((tmp_path / ".cache" / "venvs").glob("*/complete"))
