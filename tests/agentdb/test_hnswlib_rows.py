"""The view of hnswlib's memory shows what its own methods say, or there is none."""

from __future__ import annotations

import hnswlib
import numpy as np
import pytest

from lean_agentic.agentdb import hnswlib_rows
from lean_agentic.agentdb.hnswlib_rows import rows_in_place
from tests.agentdb.vector_data import clustered


def built(dimensions: int, count: int, threads: int = 1, neighbours: int = 16) -> hnswlib.Index:
    index = hnswlib.Index(space="ip", dim=dimensions)
    index.init_index(count + 50, M=neighbours, ef_construction=100, random_seed=3)
    index.set_num_threads(threads)
    if count:
        index.add_items(clustered(count, dimensions, 1), np.arange(count) * 3)
    return index


@pytest.mark.parametrize(("dimensions", "threads", "neighbours"), [(5, 1, 16), (24, 2, 8), (129, 1, 48)])
def test_the_rows_are_those_of_get_items(dimensions: int, threads: int, neighbours: int) -> None:
    index = built(dimensions, 300, threads, neighbours)
    rows = rows_in_place(index)
    assert rows is not None, "hnswlib's memory is laid out otherwise: exact search is slow until this is understood"
    labels = rows.labels[:300].astype(np.int64)
    assert sorted(labels) == [3 * row for row in range(300)]
    np.testing.assert_array_equal(rows.vectors[:300], index.get_items(labels))
    assert rows.vectors.shape == (350, dimensions)
    with pytest.raises(ValueError, match="read-only"):
        rows.vectors[0, 0] = 1


def test_it_follows_growth_and_new_settings() -> None:
    index = built(24, 100)
    index.set_ef(77)
    index.resize_index(5000)
    index.add_items(clustered(4000, 24, 2), np.arange(1000, 5000))
    rows = rows_in_place(index)
    assert rows is not None
    np.testing.assert_array_equal(rows.vectors[4000], index.get_items([int(rows.labels[4000])])[0])


def test_an_empty_index_has_rows_too() -> None:
    assert rows_in_place(built(24, 0)) is not None


@pytest.mark.parametrize("name", ["INDEX", "GRAPH"])
def test_another_layout_gives_none(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = getattr(hnswlib_rows, name)
    shifted = type(layout)("=8x" + layout.format.removeprefix("="))
    monkeypatch.setattr(hnswlib_rows, name, shifted)
    assert rows_in_place(built(24, 20)) is None


def test_another_object_gives_none() -> None:
    class Pretender:
        __slots__ = ()

    assert rows_in_place(Pretender()) is None
