"""What such indexes share; `test_vector_index` tries it with the libraries."""

from __future__ import annotations

import numpy as np
import pytest

from lean_agentic.agentdb.errors import UnknownRecordError
from lean_agentic.agentdb.graph_settings import GraphSettings
from lean_agentic.agentdb.keyed_index import KeyedIndex


class Index(KeyedIndex[GraphSettings]):
    def __init__(self, ids: list[int]) -> None:
        self._settings = GraphSettings()
        self.told: list[int] = []
        self._hold(iter(ids), 3, "database", 7)

    def _set_ef(self, ef: int) -> None:
        self.told.append(ef)


def test_ids_are_kept_in_order() -> None:
    index = Index([9, 2, 5])
    assert (index.ids().tolist(), len(index), index.dimensions, index.database) == ([2, 5, 9], 3, 3, "database")
    assert 5 in index
    assert 4 not in index
    assert Index([]).ids().tolist() == []


def test_unknown_ids_are_named() -> None:
    index = Index([9, 2, 5])
    index._require_live(np.array([9, 2]))
    with pytest.raises(UnknownRecordError, match=r"\[4\]"):
        index._require_live(np.array([2, 4]))


def test_a_watermark_does_not_go_back() -> None:
    index = Index([])
    index.advance(8)
    assert index.watermark == 8
    with pytest.raises(ValueError, match="up to 8, got 7"):
        index.advance(7)


def test_the_library_is_told_of_ef_search() -> None:
    index = Index([])
    index.ef_search = 99
    assert (index.ef_search, index.settings, index.told) == (99, GraphSettings(ef_search=99), [99])
