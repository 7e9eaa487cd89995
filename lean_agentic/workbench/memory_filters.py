"""Filtered searches by how much the filter lets through: recall and time of the planner's choice, and of each route."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from lean_agentic.agentdb.hnsw_index import COSTS, HnswIndex
from lean_agentic.agentdb.search_plan import plan_search
from lean_agentic.agentdb.vector_index import Ids
from lean_agentic.workbench.memory_timing import take_turns
from lean_agentic.workbench.memory_vectors import SearchData, recall, with_truth

SELECTIVITIES = (0.5, 0.1, 0.01, 0.001)
QUERIES = 500


def filter_table(
    data: SearchData, index: HnswIndex, selectivities: Sequence[float] = SELECTIVITIES, seed: int = 0
) -> pd.DataFrame:
    """Target 2: one row a selectivity; the filter passes rows at random, or one side of the space (`related`)."""
    rng = np.random.default_rng(seed)
    direction = rng.standard_normal(data.vectors.shape[1], np.float32)
    rows = []
    for share in selectivities:
        count = max(1, round(share * len(data.vectors)))
        rows.append(_row(data, index, np.sort(rng.choice(len(data.vectors), count, replace=False)), "unrelated"))
        rows.append(_row(data, index, np.sort(np.argsort(data.vectors @ direction)[:count]), "related"))
    return pd.DataFrame(rows)


def _row(data: SearchData, index: HnswIndex, allowed: Ids, filter_kind: str) -> dict[str, object]:
    asked = data.queries[:QUERIES]
    k = min(data.k, len(allowed))
    among = with_truth(data.name, data.vectors[allowed], asked, k)
    timed = take_turns({"": lambda query, _: index.search(query, data.k, allowed).ids[0]}, asked)[""]
    answers = [np.searchsorted(allowed, ids) for ids in timed.answers]
    plan = plan_search(data.k, len(allowed), len(index), index.ef_search, 1, COSTS)
    return {
        "data": data.name,
        "selectivity": len(allowed) / len(data.vectors),
        "filter": filter_kind,
        "first_route": str(plan.route),
        f"recall@{data.k}": recall(among, answers),
        "p50_ms": timed.p50,
        "p99_ms": timed.p99,
        "short": sum(len(ids) < k for ids in timed.answers),
        "outside": sum(int((~np.isin(ids, allowed)).sum()) for ids in timed.answers),
    }
