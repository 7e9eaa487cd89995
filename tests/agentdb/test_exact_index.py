"""The oracle itself, against sums written out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lean_agentic.agentdb.errors import CorruptIndexError, UnknownRecordError
from lean_agentic.agentdb.vector_index import VectorIndex, unit_rows
from tests.agentdb.exact_index import FILE, ExactIndex


def filled(n: int = 30, dimensions: int = 4) -> tuple[ExactIndex, np.ndarray]:
    rows = unit_rows(np.random.default_rng(1).normal(size=(n, dimensions)), dimensions)
    index = ExactIndex(dimensions)
    index.add(np.arange(n) + 10, rows)
    return index, rows


def test_it_is_a_vector_index() -> None:
    index: VectorIndex = ExactIndex(3)
    assert len(index) == 0


def test_search_is_the_sum_of_products() -> None:
    index, rows = filled()
    hits = index.search(rows[:3], 5)
    for query, ids, similarities in zip(rows[:3], hits.ids, hits.similarities, strict=True):
        sums = sorted(((sum(a * b for a, b in zip(query, row, strict=True)), i + 10) for i, row in enumerate(rows)))[
            ::-1
        ]
        assert ids.tolist() == [record_id for _, record_id in sums[:5]]
        np.testing.assert_allclose(similarities, [value for value, _ in sums[:5]], atol=1e-6)


def test_search_is_among_the_allowed_and_the_live() -> None:
    index, rows = filled()
    index.remove(np.array([12, 99]))
    hits = index.search(rows[2], 5, np.array([11, 12, 13]))
    assert sorted(hits.ids[0].tolist()) == [11, 13]
    assert 12 not in index
    assert len(index) == 29
    with pytest.raises(UnknownRecordError, match="12"):
        index.vectors(np.array([12]))


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    index, rows = filled()
    index.database = "a database"
    index.advance(7)
    index.save(tmp_path)
    loaded = ExactIndex.load(tmp_path)
    assert (loaded.database, loaded.watermark, loaded.dimensions) == ("a database", 7, 4)
    np.testing.assert_array_equal(loaded.vectors(index.ids()), rows)


def test_damage_is_found(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        ExactIndex.load(tmp_path)
    filled()[0].save(tmp_path)
    content = bytearray((tmp_path / FILE).read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(CorruptIndexError):
        ExactIndex.load(tmp_path)
