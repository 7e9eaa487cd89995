"""Writes to a graph that others search meanwhile: chunks of insertions, removal, and building the graph anew."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from lean_agentic.agentdb.exact_search import block_rows
from lean_agentic.agentdb.hnsw_graph import DEAD, HnswGraph, HnswSettings, Labels, chunks
from lean_agentic.agentdb.hnsw_search import HnswState
from lean_agentic.agentdb.id_slots import ABSENT, IdSlots
from lean_agentic.agentdb.vector_index import Ids, Vectors

HOLD_SECONDS = 0.002
"""How long a writer keeps searches waiting, about."""
FEW_MISSING = 200
"""Vectors copied with writers waiting, at the end of a compaction."""

Placed = tuple[Ids, Labels, Labels]
"""Ids written, their labels, and the labels that these replaced."""


class GraphWriter:
    """Changes a state. One thread at a time: its owner keeps writers apart."""

    def __init__(self, state: HnswState) -> None:
        self._state = state
        self._chunk = 4

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """Add or replace checked vectors, all or none; searches see every chunk of them as a whole."""
        new = self._changed(ids, vectors)
        if len(new) < len(ids):
            ids, vectors = ids[new], vectors[new]
        done: list[Placed] = []
        with self._state.lock.writing:
            self._state.graph.reserve(self._state.graph.count + len(ids))
        self._state.graph.settle()
        try:
            start = 0
            while start < len(ids):
                part = slice(start, start + self._chunk)
                began = time.perf_counter()
                with self._state.lock.writing:
                    done.append(self._put(ids[part], vectors[part]))
                self._adapt_chunk(len(ids[part]), time.perf_counter() - began)
                start = part.stop
        except BaseException:
            with self._state.lock.writing:
                self._undo(done)
            raise

    def remove(self, ids: Ids) -> None:
        """Forget vectors; ids that are not there are ignored."""
        for part in chunks(ids, 1000):
            with self._state.lock.writing:
                self._state.graph.kill(self._state.slots.remove(part))

    def _changed(self, ids: Ids, vectors: Vectors) -> Labels:
        # A replay adds what is there already: to write it again would only wear the graph.
        labels = self._state.slots.find(ids)
        same = np.zeros(len(ids), np.bool_)
        for part in chunks(np.flatnonzero(labels != ABSENT), block_rows(vectors.shape[1])):
            same[part] = (self._state.graph.gather(labels[part]) == vectors[part]).all(axis=1)
        return np.flatnonzero(~same)

    def _put(self, ids: Ids, vectors: Vectors) -> Placed:
        graph, slots = self._state.graph, self._state.slots
        replaced = slots.find(ids)
        labels = graph.append(ids, vectors)
        graph.kill(replaced[replaced != ABSENT])
        slots.put(ids, labels)
        return ids, labels, replaced

    def _undo(self, done: list[Placed]) -> None:
        graph, slots = self._state.graph, self._state.slots
        for ids, labels, replaced in reversed(done):
            known = replaced != ABSENT
            graph.kill(labels)
            graph.revive(replaced[known], ids[known])
            slots.put(ids[known], replaced[known])
            slots.remove(ids[~known])

    def _adapt_chunk(self, added: int, seconds: float) -> None:
        threads = self._state.graph.settings.threads
        # hnswlib uses its threads for more than four vectors each only.
        least = 1 if threads == 1 else 4 * threads + 1
        fitting = int(added * HOLD_SECONDS / max(seconds, 1e-6))
        self._chunk = max(least, min(fitting, 2 * self._chunk, 256))


class Compaction:
    """Builds the graph of a state anew from its live vectors alone, while searches and writes go on.

    Takes as long as adding them all, and holds them twice meanwhile.
    """

    def __init__(self, state: HnswState, settings: HnswSettings, stopped: Callable[[], bool]) -> None:
        self._state = state
        self._old = state.graph
        self._new = HnswGraph(state.graph.dimensions, settings, state.graph.live)
        self._copied: Labels = np.empty(0, np.int64)
        """Label i of the new graph is a copy of label copied[i] of the old one."""
        self._stopped = stopped

    def copy_most(self) -> None:
        """Copy what is live, and again what was written meanwhile, until little is missing."""
        while len(self._missing()) > FEW_MISSING and not self._stopped():
            self._copy_missing()

    def finish(self, ef: int) -> None:
        """Copy the rest and take the new graph into use; the caller keeps writers out."""
        self._copy_missing()
        if self._stopped():
            return
        self._new.kill(np.flatnonzero(self._old.records[self._copied] == DEAD))
        new_label = np.full(self._old.count, ABSENT, np.int64)
        new_label[self._copied] = np.arange(len(self._copied))
        ids, labels = self._state.slots.items()
        with self._state.lock.writing:
            self._new.set_ef(ef)
            self._state.graph, self._state.slots = self._new, IdSlots(ids, new_label[labels])

    def _missing(self) -> Labels:
        with self._state.lock.reading:
            return np.setdiff1d(self._old.live_labels(), self._copied)

    def _copy_missing(self) -> None:
        missing = self._missing()
        self._new.reserve(self._new.count + len(missing))
        copied = [self._copied]
        for part in chunks(missing, block_rows(self._old.dimensions)):
            if self._stopped():
                break
            with self._state.lock.reading:
                alive = part[self._old.records[part] != DEAD]
                ids, vectors = self._old.records[alive], self._old.gather(alive)
            self._new.append(ids, vectors)
            copied.append(alive)
        self._copied = np.concatenate(copied)
