"""The folder of one run: `.partial-<name>` while it works, then `<name>` or `failed-<name>`.

`<name>` is `<UTC time>-<git sha>`. Only a rename turns a partial folder into a finished one, so a killed
run leaves a partial folder and nothing else; the next run removes it.
"""

from __future__ import annotations

import json
import logging
import shutil
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from lean_agentic.workbench.errors import WorkbenchError
from lean_agentic.workbench.experiment import Experiment
from lean_agentic.workbench.files import rename_durably, write_atomically
from lean_agentic.workbench.processes import end_run_processes
from lean_agentic.workbench.project import Project
from lean_agentic.workbench.recorder import RECORD_FILE
from lean_agentic.workbench.results import EXECUTED_NOTEBOOK, PARTIAL, RunResult

logger = logging.getLogger(__name__)

FAILED = "failed-"
LOG_FILE = "log.txt"
ERROR_FILE = "error.txt"
JUPYTER_FOLDER = ".jupyter"
"""Connection files of the run's kernel; kept here so that a killed run leaves none in the user's home."""


class RunFolderError(WorkbenchError):
    """The folder of a run cannot be made or written: read-only, full, or something else in its place."""


@dataclass(frozen=True)
class RunFolder:
    """Where one run works and ends."""

    runs: Path
    name: str

    @property
    def partial(self) -> Path:
        """Where it works."""
        return self.runs / f"{PARTIAL}{self.name}"

    def publish(self, result: RunResult) -> Path:
        """Write `result.json`, the last file of a run, and rename the folder into place.

        Raises
        ------
        RunFolderError
            The disk is full or read-only. No finished run is left.
        """
        try:
            for name in (RECORD_FILE, LOG_FILE):
                (self.partial / name).unlink(missing_ok=True)
            shutil.rmtree(self.partial / JUPYTER_FOLDER, ignore_errors=True)
            result.write(self.partial)
            rename_durably(self.partial, self.runs / self.name)
        except OSError as error:
            raise RunFolderError(f"{self.partial} cannot be finished: {error}.") from error
        return self.runs / self.name

    def keep_failed(self, text: str) -> Path:
        """Keep the executed notebook, the log and `error.txt` of a failed run, and nothing that it measured.

        Raises
        ------
        RunFolderError
            The disk is full or read-only. Nothing of the run is left then.
        """
        try:
            for path in list(self.partial.iterdir()):
                _remove(path, keep={EXECUTED_NOTEBOOK, LOG_FILE})
            write_atomically(self.partial / ERROR_FILE, text.rstrip() + "\n")
            rename_durably(self.partial, self.runs / f"{FAILED}{self.name}")
        except OSError as error:
            self.discard()
            raise RunFolderError(f"{self.partial} cannot be kept: {error}.") from error
        return self.runs / f"{FAILED}{self.name}"

    def discard(self) -> None:
        """Remove the partial folder, if there is one.

        Raises
        ------
        RunFolderError
            It cannot be removed.
        """
        if self.partial.exists():
            _remove_partial(self.partial)


def open_run_folder(experiment: Experiment, sha: str) -> RunFolder:
    """Make the partial folder of a new run.

    Raises
    ------
    RunFolderError
        It cannot be made.
    """
    try:
        experiment.runs.mkdir(exist_ok=True)
        folder = _unused(experiment.runs, sha)
        folder.partial.mkdir()
        (folder.partial / JUPYTER_FOLDER).mkdir()
    except OSError as error:
        raise RunFolderError(
            f"No run can be kept in {experiment.runs}: {error}. It must be a writable folder on a disk with space."
        ) from error
    return folder


def remove_leftovers(project: Project) -> int:
    """End what is left of runs whose runner was killed, and remove their partial folders.

    Call it with the run lock held: then no living runner owns a partial folder.

    Returns
    -------
    int
        How many folders were removed.

    Raises
    ------
    RunFolderError
        One cannot be removed.
    """
    leftovers = sorted(project.experiments.glob(f"*/runs/{PARTIAL}*"))
    for partial in leftovers:
        end_run_processes(partial)
        _remove_partial(partial)
        logger.warning("Removed %s, left by a run that was killed.", partial)
    return len(leftovers)


def _unused(runs: Path, sha: str) -> RunFolder:
    while True:
        folder = RunFolder(runs, f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{sha}")
        if not any((runs / f"{prefix}{folder.name}").exists() for prefix in ("", PARTIAL, FAILED)):
            return folder
        time.sleep(0.1)  # the name's clock ticks in seconds


def _remove_partial(folder: Path) -> None:
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise RunFolderError(
            f"{folder}, of a run that did not end, cannot be removed: {error}. Make it writable, or remove it."
        ) from error


def _remove(path: Path, keep: set[str]) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    elif path.name not in keep or not path.stat().st_size or (path.suffix == ".ipynb" and not _is_whole(path)):
        path.unlink()


def _is_whole(notebook: Path) -> bool:
    """Whether a notebook was not cut short by the end of the process that wrote it."""
    try:
        json.loads(notebook.read_text(encoding="utf-8"))
    except ValueError:
        return False
    return True
