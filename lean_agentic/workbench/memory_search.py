"""How well and how fast the memory's vector index searches, beside the libraries by themselves, on the same data.

    python -m lean_agentic.workbench.memory_search                      # 10,000 x 384, under a minute
    python -m lean_agentic.workbench.memory_search --profile full       # 100,000 x 1536, about 20 minutes
    python -m lean_agentic.workbench.memory_search --only "lean_agentic hnsw" --only hnswlib --vectors embeddings.npy

Recall is computed from the ids that came back; times are process CPU time of single queries through the public call,
on one thread, the contenders taking turns.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lean_agentic.workbench.memory_churn import churn_table
from lean_agentic.workbench.memory_contenders import CONTENDERS, Built
from lean_agentic.workbench.memory_filters import filter_table
from lean_agentic.workbench.memory_footprint import footprint
from lean_agentic.workbench.memory_timing import Answer, Timed, cpu_seconds, take_turns
from lean_agentic.workbench.memory_vectors import SearchData, clustered_data, held_out, recall

BASELINE = "hnswlib"
EF = 64
EFS = (16, 32, 48, 64, 96, 128, 200)


@dataclass(frozen=True)
class Profile:
    """How much to measure."""

    count: int
    dimensions: int
    queries: int
    contenders: tuple[str, ...]


ALL = tuple(CONTENDERS)
PROFILES: Mapping[str, Profile] = {
    "quick": Profile(10_000, 384, 1000, ALL),
    "full": Profile(100_000, 1536, 2000, ALL),
    "million": Profile(1_000_000, 1536, 1000, ("lean_agentic hnsw",)),
}


@dataclass(frozen=True)
class Side:
    """One contender, holding the data."""

    built: Built
    build_s: float
    """CPU seconds."""


@contextmanager
def built_sides(data: SearchData, names: Sequence[str] = ALL) -> Iterator[dict[str, Side]]:
    """The contenders of these names with all vectors in; closed afterwards."""
    sides: dict[str, Side] = {}
    try:
        for name in names:
            sides[name] = Side(*cpu_seconds(CONTENDERS[name], data.vectors))
        yield sides
    finally:
        for side in sides.values():
            side.built.close()


def search_table(data: SearchData, sides: Mapping[str, Side], ef: int = EF, *, memory: bool = True) -> pd.DataFrame:
    """Target 1: one row a contender: build, memory, recall@k, latency, queries a second, all at one `ef`.

    `memory` is measured in processes of their own (`memory_footprint`), which takes as long as building again.
    """
    rows = []
    for name, timed in _at_ef(data, sides, ef).items():
        rows.append(
            {
                "index": name,
                "data": data.name,
                "ef": ef,
                "build_s": sides[name].build_s,
                "memory_over_raw": footprint(name, *data.vectors.shape) if memory else float("nan"),
                **_figures(data, timed),
            }
        )
    frame = pd.DataFrame(rows)
    base = frame.qps[frame["index"] == BASELINE]
    frame["qps_over_hnswlib"] = frame.qps / base.iloc[0] if len(base) else float("nan")
    return frame


def curve_table(data: SearchData, sides: Mapping[str, Side], efs: Sequence[int] = EFS) -> pd.DataFrame:
    """Recall against latency: one row a contender and `ef`."""
    rows = [
        {"index": name, "data": data.name, "ef": ef, **_figures(data, timed)}
        for ef in efs
        for name, timed in _at_ef(data, sides, ef).items()
    ]
    return pd.DataFrame(rows)


def _at_ef(data: SearchData, sides: Mapping[str, Side], ef: int) -> dict[str, Timed]:
    for side in sides.values():
        side.built.set_ef(ef)
    answers = {name: _asking(side.built, data.k) for name, side in sides.items()}
    return take_turns(answers, data.queries)


def _asking(built: Built, k: int) -> Answer:
    return lambda query, _: built.search(query, k)


def _figures(data: SearchData, timed: Timed) -> dict[str, float]:
    return {
        f"recall@{data.k}": recall(data, timed.answers),
        "p50_ms": timed.p50,
        "p99_ms": timed.p99,
        "qps": timed.qps,
    }


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; returns the exit status."""
    parser = argparse.ArgumentParser(prog="memory_search", description="How well and fast the vector index searches.")
    parser.add_argument("--profile", choices=PROFILES, default="quick")
    parser.add_argument("--only", action="append", choices=CONTENDERS, help="contenders; default all of the profile")
    parser.add_argument("--vectors", help="a .npy file of (n, d) embeddings to use in place of made ones")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-churn", action="store_true", help="leave out deleting and replacing, which builds again")
    given = parser.parse_args(arguments)
    profile = PROFILES[given.profile]
    if given.vectors:
        data = held_out("given", np.load(given.vectors), profile.queries, given.seed)
    else:
        data = clustered_data(profile.count, profile.dimensions, profile.queries, given.seed)
    with built_sides(data, given.only or profile.contenders) as sides:
        print(search_table(data, sides).round(4).to_string(index=False), "\n", flush=True)
        print(curve_table(data, sides).round(4).to_string(index=False), "\n", flush=True)
        own = sides.get("lean_agentic hnsw")
        if own is not None:
            own.built.set_ef(EF)
            print(filter_table(data, own.built.index).round(4).to_string(index=False), "\n", flush=True)
    if not given.no_churn:
        print(churn_table(data, given.seed).round(4).to_string(index=False))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
