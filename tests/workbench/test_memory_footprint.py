"""Memory of an index in a process of its own."""

from __future__ import annotations

import numpy as np
import pytest

from lean_agentic.workbench import memory_footprint
from lean_agentic.workbench.memory_contenders import Built
from lean_agentic.workbench.memory_footprint import footprint, grown_over_raw


def test_growth_is_that_of_what_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """A contender that keeps two copies takes about twice the raw vectors."""

    def twice(vectors: np.ndarray) -> Built:
        kept = np.concatenate([vectors, vectors])
        return Built(lambda query, k: np.arange(k), lambda ef: None, lambda: None, kept)

    monkeypatch.setattr(memory_footprint, "CONTENDERS", {"twice": twice})
    assert 1.9 <= grown_over_raw("twice", np.ones((30_000, 256), np.float32)) <= 2.1


def test_a_process_of_its_own_says_it() -> None:
    assert 1.0 <= footprint("lean_agentic hnsw", 1500, 512) <= 3.0
