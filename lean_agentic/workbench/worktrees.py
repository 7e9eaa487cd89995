"""Checks revisions out beside the working tree, and takes the checkouts away again.

Goes in: a project that is a git checkout, and the names of revisions. Comes out: one folder a revision, made
with `git worktree`, under `.cache/worktrees/<session>/`. A session holds a file lock, so that a later session
can tell the folders of a killed one, which it removes, from those still in use.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from lean_agentic.workbench.errors import WorkbenchError
from lean_agentic.workbench.project import Project
from lean_agentic.workbench.provenance import describe_revision

WORKING_TREE = "."
"""In place of a revision: the working tree as it is, uncommitted and new files included, ignored ones not."""
LOCAL_VARIABLES = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX")
"""Set inside git hooks, where they would redirect every git command to the hook's own repository state."""


class RevisionError(WorkbenchError):
    """A folder that is no git checkout, or a revision that it does not have."""


@dataclass(frozen=True)
class Checkout:
    """One revision in a folder of its own."""

    ref: str
    """As the caller named it."""
    project: Project
    """The checkout's folders."""
    revision: dict[str, Any]
    """Sha, dirty flag and lock hash, as `provenance.describe_revision` gives them."""

    @property
    def label(self) -> str:
        """The name and the short sha, for people."""
        sha = f"{self.revision['git_sha'][:7]}{' with changes' if self.revision['git_dirty'] else ''}"
        return f"{self.ref} ({sha})"


@contextmanager
def checkouts(project: Project, *refs: str) -> Iterator[list[Checkout]]:
    """Check revisions out for as long as the context lasts.

    Parameters
    ----------
    refs
        Anything that git understands as a commit, or `.` for the working tree.

    Raises
    ------
    RevisionError
        The project is not the top of a git checkout, a revision is unknown, or git fails.
    """
    check_repository(project)
    for ref in refs:
        resolve(project, ref)
    remove_stale(project)
    with _session(project) as folder:
        yield [_check_out(project, ref, folder / chr(ord("a") + i)) for i, ref in enumerate(refs)]


def check_repository(project: Project) -> None:
    """Raise unless the project's folder is the top of a git checkout with at least one commit."""
    try:
        top = Path(_git(project, "rev-parse", "--show-toplevel"))
        _git(project, "rev-parse", "--verify", "HEAD")
    except FileNotFoundError as error:
        raise RevisionError("There is no `git` command; install git to compare revisions.") from error
    except RevisionError as error:
        raise RevisionError(f"{project.root} is not a git checkout with a commit; clone the repository.") from error
    if top.resolve() != project.root.resolve():
        raise RevisionError(f"{project.root} is not the top of its git checkout, {top} is; clone the project itself.")


def resolve(project: Project, ref: str) -> str:
    """The full sha of a revision; for `.` that of HEAD."""
    name = "HEAD" if ref == WORKING_TREE else ref
    try:
        return _git(project, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    except RevisionError as error:
        branches = _git(project, "branch", "--format=%(refname:short)").split("\n")
        raise RevisionError(
            f"Unknown revision {ref!r}. Expected a branch, a tag, a sha, or `.` for the working tree; branches here: "
            f"{', '.join(branches[:10])}. In a shallow clone, run `git fetch --unshallow` first."
        ) from error


def remove_stale(project: Project) -> None:
    """Remove the checkouts of sessions that were killed."""
    for folder in _root(project).glob("session-*/"):
        lock = FileLock(folder.with_suffix(".lock"))
        try:
            with lock.acquire(timeout=0):
                _remove(project, folder)
        except Timeout:
            continue
    _git(project, "worktree", "prune")


@contextmanager
def _session(project: Project) -> Iterator[Path]:
    root = _root(project)
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RevisionError(f"{root} cannot be made ({error}); checkouts need a folder they can write to.") from error
    folder = root / f"session-{secrets.token_hex(4)}"
    # The lock comes before the folder: a folder without a held lock is taken for a killed session's.
    with FileLock(folder.with_suffix(".lock")):
        folder.mkdir()
        try:
            yield folder
        finally:
            _remove(project, folder)


def _check_out(project: Project, ref: str, folder: Path) -> Checkout:
    if ref == WORKING_TREE:
        commit, revision = _snapshot(project, folder.with_suffix(".index")), describe_revision(project)
        _git(project, "worktree", "add", "--detach", str(folder), commit)
        return Checkout(ref, Project(folder), revision)
    _git(project, "worktree", "add", "--detach", str(folder), resolve(project, ref))
    return Checkout(ref, Project(folder), describe_revision(Project(folder)))


def _snapshot(project: Project, index: Path) -> str:
    """Write the working tree as a commit that no branch points to, through an index of its own."""
    own = {"GIT_INDEX_FILE": str(index)}
    _git(project, "read-tree", "HEAD", **own)
    _git(project, "add", "--all", **own)
    tree = _git(project, "write-tree", **own)
    identity = ("-c", "user.name=lean-agentic", "-c", "user.email=compare@localhost")
    return _git(project, *identity, "commit-tree", tree, "-p", "HEAD", "-m", "Working tree")


def _remove(project: Project, folder: Path) -> None:
    # By hand and not with `git worktree remove`, which refuses what a killed session left half made.
    shutil.rmtree(folder)
    _git(project, "worktree", "prune")
    folder.with_suffix(".lock").unlink(missing_ok=True)


def _root(project: Project) -> Path:
    return project.root / ".cache" / "worktrees"


def _git(project: Project, *arguments: str, **variables: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name not in LOCAL_VARIABLES} | variables
    done = subprocess.run(
        ["git", "-C", str(project.root), *arguments], capture_output=True, text=True, check=False, env=environment
    )
    if done.returncode:
        raise RevisionError(f"git {' '.join(arguments)} failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout.strip()
