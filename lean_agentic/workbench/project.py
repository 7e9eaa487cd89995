"""Finds the project folder: the one that holds `experiments/`, `notebooks/` and `data/`.

The package can be imported from anywhere; commands and notebooks work on the project around the
current folder, on the one that `LEAN_AGENTIC_HOME` names, or on the checkout the package lies in.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lean_agentic.workbench.errors import WorkbenchError

HOME_VARIABLE = "LEAN_AGENTIC_HOME"


class ProjectNotFoundError(WorkbenchError):
    """No folder with experiments was found."""


@dataclass(frozen=True)
class Project:
    """The folders of one checkout."""

    root: Path

    @property
    def experiments(self) -> Path:
        """Parameter files, one folder an experiment, and the runs made from them."""
        return self.root / "experiments"

    @property
    def published(self) -> Path:
        """The small committed results that the README quotes."""
        return self.experiments / "published"

    @property
    def report(self) -> Path:
        """Where `lean-agentic report` writes."""
        return self.experiments / "report"

    @property
    def data(self) -> Path:
        """The data manifest and, ignored by git, downloads."""
        return self.root / "data"

    @property
    def lock(self) -> Path:
        """The constraints file that makes an install reproducible."""
        return self.root / "constraints.txt"


def find_project(start: Path | None = None) -> Project:
    """Find the project around `start` (default: the current folder).

    Raises
    ------
    ProjectNotFoundError
        Neither `LEAN_AGENTIC_HOME`, nor a parent of `start`, nor the package's own checkout has an
        `experiments` folder beside a `pyproject.toml`.
    """
    home = os.environ.get(HOME_VARIABLE)
    if home:
        if not _is_project(Path(home)):
            raise ProjectNotFoundError(
                f"{HOME_VARIABLE} is {home!r}, but that folder has no pyproject.toml beside an experiments folder. "
                f"Set it to a lean_agentic checkout, or unset it."
            )
        return Project(Path(home).resolve())
    start = (start or Path.cwd()).resolve()
    for folder in _candidates(start):
        if _is_project(folder):
            return Project(folder)
    raise ProjectNotFoundError(
        f"No lean_agentic project at {start} or above it (a pyproject.toml beside an experiments folder). "
        f"Change into a checkout, or set {HOME_VARIABLE} to one."
    )


def _candidates(start: Path) -> Iterator[Path]:
    yield start
    yield from start.parents
    yield Path(__file__).resolve().parents[2]


def _is_project(folder: Path) -> bool:
    return (folder / "experiments").is_dir() and (folder / "pyproject.toml").is_file()
