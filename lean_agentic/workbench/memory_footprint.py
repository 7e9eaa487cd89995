"""How much memory an index takes, over its raw vectors: the growth of a process that does nothing else.

    python -m lean_agentic.workbench.memory_footprint "lean_agentic hnsw" 20000 1536

In a process that did much before, an index fills holes that others left, and its memory cannot be told.
"""

from __future__ import annotations

import argparse
import gc
import os
import subprocess
import sys

import numpy as np
import psutil

from lean_agentic.agentdb.vector_index import Vectors, unit_rows
from lean_agentic.workbench.memory_contenders import CONTENDERS

MOST = 20_000
"""Vectors: the share hardly depends on their number, the time does."""
FEW = 300
"""Vectors that load and set up whatever the library needs but once."""


def footprint(contender: str, count: int, dimensions: int, seed: int = 0) -> float:
    """Bytes that a process grows by while the contender takes the vectors, over the bytes of these."""
    command = [sys.executable, "-m", __name__, contender, str(min(count, MOST)), str(dimensions), "--seed", str(seed)]
    # Freed blocks go back to the system, rather than hide what is taken next (glibc).
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
    return float(subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout)


def grown_over_raw(contender: str, vectors: Vectors) -> float:
    """The same, in this process."""
    CONTENDERS[contender](vectors[:FEW].copy()).close()
    gc.collect()
    before = psutil.Process().memory_info().rss
    built = CONTENDERS[contender](vectors)
    gc.collect()
    after = psutil.Process().memory_info().rss
    built.close()
    return (after - before) / vectors.nbytes


def main(arguments: list[str] | None = None) -> int:
    """Print the share; returns the exit status."""
    parser = argparse.ArgumentParser(prog="memory_footprint", description="Memory of an index over its raw vectors.")
    parser.add_argument("contender", choices=CONTENDERS)
    parser.add_argument("count", type=int)
    parser.add_argument("dimensions", type=int)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    rows = np.random.default_rng(given.seed).standard_normal((given.count, given.dimensions), np.float32)
    # A few strong dimensions, so that the graph is that of ordinary vectors.
    rows[:, :20] *= 8
    print(grown_over_raw(given.contender, unit_rows(rows, given.dimensions)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
