"""Filters of all selectivities on little data."""

from __future__ import annotations

from lean_agentic.workbench.memory_contenders import own
from lean_agentic.workbench.memory_filters import filter_table
from lean_agentic.workbench.memory_vectors import clustered_data


def test_filtered_searches_find_what_is_allowed_and_nothing_else() -> None:
    data = clustered_data(3000, 48, 60, seed=0)
    frame = filter_table(data, own(data.vectors).index, selectivities=(0.5, 0.1, 0.001))
    assert frame["filter"].tolist() == ["unrelated", "related"] * 3
    assert (frame["recall@10"] >= 0.98).all()
    assert (frame.short == 0).all()
    assert (frame.outside == 0).all()
    assert frame.selectivity.round(3).tolist() == [0.5, 0.5, 0.1, 0.1, 0.001, 0.001]
    assert frame.first_route.iloc[0] == "graph"
    assert frame.first_route.iloc[-1] == "exact"
