"""What the embedded index promises beyond the contract: settings, saving, compaction, memory, failure."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from lean_agentic.agentdb.errors import CorruptIndexError
from lean_agentic.agentdb.hnsw_graph import HnswGraph, HnswSettings
from lean_agentic.agentdb.hnsw_index import HnswIndex
from lean_agentic.agentdb.snapshot import Manifest, peek, save_snapshot
from tests.agentdb.vector_data import brute_force, clustered, recall

DIMENSIONS = 24


def filled(count: int, **options: object) -> tuple[HnswIndex, np.ndarray, np.ndarray]:
    index = HnswIndex(DIMENSIONS, **options)  # type: ignore[arg-type]
    ids, vectors = np.arange(1, count + 1), clustered(count, DIMENSIONS, 1)
    index.add(ids, vectors)
    return index, ids, vectors


def test_the_defaults_are_those_of_the_specification() -> None:
    settings = HnswIndex(1536).settings
    assert (settings.neighbours, settings.ef_construction, settings.ef_search) == (16, 200, 64)


def test_a_larger_ef_finds_more() -> None:
    index, ids, vectors = filled(6000)
    queries = clustered(100, DIMENSIONS, 2)
    truth = brute_force(ids, vectors, queries, 10)
    index.ef_search = 10
    little = recall(index.search(queries, 10), truth)
    index.ef_search = 300
    assert recall(index.search(queries, 10), truth) > little
    assert index.settings.ef_search == 300


def test_settings_survive_saving(tmp_path: Path) -> None:
    settings = HnswSettings(neighbours=8, ef_construction=50, ef_search=33, threads=2, seed=5)
    index, _, _ = filled(200, settings=settings, compact_above=0.7)
    index.save(tmp_path)
    again = HnswIndex.load(tmp_path)
    assert again.settings == settings
    assert again.compact_above == 0.7
    assert again._state.graph._index.ef == 33
    assert peek(tmp_path) == Manifest("hnsw", DIMENSIONS, 200, 0, "", {**vars(settings), "compact_above": 0.7})


def test_an_index_of_another_backend_is_refused(tmp_path: Path) -> None:
    save_snapshot(tmp_path, Manifest("usearch", DIMENSIONS, 0, 0), {})
    with pytest.raises(CorruptIndexError, match="backend usearch, not hnsw"):
        HnswIndex.load(tmp_path)


def test_a_replay_of_what_is_there_wears_nothing() -> None:
    index, ids, vectors = filled(500)
    index.add(ids, vectors)
    assert index.dead == 0
    index.add(ids[:3], vectors[3:6])
    assert index.dead == 3


def test_compaction_frees_the_dead_and_keeps_the_rest() -> None:
    index, ids, vectors = filled(3000, compact_above=None)
    index.remove(ids[:1500])
    index.add(ids[1500:2000], clustered(500, DIMENSIONS, 7))
    before, bytes_before = index.vectors(ids[1500:]), index.memory_bytes()
    assert index.dead == 2000
    index.compact()
    assert index.dead == 0
    assert bytes_before - index.memory_bytes() > 2000 * 4 * DIMENSIONS
    assert index.ids().tolist() == ids[1500:].tolist()
    np.testing.assert_array_equal(index.vectors(ids[1500:]), before)
    queries = clustered(50, DIMENSIONS, 2)
    assert recall(index.search(queries, 10), brute_force(ids[1500:], before, queries, 10)) >= 0.985
    assert vectors.shape == (3000, DIMENSIONS)


def test_compaction_goes_on_beside_writes_and_searches() -> None:
    """What is added, replaced and removed while the graph is rebuilt is so afterwards."""
    index, ids, vectors = filled(4000, compact_above=None)
    index.remove(ids[:2000])
    expected = dict(zip(ids[2000:].tolist(), vectors[2000:], strict=True))
    compaction = threading.Thread(target=index.compact)
    compaction.start()
    turn = 0
    while compaction.is_alive() or turn < 3:
        fresh = clustered(30, DIMENSIONS, 100 + turn)
        new = np.arange(10_000 + 30 * turn, 10_030 + 30 * turn)
        old = ids[2000 + 20 * turn : 2020 + 20 * turn]
        index.add(new, fresh)
        index.add(old[:10], fresh[:10])
        index.remove(old[10:])
        expected.update(zip(new.tolist(), fresh, strict=True))
        expected.update(zip(old[:10].tolist(), fresh[:10], strict=True))
        for key in old[10:].tolist():
            del expected[key]
        assert all(len(found) == 10 for found in index.search(fresh[:2], 10).ids)
        turn = min(turn + 1, 90)
        if turn == 90:
            break
    compaction.join()
    assert index.ids().tolist() == sorted(expected)
    rows = np.array([expected[key] for key in sorted(expected)])
    np.testing.assert_array_equal(index.vectors(index.ids()), rows)
    assert index.dead < 2000
    queries = clustered(40, DIMENSIONS, 2)
    assert recall(index.search(queries, 10), brute_force(index.ids(), rows, queries, 10)) >= 0.985


def test_it_compacts_itself_when_most_is_dead() -> None:
    index, ids, _ = filled(5000)
    index.remove(ids[:3000])
    deadline = time.monotonic() + 60
    while index.dead and time.monotonic() < deadline:
        time.sleep(0.02)
    assert index.dead == 0
    assert len(index) == 2000
    index.close()


def test_closing_stops_a_compaction_without_harm() -> None:
    index, ids, _ = filled(5000)
    index.remove(ids[:3000])
    index.close()
    assert index.ids().tolist() == ids[3000:].tolist()
    assert len(index.search(clustered(1, DIMENSIONS, 2), 10).ids[0]) == 10


def test_a_failure_half_way_leaves_the_index_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    index, ids, vectors = filled(500)
    append, calls = HnswGraph.append, []

    def fail_later(graph: HnswGraph, *arguments: np.ndarray) -> np.ndarray:
        calls.append(1)
        if len(calls) > 3:
            raise MemoryError("no room")
        return append(graph, *arguments)

    monkeypatch.setattr(HnswGraph, "append", fail_later)
    with pytest.raises(MemoryError):
        index.add(np.arange(400, 2400), clustered(2000, DIMENSIONS, 4))
    monkeypatch.undo()
    assert len(calls) == 4
    assert index.ids().tolist() == ids.tolist()
    np.testing.assert_array_equal(index.vectors(ids), vectors)
    hits = index.search(vectors, 1)
    assert np.mean([found[0] == own for found, own in zip(hits.ids, ids, strict=True)]) >= 0.99


def test_without_a_view_of_hnswlib_the_answers_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    index, ids, _ = filled(1500)
    monkeypatch.setattr("lean_agentic.agentdb.hnsw_graph.rows_in_place", lambda index: None)
    plain, _, _ = filled(1500)
    queries = clustered(20, DIMENSIONS, 2)
    for allowed in (None, ids[::2], ids[:30]):
        found, expected = plain.search(queries, 10, allowed), index.search(queries, 10, allowed)
        assert [row.tolist() for row in found.ids] == [row.tolist() for row in expected.ids]
    plain.remove(ids[:700])
    plain.compact()
    assert plain.ids().tolist() == ids[700:].tolist()


MEMORY = """
import gc, psutil, numpy as np
from lean_agentic.agentdb.hnsw_graph import HnswSettings
from lean_agentic.agentdb.hnsw_index import HnswIndex
from lean_agentic.agentdb.vector_index import unit_rows

# hnswlib has 2.6 MB of locks whatever it holds: of fewer vectors they would be what is measured.
count, dimensions = 24000, 1536
rows = unit_rows(np.random.default_rng(0).standard_normal((count, dimensions), np.float32), dimensions)
settings = HnswSettings(ef_construction=10)  # quick, and as large
first = HnswIndex(dimensions, settings)
first.add(np.arange(200), rows[:200])
gc.collect()
before = psutil.Process().memory_info().rss
index = HnswIndex(dimensions, settings)
for start in range(0, count, 1000):
    index.add(np.arange(start, start + 1000), rows[start : start + 1000])
gc.collect()
print((psutil.Process().memory_info().rss - before) / rows.nbytes, index.memory_bytes() / rows.nbytes)
"""


def test_memory_is_what_it_says_and_little_more_than_the_vectors() -> None:
    answer = subprocess.run([sys.executable, "-c", MEMORY], check=True, capture_output=True, text=True).stdout
    resident, said = map(float, answer.split())
    assert resident <= 1.10
    assert abs(said - resident) <= 0.04
