"""Searches of a graph that others write to meanwhile: by the graph, and exact where the graph cannot answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

from lean_agentic.agentdb.exact_search import block_rows, exact_hits
from lean_agentic.agentdb.filtered_search import no_hits
from lean_agentic.agentdb.hnsw_graph import HnswGraph, Labels
from lean_agentic.agentdb.id_slots import ABSENT, IdSlots
from lean_agentic.agentdb.readers_writer_lock import ReadersWriterLock
from lean_agentic.agentdb.vector_index import Hits, Ids, Vectors


@dataclass
class HnswState:
    """What searches read and writers change, and the lock that both hold to do so."""

    graph: HnswGraph
    slots: IdSlots = field(default_factory=IdSlots)
    """Live ids to their labels in the graph."""
    lock: ReadersWriterLock = field(default_factory=ReadersWriterLock)

    def candidates(self, queries: Vectors, count: int) -> Hits:
        """About `count` nearest live vectors of each query by the graph; nothing where it finds fewer."""
        with self.lock.reading:
            graph = self.graph
            near = graph.nearest(queries, min(count, graph.live)) if graph.live else None
            if near is None:
                return no_hits(len(queries))
            return Hits(list(graph.records[near[0]]), list(near[1]))

    def exact(self, queries: Vectors, k: int, allowed: Ids | None) -> Hits:
        """The k nearest of each query, every live (and allowed) vector compared."""
        with self.lock.reading:
            graph = self.graph
            ids, labels = self._labels(allowed)
            if not graph.in_place:
                # hnswlib's get_items refuses labels that died since.
                return exact_hits(queries, k, _blocks(graph, ids, labels, nullcontext()))
        return exact_hits(queries, k, _blocks(graph, ids, labels, self.lock.reading))

    def _labels(self, allowed: Ids | None) -> tuple[Ids, Labels]:
        if allowed is None:
            return self.slots.items()
        labels = self.slots.find(allowed)
        there = labels != ABSENT
        return allowed[there], labels[there]


def _blocks(
    graph: HnswGraph, ids: Ids, labels: Labels, hold: AbstractContextManager[None]
) -> Iterator[tuple[Ids, Vectors]]:
    # Each block is copied under a hold of its own, so that writers need not wait for the whole of a long search.
    size = block_rows(graph.dimensions)
    for start in range(0, len(ids), size):
        with hold:
            block = graph.gather(labels[start : start + size])
        yield ids[start : start + size], block
