"""The loop that all indexes share: candidates of a graph, filtered; more of them while they are too few; else exact."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lean_agentic.agentdb.exact_search import among
from lean_agentic.agentdb.search_plan import Costs, Route, plan_search, replan
from lean_agentic.agentdb.vector_index import Hits, Ids, Vectors


@dataclass(frozen=True)
class Searcher:
    """What an index can do by itself, and what that costs."""

    candidates: Callable[[Vectors, int], Hits]
    """(n, d) queries and a number: about so many nearest live vectors of each, best first; fewer if it finds none."""
    exact: Callable[[Vectors, int, Ids | None], Hits]
    """(n, d) queries, k, allowed ids (ascending; None: all): the k nearest of each, or all where there are fewer."""
    costs: Costs

    def search(self, queries: Vectors, k: int, allowed: Ids | None, live: int, ef: int) -> Hits:
        """The k nearest of each query among `live` vectors, those in `allowed` where given.

        The graph is asked for `ef` candidates at least.
        """
        if not len(queries):
            return no_hits(0)
        if allowed is None:
            return self._all(queries, k, live, ef)
        return self._among(queries, k, allowed, live, ef)

    def _all(self, queries: Vectors, k: int, live: int, ef: int) -> Hits:
        wanted = min(k, live)
        if self.costs.exact(live, len(queries)) <= self.costs.graph(max(wanted, ef)):
            return self.exact(queries, k, None)
        hits = self.candidates(queries, wanted)
        if min(map(len, hits.ids)) < wanted:
            short = _short(hits, wanted)
            _put(hits, short, self.exact(queries[short], k, None))
        return hits

    def _among(self, queries: Vectors, k: int, allowed: Ids, live: int, ef: int) -> Hits:
        hits = no_hits(len(queries))
        left = np.arange(len(queries))
        plan = plan_search(k, len(allowed), live, ef, len(queries), self.costs)
        while plan.route is Route.GRAPH and len(left):
            found = _passing(self.candidates(queries[left], plan.fetch), k, allowed)
            _put(hits, left, found)
            left = left[_short(found, k)]
            fewest = min(len(ids) for ids in found.ids)
            plan = replan(plan, fewest, k, len(allowed), live, max(len(left), 1), self.costs)
        if len(left):
            _put(hits, left, self.exact(queries[left], k, allowed))
        return hits


def no_hits(queries: int) -> Hits:
    """No answers to so many queries."""
    return Hits([np.empty(0, np.int64)] * queries, [np.empty(0, np.float32)] * queries)


def _passing(hits: Hits, k: int, allowed: Ids) -> Hits:
    kept = [np.flatnonzero(among(ids, allowed))[:k] for ids in hits.ids]
    return Hits(
        [ids[places] for ids, places in zip(hits.ids, kept, strict=True)],
        [row[places] for row, places in zip(hits.similarities, kept, strict=True)],
    )


def _short(hits: Hits, k: int) -> Ids:
    return np.flatnonzero([len(ids) < k for ids in hits.ids])


def _put(hits: Hits, places: Ids, found: Hits) -> None:
    for place, ids, similarities in zip(places.tolist(), found.ids, found.similarities, strict=True):
        hits.ids[place], hits.similarities[place] = ids, similarities
