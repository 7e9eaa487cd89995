"""Deleting and replacing on little data."""

from __future__ import annotations

import numpy as np

from lean_agentic.workbench.memory_churn import churn, churn_table
from lean_agentic.workbench.memory_vectors import clustered_data


def test_a_churn_deletes_and_replaces_what_it_says() -> None:
    data = clustered_data(1200, 32, 10, seed=0)
    case = churn(data, seed=1)
    assert (len(case.vectors), len(case.gone), len(case.replaced), len(case.fresh)) == (1000, 400, 200, 200)
    assert case.live.tolist() == list(range(400, 1000))
    after = case.after(data)
    np.testing.assert_array_equal(after.vectors[:200], case.fresh)
    np.testing.assert_array_equal(after.vectors[200:], case.vectors[600:])
    assert len(np.unique(np.concatenate([case.vectors, case.fresh]), axis=0)) == 1200


def test_recall_after_churn_and_never_a_deleted_hit() -> None:
    frame = churn_table(clustered_data(2400, 48, 60, seed=0)).set_index("index")
    for name in ("lean_agentic hnsw", "lean_agentic hnsw, compacted"):
        row = frame.loc[name]
        assert row["recall@10"] >= 0.985
        assert row["short"] == 0
        assert row["deleted_hits"] == 0
    assert (frame.update_ms > 0).all()
    assert len(frame) == 4
