"""Finds or builds the Python environment that a revision's constraints file asks for.

Goes in: checkouts. Comes out: the interpreter of each. Revisions with equal constraints share the running
interpreter; one with others gets a virtual environment, kept under `.cache/venvs/<hash of its constraints>`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from filelock import FileLock

from lean_agentic.workbench.errors import WorkbenchError
from lean_agentic.workbench.files import sha256_of
from lean_agentic.workbench.project import Project
from lean_agentic.workbench.worktrees import Checkout

COMPLETE = "complete"
"""File in an environment's folder that says that its installation ran to the end."""


class EnvironmentBuildError(WorkbenchError):
    """An environment that could not be built."""


def interpreters(project: Project, sides: Sequence[Checkout], progress: Callable[[str], None]) -> list[Path]:
    """The interpreter for each checkout, building environments where they are missing.

    Raises
    ------
    EnvironmentBuildError
        pip could not install what a revision's constraints file pins.
    """
    locks = [side.project.lock for side in sides]
    hashes = [sha256_of(lock) if lock.is_file() else None for lock in locks]
    if len(set(hashes)) == 1:
        return [Path(sys.executable)] * len(sides)
    running = sha256_of(project.lock) if project.lock.is_file() else None
    return [
        Path(sys.executable) if digest in (None, running) else build_environment(project, lock, progress)
        for lock, digest in zip(locks, hashes, strict=True)
    ]


def build_environment(project: Project, lock: Path, progress: Callable[[str], None]) -> Path:
    """Install everything a constraints file pins into an environment of its own, once; return its interpreter."""
    digest = sha256_of(lock)[:16]
    folder = project.root / ".cache" / "venvs" / digest
    folder.parent.mkdir(parents=True, exist_ok=True)
    python = folder / "bin" / "python"
    with FileLock(folder.with_suffix(".lock")):
        if (folder / COMPLETE).is_file():
            return python
        shutil.rmtree(folder, ignore_errors=True)
        progress(f"Building the environment {digest} for other constraints; this takes minutes, once.")
        _run([sys.executable, "-m", "venv", str(folder)], progress)
        # The package itself is not installed: it comes from the worktree, through PYTHONPATH.
        _run([str(python), "-m", "pip", "install", "--disable-pip-version-check", "-r", str(lock)], progress)
        (folder / COMPLETE).touch()
    return python


def _run(command: list[str], progress: Callable[[str], None]) -> None:
    last = ""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        for line in process.stdout or ():
            last = line.strip() or last
            progress(last[:100])
    if process.returncode:
        raise EnvironmentBuildError(
            f"`{' '.join(command[1:4])}` ended with status {process.returncode}: {last}. The revision's constraints "
            f"cannot be installed here; mend them, or compare revisions with the same constraints.txt."
        )
