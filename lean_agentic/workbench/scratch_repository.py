"""Makes a small git repository whose revisions differ in one known way.

Goes in: the source of one module, a version for each revision, and a benchmark. Comes out: a project that
`compare` accepts, with one tag a revision. Planting a slow-down of known size is how the regression check is
itself checked, in `notebooks/90_regression_check.ipynb` and in the tests.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from lean_agentic.workbench.project import Project

EXPERIMENT = "01_planted"
FILES = {
    ".gitignore": ".cache/\n__pycache__/\n",
    "pyproject.toml": '[project]\nname = "lean_agentic"\nversion = "0"\n',
    "lean_agentic/__init__.py": '"""A package of one module."""\n',
    f"experiments/{EXPERIMENT}/experiment.toml": (
        'title = "Planted"\nnotebook = "planted.ipynb"\nbenchmark = "benchmark.py"\n\n[profiles.quick]\n'
    ),
}


def scratch_repository(folder: Path, *, benchmark: str, revisions: Mapping[str, str]) -> Project:
    """Write and commit one revision after the other.

    Parameters
    ----------
    folder
        Where the repository comes to lie; empty or absent.
    benchmark
        Source of the experiment's `benchmark.py`, the same in all revisions.
    revisions
        Tag of each revision, oldest first, and its source of `lean_agentic/work.py`.

    Raises
    ------
    FileExistsError
        The folder holds something.
    subprocess.CalledProcessError
        git refused.
    """
    if folder.exists() and any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty; a scratch repository needs a folder of its own.")
    for name, text in (FILES | {f"experiments/{EXPERIMENT}/benchmark.py": benchmark}).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    _git(folder, "init", "--quiet")
    for tag, source in revisions.items():
        (folder / "lean_agentic" / "work.py").write_text(source, encoding="utf-8")
        _git(folder, "add", "--all")
        _git(folder, "commit", "--quiet", "--allow-empty", "-m", f"Revision {tag}")
        _git(folder, "tag", tag)
    return Project(folder)


def _git(folder: Path, *arguments: str) -> None:
    # Nothing of the user's own configuration: no signing, no hooks, no identity.
    settings = {
        "user.name": "scratch",
        "user.email": "scratch@localhost",
        "commit.gpgsign": "false",
        "tag.gpgsign": "false",
        "core.hooksPath": "/dev/null",
    }
    options = [option for name, value in settings.items() for option in ("-c", f"{name}={value}")]
    subprocess.run(["git", "-C", str(folder), *options, *arguments], check=True, capture_output=True, text=True)
