import getpass
import hashlib
import json
import os
import platform
import re
import subprocess
import sys

import pytest

from lean_agentic.workbench.project import Project
from lean_agentic.workbench.provenance import (
    cpu_model,
    describe_machine,
    describe_revision,
    load_average,
    short_sha,
    thread_counts,
)


def git(root, *arguments):
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    done = subprocess.run(["git", "-C", root, *identity, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path):
    (tmp_path / "constraints.txt").write_text("numpy==2.0\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    return Project(tmp_path)


def test_the_revision_names_commit_lock_and_changes(repository):
    described = describe_revision(repository)
    assert described == {
        "git_sha": git(repository.root, "rev-parse", "HEAD"),
        "git_dirty": False,
        "lock_sha256": hashlib.sha256(b"numpy==2.0\n").hexdigest(),
    }
    assert described["git_sha"].startswith(short_sha(repository))
    assert len(short_sha(repository)) == 7


@pytest.mark.parametrize("name", ["constraints.txt", "new.txt"])
def test_a_changed_or_a_new_file_makes_the_tree_dirty(repository, name):
    (repository.root / name).write_text("changed")
    assert describe_revision(repository)["git_dirty"] is True


def test_outside_a_repository_nothing_is_claimed(tmp_path):
    assert describe_revision(Project(tmp_path)) == {"git_sha": None, "git_dirty": None, "lock_sha256": None}
    assert short_sha(Project(tmp_path)) == "nogit"


def test_without_git_nothing_is_claimed(repository, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert describe_revision(repository)["git_sha"] is None


def test_the_machine_is_described_without_names_of_hosts_and_users(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    machine = describe_machine()
    assert machine["cores"] == os.cpu_count()
    assert 1 <= machine["cores_usable"] <= machine["cores"]
    assert machine["memory_gib"] > 0
    assert machine["python"] == platform.python_version()
    assert machine["threads"]["OMP_NUM_THREADS"] == "3"
    assert machine["versions"]["numpy"]
    text = json.dumps(machine)
    for name in (platform.node(), getpass.getuser()):
        assert not re.search(rf"\b{re.escape(name)}\b", text)


def test_the_processor_and_the_load_are_known():
    assert cpu_model().strip()
    assert load_average() >= 0


def test_threads_are_those_of_imported_libraries():
    code = (
        "from lean_agentic.workbench.provenance import thread_counts\nbefore = thread_counts()\n"
        "import numba\nnumba.set_num_threads(1)\nprint('numba' in before, thread_counts()['numba'])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["False", "1"]
    assert all(count >= 1 for count in thread_counts().values())
