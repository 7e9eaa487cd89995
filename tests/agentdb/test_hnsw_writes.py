"""Writers hold the lock for short chunks, all vectors of a chunk become visible together."""

from __future__ import annotations

import threading

import numpy as np

from lean_agentic.agentdb.hnsw_graph import HnswGraph, HnswSettings
from lean_agentic.agentdb.hnsw_search import HnswState
from lean_agentic.agentdb.hnsw_writes import Compaction, GraphWriter
from tests.agentdb.vector_data import clustered

DIMENSIONS = 24


def state_of(count: int) -> tuple[HnswState, np.ndarray]:
    state = HnswState(HnswGraph(DIMENSIONS, HnswSettings()))
    vectors = clustered(count, DIMENSIONS, 1)
    GraphWriter(state).add(np.arange(count), vectors)
    return state, vectors


def test_the_lock_is_free_between_chunks() -> None:
    state = HnswState(HnswGraph(DIMENSIONS, HnswSettings()))
    seen: list[int] = []
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            with state.lock.reading:
                seen.append(state.graph.live)

    watcher = threading.Thread(target=watch)
    watcher.start()
    GraphWriter(state).add(np.arange(5000), clustered(5000, DIMENSIONS, 1))
    done.set()
    watcher.join()
    assert len(set(seen)) > 10, "a reader saw the index grow"


def test_chunks_fit_their_time_and_never_starve_threads() -> None:
    state, _ = state_of(10)
    writer = GraphWriter(state)
    for _ in range(20):
        writer._adapt_chunk(writer._chunk, 1e-4 * writer._chunk)
    assert writer._chunk == 20
    for _ in range(5):
        writer._adapt_chunk(writer._chunk, 1.0)
    assert writer._chunk == 1
    several = HnswState(HnswGraph(DIMENSIONS, HnswSettings(threads=4)))
    assert GraphWriter(several)._chunk >= 1
    other = GraphWriter(several)
    other._adapt_chunk(4, 10.0)
    assert other._chunk == 17, "hnswlib uses one thread for fewer"


def test_a_compaction_takes_in_what_came_meanwhile() -> None:
    state, vectors = state_of(1000)
    writer = GraphWriter(state)
    writer.remove(np.arange(400))
    compaction = Compaction(state, HnswSettings(), lambda: False)
    compaction.copy_most()
    writer.remove(np.arange(400, 500))
    fresh = clustered(150, DIMENSIONS, 3)
    writer.add(np.arange(950, 1100), fresh)
    compaction.finish(64)
    ids, labels = state.slots.items()
    assert ids.tolist() == list(range(500, 1100))
    np.testing.assert_array_equal(state.graph.gather(labels), np.concatenate([vectors[500:950], fresh]))
    assert state.graph.records[labels].tolist() == ids.tolist()
    assert state.graph.live == 600


def test_a_stopped_compaction_changes_nothing() -> None:
    state, _ = state_of(500)
    graph = state.graph
    stopped: list[bool] = []
    compaction = Compaction(state, HnswSettings(), lambda: bool(stopped))
    stopped.append(True)
    compaction.copy_most()
    compaction.finish(64)
    assert state.graph is graph
