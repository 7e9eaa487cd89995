"""A project in a temporary folder, with experiments and finished runs written by hand."""

import json
from pathlib import Path

import pytest

from lean_agentic.workbench.project import Project
from lean_agentic.workbench.results import Metric, RunResult

MACHINE = {"cpu": "Test CPU 3000", "cores": 4, "python": "3.11.9", "threads": {"OMP_NUM_THREADS": "1"}}


class WrittenProject(Project):
    """A project that tests put experiments and runs into."""

    def add_experiment(self, name: str, *measures: dict) -> Path:
        folder = self.experiments / name
        folder.mkdir()
        lines = [f'title = "Title of {name}"', 'notebook = "notebooks/x.ipynb"', "[profiles.quick]"]
        for measure in measures:
            lines += ["[[measures]]", *(f"{key} = {json.dumps(value)}" for key, value in measure.items())]
        (folder / "experiment.toml").write_text("\n".join(lines) + "\n")
        return folder

    def add_run(self, experiment: str, run: str, metrics: dict[str, Metric], **changes) -> RunResult:
        settings = {"profile": "quick", "data": [], "dirty": False} | changes
        provenance = {"git_sha": "1a2b3c4" * 5, "git_dirty": settings["dirty"], **MACHINE}
        result = RunResult(experiment, settings["profile"], run, metrics, provenance, settings["data"])
        folder = self.experiments / experiment / "runs" / run
        folder.mkdir(parents=True)
        result.write(folder)
        for name in ("notebook.html", "notebook.ipynb"):
            (folder / name).write_text("executed")
        return result


@pytest.fixture
def written_project(tmp_path, monkeypatch) -> WrittenProject:
    """An empty project; `lean-agentic` commands work on it."""
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "experiments").mkdir()
    monkeypatch.setenv("LEAN_AGENTIC_HOME", str(tmp_path))
    return WrittenProject(tmp_path)
