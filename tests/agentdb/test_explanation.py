"""The sentence of an explanation names what counted, in the order in which it counted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lean_agentic.agentdb.explanation import Lender, RecallExplanation
from lean_agentic.agentdb.ranking import PARTS, Evidence, Loans, Part, Weights
from lean_agentic.agentdb.recall_trace import RecallTrace

NOTHING = np.empty(0)
NO_IDS = np.empty(0, np.int64)
TRACE = RecallTrace(
    "q", 1, 0.0, Weights(),
    Evidence(NO_IDS, NOTHING, NOTHING, NO_IDS, NOTHING, NOTHING, NOTHING, NOTHING, Loans(NO_IDS, NO_IDS, NOTHING)),
)  # fmt: skip


def explained(contributions: dict[Part, float], **fields: Any) -> RecallExplanation:
    parts = {part: contributions.get(part, 0.0) for part in PARTS}
    known = RecallExplanation(
        record=7, rank=1, score=sum(parts.values()), contributions=parts, similarity=None, bm25=0.0, words=(),
        entities=(), dates=(), lenders=(), chain=(), trace=TRACE,
    )  # fmt: skip
    return replace(known, **fields)


@pytest.mark.parametrize(
    ("contributions", "fields", "reason"),
    [
        ({Part.SIMILARITY: 0.3}, {"similarity": 0.61}, "Close in meaning (cosine 0.61)."),
        ({Part.SIMILARITY: 0.3}, {"similarity": 0.31}, "Related in meaning (cosine 0.31)."),
        ({Part.TEXT: 0.7}, {"words": ("tea",), "bm25": 4.25}, "It says “tea” (BM25 4.2)."),
        (
            {Part.TEXT: 0.7, Part.ENTITIES: 0.2},
            {"words": ("a", "b", "c"), "bm25": 9.0, "entities": ("Ann", "Bo")},
            "It says “a”, “b” and “c” (BM25 9.0); it is about Ann and Bo.",
        ),
        ({Part.SESSION: 1.0, Part.USE: 0.01}, {}, "Its session holds good matches."),
        (
            {Part.TIME: 1.0, Part.TEXT: 0.4},
            {"dates": ("May 2023",), "words": ("x",)},
            "Its time fits May 2023; it says “x” (BM25 0.0).",
        ),
        (
            {Part.SESSION: 1.0, Part.ENTITIES: 0.3, Part.TEXT: 0.4},
            {"words": ("tea",), "entities": ("Ann",)},
            "It says “tea” (BM25 0.0); it is about Ann; its session holds good matches.",
        ),
        ({Part.RECENCY: 0.05, Part.USE: 0.03}, {}, "It is recent; it was recalled before."),
        ({Part.NEIGHBOURS: 0.5}, {"lenders": (Lender(3, "before", 0.5),)}, "Record 3, just before it, matches."),
        (
            {Part.NEIGHBOURS: 0.5},
            {"lenders": (Lender(9, "after", 0.3), Lender(3, "given", 0.2))},
            "Record 9, just after it, and 1 more nearby match.",
        ),
        ({Part.NEIGHBOURS: 0.5}, {"lenders": (Lender(3, "cited", 0.5),)}, "Record 3, linked to it (cited), matches."),
        ({}, {}, "No vector to compare."),
    ],
)  # fmt: skip
def test_the_reason_is_readable(contributions: dict[Part, float], fields: dict[str, Any], reason: str) -> None:
    assert explained(contributions, **fields).reason == reason


def test_what_counts_little_is_not_said() -> None:
    reason = explained({Part.TEXT: 0.95, Part.RECENCY: 0.05}, words=("tea",)).reason
    assert "recent" not in reason


def test_the_repr_leaves_the_trace_out() -> None:
    assert "trace" not in repr(explained({Part.TEXT: 1.0}))
