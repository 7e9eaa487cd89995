"""Records for the tests of the store: handmade ones, and hypothesis strategies for any that can be stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

from lean_agentic.agentdb.records import Episode, Fact, Pattern, Provenance, Record, Step, Trajectory, Verdict
from lean_agentic.agentdb.vector_index import Vectors, unit_rows

TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
NUMBERS = st.floats(-1e12, 1e12)
SCALARS = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | NUMBERS | TEXTS
JSON: Any = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=6
)
OBJECTS: Any = st.dictionaries(TEXTS, JSON, max_size=3)
PROVENANCES = st.builds(Provenance, TEXTS, TEXTS, st.just(()), OBJECTS)
SHARED: dict[str, Any] = {
    "time": NUMBERS, "tenant": NAMES, "session": TEXTS, "metadata": OBJECTS, "provenance": PROVENANCES,
    "access_count": st.integers(0, 10**6), "last_access": st.none() | NUMBERS, "archived": st.booleans(),
}  # fmt: skip
MAYBE = st.none() | NUMBERS
SHARE = st.floats(0, 1)
NAME_TUPLES = st.lists(NAMES, max_size=3).map(tuple)
EPISODES = st.builds(Episode, TEXTS, TEXTS, TEXTS, MAYBE, NAME_TUPLES, **SHARED)
FACTS = st.builds(
    Fact, TEXTS, SHARE, valid_from=st.none() | st.floats(-1e9, 0), valid_to=st.none() | st.floats(1, 1e9),
    entities=NAME_TUPLES, **SHARED,
)  # fmt: skip
STEPS = st.builds(Step, OBJECTS, TEXTS, TEXTS, NUMBERS, NUMBERS)
TRAJECTORIES = st.builds(
    Trajectory, NAMES, st.lists(STEPS, max_size=3).map(tuple), TEXTS, st.sampled_from(Verdict), SHARE,
    improvement=MAYBE, group=TEXTS, **SHARED,
)  # fmt: skip
PATTERNS = st.builds(
    Pattern, NAMES, TEXTS, TEXTS, st.lists(TEXTS, max_size=3).map(tuple), st.booleans(), OBJECTS,
    st.integers(0, 1000), SHARE, SHARE, SHARE, SHARE, MAYBE, retired=st.booleans(), **SHARED,
)  # fmt: skip
RECORDS = EPISODES | FACTS | TRAJECTORIES | PATTERNS


def unit_vectors(n: int, dimensions: int = 4, seed: int = 0) -> Vectors:
    """Random directions, (n, dimensions)."""
    return unit_rows(np.random.default_rng(seed).normal(size=(n, dimensions)), dimensions)


def episodes(texts: Sequence[str], **fields: Any) -> list[Record]:
    """One episode a text, alike in the other fields."""
    return [Episode(text, **fields) for text in texts]
