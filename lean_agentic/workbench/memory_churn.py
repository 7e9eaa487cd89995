"""What deleting and replacing does to an index: recall, latency, short answers, deleted hits, and the price."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import hnswlib
import numpy as np
import pandas as pd

from lean_agentic.agentdb.hnsw_index import HnswIndex
from lean_agentic.agentdb.vector_index import Ids, Vectors
from lean_agentic.workbench.memory_contenders import EF_CONSTRUCTION, NEIGHBOURS, own
from lean_agentic.workbench.memory_timing import cpu_seconds, take_turns
from lean_agentic.workbench.memory_vectors import SearchData, recall, with_truth

DELETED = 0.4
REPLACED = 0.2


@dataclass(frozen=True)
class Churn:
    """Ids 0 to n are added; the first of them are deleted, the next get other vectors."""

    vectors: Vectors
    """(n, d): what is added first."""
    gone: Ids
    replaced: Ids
    fresh: Vectors
    """What the replaced have afterwards."""

    @property
    def live(self) -> Ids:
        """Ids that are there afterwards."""
        return np.arange(len(self.gone), len(self.vectors))

    def after(self, data: SearchData) -> SearchData:
        """What is there afterwards; row i has the id live[i]."""
        rows = np.concatenate([self.fresh, self.vectors[len(self.gone) + len(self.replaced) :]])
        return with_truth(data.name, rows, data.queries, data.k)


Search = Callable[[Vectors, int], Ids]


def churn(data: SearchData, seed: int) -> Churn:
    """40% of the data's vectors to delete, and 20% to replace by others of the same clusters."""
    rows = data.vectors[np.random.default_rng(seed).permutation(len(data.vectors))]
    count = int(len(rows) / (1 + REPLACED))
    gone, replaced = round(DELETED * count), round(REPLACED * count)
    return Churn(rows[:count], np.arange(gone), np.arange(gone, gone + replaced), rows[count : count + replaced])


def churn_table(data: SearchData, seed: int = 0, ef: int = 64) -> pd.DataFrame:
    """Target 2: one row for each way to delete and replace; `update_ms` is the price of one replaced vector.

    `HnswIndex` marks and appends; then `compact` builds its graph anew. hnswlib by itself can mark and reuse the
    places of the deleted, or write over vectors where they are.
    """
    case = churn(data, seed)
    after = case.after(data)
    rows = []
    for name, make in {
        "lean_agentic hnsw": _own,
        "hnswlib replace_deleted": _reusing,
        "hnswlib update": _updating,
    }.items():
        rows.append(_row(name, case, after, *make(case, ef)))
    index = own(case.vectors).index
    index.remove(case.gone)
    index.add(case.replaced, case.fresh)
    _, seconds = cpu_seconds(index.compact)
    per_vector = 1e3 * seconds / len(case.live)
    rows.append(_row("lean_agentic hnsw, compacted", case, after, _search(index, ef), per_vector))
    return pd.DataFrame(rows)


def _row(name: str, case: Churn, after: SearchData, search: Search, update_ms: float) -> dict[str, object]:
    timed = take_turns({name: lambda query, _: search(query, after.k)}, after.queries)[name]
    deleted = sum(int(np.isin(ids, case.gone).sum()) for ids in timed.answers)
    answers = [np.searchsorted(case.live, ids[~np.isin(ids, case.gone)]) for ids in timed.answers]
    return {
        "index": name,
        "data": after.name,
        "update_ms": update_ms,
        f"recall@{after.k}": recall(after, answers),
        "p50_ms": timed.p50,
        "p99_ms": timed.p99,
        "short": sum(len(ids) < after.k for ids in timed.answers),
        "deleted_hits": deleted,
    }


def _search(index: HnswIndex, ef: int) -> Search:
    index.ef_search = ef
    return lambda query, k: index.search(query, k).ids[0]


def _own(case: Churn, ef: int) -> tuple[Search, float]:
    index = own(case.vectors).index
    index.remove(case.gone)
    _, seconds = cpu_seconds(index.add, case.replaced, case.fresh)
    return _search(index, ef), 1e3 * seconds / len(case.replaced)


def _reusing(case: Churn, ef: int) -> tuple[Search, float]:
    index = _plain(case, ef)
    count = len(case.vectors)
    for label in np.concatenate([case.gone, case.replaced]):
        index.mark_deleted(label)
    # A deleted label cannot come back: the replaced get labels of their own, translated below.
    labels = np.arange(count, count + len(case.replaced))
    _, seconds = cpu_seconds(index.add_items, case.fresh, labels, replace_deleted=True)
    names = np.concatenate([np.arange(count), case.replaced])
    return lambda query, k: names[_labels(index, query, k)], 1e3 * seconds / len(labels)


def _updating(case: Churn, ef: int) -> tuple[Search, float]:
    index = _plain(case, ef)
    for label in case.gone:
        index.mark_deleted(label)
    _, seconds = cpu_seconds(index.add_items, case.fresh, case.replaced)
    return lambda query, k: _labels(index, query, k), 1e3 * seconds / len(case.replaced)


def _plain(case: Churn, ef: int) -> hnswlib.Index:
    index = hnswlib.Index(space="ip", dim=case.vectors.shape[1])
    index.init_index(
        len(case.vectors), M=NEIGHBOURS, ef_construction=EF_CONSTRUCTION, random_seed=100, allow_replace_deleted=True
    )
    index.set_num_threads(1)
    index.add_items(case.vectors)
    index.set_ef(ef)
    return index


def _labels(index: hnswlib.Index, query: Vectors, k: int) -> Ids:
    labels: Ids = index.knn_query(query, k)[0][0].astype(np.int64)
    return labels
