"""A trace survives JSON and replays to the same ranking."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lean_agentic.agentdb.ranking import Evidence, Weights, fuse
from lean_agentic.agentdb.recall_trace import RecallTrace
from tests.agentdb.ranking_data import WEIGHTS, evidence


@given(known=evidence(), weights=WEIGHTS, k=st.integers(1, 9), query=st.text(max_size=9))
def test_json_replays_to_the_same_bits(known: Evidence, weights: Weights, k: int, query: str) -> None:
    trace = RecallTrace(query, k, 1.5e9, weights, known)
    again = RecallTrace.from_json(trace.to_json())
    ranking = fuse(known, weights)
    expected = [(int(known.ids[at]), float(ranking.scores[at])) for at in ranking.order[:k]]
    assert trace.replay() == again.replay() == expected
    assert (again.query, again.k, again.now, again.weights) == (query, k, 1.5e9, weights)


@given(known=evidence(), weights=WEIGHTS)
def test_it_is_plain_json(known: Evidence, weights: Weights) -> None:
    text = RecallTrace("q", 1, 0.0, weights, known).to_json()
    assert "NaN" not in text
    assert RecallTrace.from_dict(json.loads(text)).to_json() == text


def test_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match="version 1, got 2"):
        RecallTrace.from_dict({"version": 2})
