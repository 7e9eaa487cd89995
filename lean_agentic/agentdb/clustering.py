"""Clusters of similar records by density, on the neighbours that a vector index finds.

DBSCAN (Ester and others, 1996) on cosine similarity: a record with enough neighbours within the radius is a core
point, core points that are neighbours share a cluster, and the other neighbours of a core point are on its border.
The neighbours come from the index, k for each record and in batches, so that n records take n x k numbers, never
n x n. Where k covers every neighbourhood and the index is exact, the partition is that of DBSCAN.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from lean_agentic.agentdb.vector_index import Ids, VectorIndex, require_ids

NOISE = -1
"""Label of a record in no cluster."""
BATCH = 512
"""Queries searched at once."""
Positions = npt.NDArray[np.int64]
Progress = Callable[[int, int], None]
"""Called with how many are done, and how many there are."""


@dataclass(frozen=True)
class Clustering:
    """Which records belong together."""

    ids: Ids
    """(n,) ascending."""
    labels: Ids
    """(n,) the lowest core id of each record's cluster, NOISE for those in none."""
    core: npt.NDArray[np.bool_]
    """(n,) whether each is a core point."""

    def clusters(self) -> list[Ids]:
        """The ids of each cluster, ascending, by their labels."""
        order = np.lexsort((self.ids, self.labels))
        order = order[self.labels[order] != NOISE]
        starts = np.flatnonzero(np.diff(self.labels[order])) + 1
        return np.split(self.ids[order], starts) if len(order) else []

    def __repr__(self) -> str:
        found = len(np.unique(self.labels[self.labels != NOISE]))
        return f"Clustering({len(self.ids)} records, {found} clusters, {int((self.labels == NOISE).sum())} in none)"


@dataclass(frozen=True)
class Neighbours:
    """Pairs of records within the radius, each once, by position: `first` < `second`."""

    first: Positions
    second: Positions
    similarities: npt.NDArray[np.float32]


def density_clusters(
    index: VectorIndex,
    ids: npt.ArrayLike,
    *,
    similarity: float,
    min_points: int = 2,
    neighbours: int = 32,
    groups: npt.ArrayLike | None = None,
    progress: Progress | None = None,
) -> Clustering:
    """Cluster records by their vectors in an index; the order of the ids makes no difference.

    Parameters
    ----------
    ids
        (n,) records, all with vectors in the index.
    similarity
        Cosine from which two records are neighbours: the radius.
    min_points
        Neighbours, itself counted, that make a core point. 2: clusters are what chains of neighbours connect.
    neighbours
        How many each record is compared with, itself not counted. A pair counts when either finds the other.
    groups
        (n,) integers; only records of the same group are neighbours. Those of other groups take up places among the
        `neighbours` all the same.

    Raises
    ------
    UnknownRecordError
        The index has no vector of a record.
    """
    if not -1 <= similarity <= 1 or min_points < 1 or neighbours < 1:
        raise ValueError(
            "similarity is a cosine, min_points and neighbours are 1 or more; "
            f"got {similarity}, {min_points} and {neighbours}"
        )
    given = require_ids(ids)
    order = np.argsort(given)
    ascending = given[order]
    pairs = _neighbours(index, ascending, similarity, neighbours, progress)
    if groups is not None:
        pairs = _within(pairs, np.asarray(groups)[order])
    core = 1 + _degrees(pairs, len(ascending)) >= min_points
    return Clustering(ascending, _labels(ascending, pairs, core), core)


def _neighbours(index: VectorIndex, ids: Ids, similarity: float, k: int, progress: Progress | None) -> Neighbours:
    """The pairs of the (n,) ascending ids within the radius."""
    allowed = None if len(index) == len(ids) else ids
    parts: list[tuple[Positions, Positions, npt.NDArray[np.float32]]] = []
    for start in range(0, len(ids), BATCH):
        batch = ids[start : start + BATCH]
        # One more, because a record is its own nearest neighbour.
        hits = index.search(index.vectors(batch), k + 1, allowed)
        rows = np.repeat(np.arange(start, start + len(batch)), [len(found) for found in hits.ids])
        columns = np.searchsorted(ids, np.concatenate(hits.ids))
        cosines = np.concatenate(hits.similarities)
        kept = (cosines >= similarity) & (rows != columns)
        parts.append((rows[kept], columns[kept], cosines[kept]))
        if progress is not None:
            progress(start + len(batch), len(ids))
    if not parts:
        return Neighbours(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))
    rows, columns, cosines = (np.concatenate(part) for part in zip(*parts, strict=True))
    return _each_once(np.minimum(rows, columns), np.maximum(rows, columns), cosines)


def _each_once(first: Positions, second: Positions, cosines: npt.NDArray[np.float32]) -> Neighbours:
    # The higher similarity first: the two directions of a pair may differ in the last bit.
    order = np.lexsort((-cosines, second, first))
    first, second, cosines = first[order], second[order], cosines[order]
    new = np.ones(len(first), bool)
    new[1:] = (first[1:] != first[:-1]) | (second[1:] != second[:-1])
    return Neighbours(first[new], second[new], cosines[new])


def _within(pairs: Neighbours, groups: npt.NDArray[np.int64]) -> Neighbours:
    same = groups[pairs.first] == groups[pairs.second]
    return Neighbours(pairs.first[same], pairs.second[same], pairs.similarities[same])


def _degrees(pairs: Neighbours, count: int) -> Positions:
    return np.bincount(pairs.first, minlength=count) + np.bincount(pairs.second, minlength=count)


def _labels(ids: Ids, pairs: Neighbours, core: npt.NDArray[np.bool_]) -> Ids:
    """The lowest core id of each record's cluster, (n,)."""
    labels = np.full(len(ids), NOISE, np.int64)
    if not core.any():
        return labels
    both = core[pairs.first] & core[pairs.second]
    ones = np.ones(int(both.sum()), np.int8)
    graph = csr_array((ones, (pairs.first[both], pairs.second[both])), shape=(len(ids), len(ids)))
    component = connected_components(graph, directed=False)[1]
    lowest = np.full(int(component.max()) + 1, np.iinfo(np.int64).max)
    np.minimum.at(lowest, component[core], ids[core])
    labels[core] = lowest[component[core]]
    border, centre = _border(pairs, core)
    labels[border] = labels[centre]
    return labels


def _border(pairs: Neighbours, core: npt.NDArray[np.bool_]) -> tuple[Positions, Positions]:
    """Border points, and of each the most similar core point, the lower one among equals."""
    first_is_core = core[pairs.first] & ~core[pairs.second]
    second_is_core = core[pairs.second] & ~core[pairs.first]
    points = np.concatenate([pairs.second[first_is_core], pairs.first[second_is_core]])
    centres = np.concatenate([pairs.first[first_is_core], pairs.second[second_is_core]])
    cosines = np.concatenate([pairs.similarities[first_is_core], pairs.similarities[second_is_core]])
    order = np.lexsort((centres, -cosines, points))
    border, at = np.unique(points[order], return_index=True)
    return border, centres[order][at]
