from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lean_agentic.agentdb.errors import CorruptIndexError
from lean_agentic.agentdb.index_replay import caught_up
from tests.agentdb.consolidation_data import DIMENSIONS, memory, say
from tests.agentdb.exact_index import ExactIndex


def test_a_bare_index_follows_the_store(tmp_path: Path) -> None:
    with memory(tmp_path) as (store, index):
        assert caught_up(index, store) is index
        say(store, "red", "green", "blue")
        caught_up(index, store)
        assert index.ids().tolist() == [1, 2, 3]
        store.archive([1])
        store.forget([2])
        store.unarchive([1])
        caught_up(index, store)
        assert index.ids().tolist() == [1, 3]
        assert index.watermark == store.last_change()
        np.testing.assert_array_equal(index.vectors(np.array([1, 3])), store.vectors([1, 3]))


def test_more_changes_than_are_replayed_at_once(tmp_path: Path) -> None:
    with memory(tmp_path) as (store, index):
        say(store, *(f"red {at}" for at in range(2500)))
        assert len(caught_up(index, store) or ()) == 2500


def test_an_index_that_missed_what_was_trimmed_is_refused(tmp_path: Path) -> None:
    with memory(tmp_path) as (store, index):
        say(store, "red", "green")
        caught_up(index, store)
        say(store, "blue")
        store.forget([1, 3])
        store.trim_changes(store.last_change())
        with pytest.raises(CorruptIndexError, match="build it anew"):
            caught_up(index, store)
        fresh = ExactIndex(DIMENSIONS)
        caught_up(fresh, store)
        assert fresh.ids().tolist() == [2]
