from pathlib import Path

import pytest

import lean_agentic
from lean_agentic.workbench.project import Project, ProjectNotFoundError, find_project


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    monkeypatch.delenv("LEAN_AGENTIC_HOME", raising=False)
    root = tmp_path / "checkout"
    (root / "experiments" / "01_x" / "runs").mkdir(parents=True)
    (root / "pyproject.toml").touch()
    return root


def test_finds_the_project_around_a_folder(checkout):
    assert find_project(checkout).root == checkout
    assert find_project(checkout / "experiments" / "01_x" / "runs").root == checkout


def test_finds_the_project_around_the_current_folder(checkout, monkeypatch):
    monkeypatch.chdir(checkout / "experiments")
    assert find_project().root == checkout


def test_the_variable_goes_before_the_folder(checkout, tmp_path, monkeypatch):
    other = tmp_path / "other"
    (other / "experiments").mkdir(parents=True)
    (other / "pyproject.toml").touch()
    monkeypatch.setenv("LEAN_AGENTIC_HOME", str(other))
    assert find_project(checkout).root == other


def test_a_variable_that_names_no_project_is_an_error(checkout, tmp_path, monkeypatch):
    monkeypatch.setenv("LEAN_AGENTIC_HOME", str(tmp_path))
    with pytest.raises(ProjectNotFoundError, match="no pyproject"):
        find_project(checkout)


def test_elsewhere_it_is_the_checkout_of_the_package(tmp_path, monkeypatch):
    monkeypatch.delenv("LEAN_AGENTIC_HOME", raising=False)
    assert find_project(tmp_path).root == Path(lean_agentic.__file__).resolve().parents[1]


def test_without_any_it_is_an_error_that_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.delenv("LEAN_AGENTIC_HOME", raising=False)
    monkeypatch.setattr("lean_agentic.workbench.project.__file__", str(tmp_path / "a" / "b" / "c.py"))
    with pytest.raises(ProjectNotFoundError, match="set LEAN_AGENTIC_HOME"):
        find_project(tmp_path)


def test_all_folders_lie_in_the_project(tmp_path):
    project = Project(tmp_path)
    for path in (project.experiments, project.published, project.report, project.data, project.lock):
        assert tmp_path in path.parents
