"""Checkouts hold the revision asked for and leave nothing behind, however the session ends."""

import os
import signal
import subprocess
import sys
import textwrap

import pytest

from lean_agentic.workbench.project import Project
from lean_agentic.workbench.scratch_repository import scratch_repository
from lean_agentic.workbench.worktrees import RevisionError, checkouts, remove_stale


@pytest.fixture
def project(tmp_path):
    return scratch_repository(tmp_path / "r", benchmark="", revisions={"before": "SCALE = 1\n", "after": "SCALE = 2\n"})


def git(project, *arguments):
    done = subprocess.run(["git", "-C", project.root, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def source(checkout):
    return (checkout.project.root / "lean_agentic" / "work.py").read_text()


def left_over(project):
    """Checkouts that lie about or that git still knows."""
    folders = list((project.root / ".cache" / "worktrees").glob("*"))
    return folders + git(project, "worktree", "list").splitlines()[1:]


def test_each_checkout_holds_its_revision(project):
    with checkouts(project, "before", "after") as (a, b):
        assert (source(a), source(b)) == ("SCALE = 1\n", "SCALE = 2\n")
        assert a.revision["git_sha"] == git(project, "rev-parse", "before")
        assert b.label == f"after ({git(project, 'rev-parse', '--short=7', 'after')})"
        assert a.revision["git_dirty"] is False
    assert left_over(project) == []


def test_the_same_revision_twice_gives_two_folders(project):
    with checkouts(project, "after", "after") as (a, b):
        assert a.project.root != b.project.root
        assert source(a) == source(b)


def test_working_tree_has_uncommitted_and_new_files_and_is_not_touched(project):
    work = project.root / "lean_agentic" / "work.py"
    work.write_text("SCALE = 3\n")
    (project.root / "lean_agentic" / "fresh.py").write_text("")
    (project.root / "lean_agentic" / "__pycache__").mkdir()
    (project.root / "lean_agentic" / "__pycache__" / "old.pyc").write_text("")
    before = git(project, "status", "--porcelain"), git(project, "for-each-ref"), git(project, "rev-parse", "HEAD")
    with checkouts(project, "HEAD", ".") as (head, tree):
        assert (source(head), source(tree)) == ("SCALE = 2\n", "SCALE = 3\n")
        assert (tree.project.root / "lean_agentic" / "fresh.py").is_file()
        assert not (tree.project.root / "lean_agentic" / "__pycache__").exists()
        assert tree.revision["git_dirty"] is True
        assert "with changes" in tree.label
    assert before == (
        git(project, "status", "--porcelain"),
        git(project, "for-each-ref"),
        git(project, "rev-parse", "HEAD"),
    )
    assert left_over(project) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_checkouts_are_gone_after_an_error(project, error):
    with pytest.raises(error), checkouts(project, "before", "after"):
        raise error
    assert left_over(project) == []


def test_a_killed_session_is_cleaned_up_by_the_next_and_a_living_one_is_not(project):
    program = """
        import os, signal, sys
        from pathlib import Path
        from lean_agentic.workbench.project import Project
        from lean_agentic.workbench.worktrees import checkouts
        with checkouts(Project(Path(sys.argv[1])), "before"):
            os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program), str(project.root)])
    assert done.returncode == -signal.SIGKILL
    assert left_over(project)
    with checkouts(project, "after") as (living,):
        remove_stale(project)
        assert source(living) == "SCALE = 2\n"
        assert len(list((project.root / ".cache" / "worktrees").glob("session-*/"))) == 1
    remove_stale(project)
    assert left_over(project) == []


@pytest.mark.parametrize("ref", ["nonsense", "--help", "", "before:lean_agentic/work.py"])
def test_unknown_revision_is_refused_before_anything_is_made(project, ref):
    with pytest.raises(RevisionError, match="Unknown revision"), checkouts(project, "before", ref):
        pass
    assert left_over(project) == []


def test_a_folder_outside_git_is_refused(tmp_path):
    with pytest.raises(RevisionError, match="not a git checkout"), checkouts(Project(tmp_path), "HEAD"):
        pass


def test_a_folder_inside_another_checkout_is_refused(project):
    inner = Project(project.root / "lean_agentic")
    with pytest.raises(RevisionError, match="not the top"), checkouts(inner, "HEAD"):
        pass


def test_it_works_inside_a_git_hook(project, monkeypatch):
    monkeypatch.setenv("GIT_DIR", str(project.root / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", os.devnull)
    with checkouts(project, "before", ".") as (a, b):
        assert (source(a), source(b)) == ("SCALE = 1\n", "SCALE = 2\n")


def test_a_folder_that_cannot_be_made_is_an_error(project):
    (project.root / ".cache").write_text("in the way")
    with pytest.raises(RevisionError, match="cannot be made"), checkouts(project, "before"):
        pass
