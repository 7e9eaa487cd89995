from __future__ import annotations

import pytest

from lean_agentic.agentdb.graph_settings import GraphSettings
from lean_agentic.agentdb.hnsw_graph import HnswSettings
from lean_agentic.agentdb.qdrant_edge_index import QdrantEdgeSettings
from lean_agentic.agentdb.usearch_index import UsearchSettings


@pytest.mark.parametrize("kind", [GraphSettings, HnswSettings, QdrantEdgeSettings, UsearchSettings])
@pytest.mark.parametrize(
    ("name", "least"), [("neighbours", 2), ("ef_construction", 1), ("ef_search", 1), ("threads", 1)]
)
def test_each_graph_refuses_what_is_too_small(kind: type[GraphSettings], name: str, least: int) -> None:
    assert getattr(kind(**{name: least}), name) == least
    with pytest.raises(ValueError, match=f"{name} must be at least {least}"):
        kind(**{name: least - 1})
