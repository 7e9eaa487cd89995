"""A project in a temporary folder, with experiments and finished runs written by hand."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import nbformat
import psutil
import pytest

from lean_agentic.workbench.project import Project
from lean_agentic.workbench.results import Metric, RunResult

MACHINE = {"cpu": "Test CPU 3000", "cores": 4, "python": "3.11.9", "threads": {"OMP_NUM_THREADS": "1"}}


@pytest.fixture(scope="session", autouse=True)
def heard_ctrl_c():
    """A job started in the background ignores SIGINT, and would pass that on to the commands under test."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class WrittenProject(Project):
    """A project that tests put experiments and runs into."""

    def add_experiment(self, name: str, *measures: dict) -> Path:
        folder = self.experiments / name
        folder.mkdir()
        lines = [
            f'title = "Title of {name}"',
            'notebook = "notebooks/x.ipynb"',
            "[profiles]",
            "quick = {}",
            "full = {}",
        ]
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


class NotebookProject(Project):
    """A project whose experiments really run: notebooks of a few cells, made on the spot."""

    def add(self, name: str, *cells: str, parameters: str | None = "n: int = 3  # rows", extra: str = "") -> Path:
        """An experiment with a notebook of these cells; `extra` goes into its `experiment.toml`."""
        made = [nbformat.v4.new_code_cell(cell) for cell in cells]
        if parameters is not None:
            made.insert(0, nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]}))
        notebook = self.root / "notebooks" / f"{name}.ipynb"
        notebook.parent.mkdir(exist_ok=True)
        nbformat.write(nbformat.v4.new_notebook(cells=made), notebook)
        folder = self.experiments / name
        folder.mkdir()
        profiles = "" if "[profiles" in extra else "[profiles.quick]\n"
        text = f'title = "Title of {name}"\nnotebook = "notebooks/{name}.ipynb"\n{extra}\n{profiles}'
        (folder / "experiment.toml").write_text(text)
        return folder

    def run(self, *arguments: str, wrapper: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        """`lean-agentic` in a process of its own, to its end."""
        with self.start(*arguments, wrapper=wrapper) as process:
            out, err = process.communicate(timeout=120)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def start(self, *arguments: str, wrapper: tuple[str, ...] = ()) -> subprocess.Popen[str]:
        command = [*wrapper, sys.executable, "-m", "lean_agentic", *arguments]
        environment = os.environ | {"LEAN_AGENTIC_HOME": str(self.root)}
        return subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=self.root
        )

    def processes(self) -> list[psutil.Process]:
        """Processes of any run of this project."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("LEAN_AGENTIC_RUN_DIR", "").startswith(str(self.root)):
                    found.append(process)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return [process for process in found if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]

    def runs(self, name: str) -> list[str]:
        """Names in an experiment's runs folder."""
        folder = self.experiments / name / "runs"
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


@pytest.fixture(scope="module")
def notebook_project(tmp_path_factory) -> NotebookProject:
    """An empty project for one test module; its tests share it, for every run takes seconds."""
    root = tmp_path_factory.mktemp("project {with} braces")
    (root / "pyproject.toml").touch()
    (root / "experiments").mkdir()
    return NotebookProject(root)
