"""Where a figure comes from: revision, machine, load, threads and versions.

Goes in: a project. Comes out: plain dictionaries that `result.json` keeps, so that a figure can be
questioned later. Host names and user names are left out on purpose: results get published.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import threadpoolctl  # type: ignore[import-untyped]

from lean_agentic.workbench.files import sha256_of
from lean_agentic.workbench.project import Project

PACKAGES = (
    "lean_agentic", "numpy", "pandas", "scipy", "scikit-learn", "numba", "llvmlite", "torch", "torch-geometric",
    "onnxruntime", "hnswlib", "z3-solver", "matplotlib", "papermill", "jupyterlab", "ipywidgets",
)  # fmt: skip
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "OPENBLAS_CORETYPE",
)


def describe_revision(project: Project) -> dict[str, Any]:
    """Git sha, whether the tree had uncommitted changes, and the hash of the lock file."""
    sha = _git(project.root, "rev-parse", "HEAD")
    changes = _git(project.root, "status", "--porcelain", "--untracked-files=normal")
    return {
        "git_sha": sha,
        "git_dirty": None if changes is None else bool(changes),
        "lock_sha256": sha256_of(project.lock) if project.lock.is_file() else None,
    }


def describe_machine() -> dict[str, Any]:
    """CPU model, cores, memory, operating system, thread counts and versions."""
    return {
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "cores_usable": len(psutil.Process().cpu_affinity())
        if hasattr(psutil.Process, "cpu_affinity")
        else os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "os": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "threads": {name: os.environ.get(name) for name in THREAD_VARIABLES},
        "versions": {name: _version(name) for name in PACKAGES},
    }


def thread_counts() -> dict[str, int]:
    """Threads that the numeric libraries of this process use, for those already imported.

    Called in the notebook's kernel: the runner's own process imports none of them.
    """
    counts = {pool["internal_api"]: int(pool["num_threads"]) for pool in threadpoolctl.threadpool_info()}
    for name in ("numba", "torch"):
        if name in sys.modules:
            counts[name] = int(getattr(sys.modules[name], "get_num_threads")())  # noqa: B009
    return counts


def load_average() -> float:
    """Processes wanting a core, averaged over the last minute."""
    return round(os.getloadavg()[0], 2)


def short_sha(project: Project) -> str:
    """The revision in seven characters, or `nogit` outside a repository."""
    return _git(project.root, "rev-parse", "--short=7", "HEAD") or "nogit"


def cpu_model() -> str:
    """The processor's own name for itself."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
