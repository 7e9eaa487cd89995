"""How to search among allowed records: exactly over their vectors, or by the graph with more candidates than asked for.

A graph search for `fetch` candidates, of which a share `allowed / live` passes the filter, gets slower as the share
falls; exact search over the allowed gets faster. The planner takes the cheaper by a cost model that was fitted to
single searches of 20,000 x 1536 by `HnswIndex` (ms of CPU time; among 384-d vectors the ratio is much the same):

| candidates | 64 | 128 | 200 | 300 | 450 | 700 | 1000 | 1500 |
|---|---|---|---|---|---|---|---|---|
| graph | .55 | .87 | 1.15 | 1.47 | 1.90 | 2.50 | 3.10 | 4.17 |

| allowed | 419 | 962 | 2027 | 4873 | 10031 |
|---|---|---|---|---|---|
| exact | .54 | 1.25 | 3.23 | 7.86 | 15.7 |

So a vector compared exactly takes 1.5 us, and the graph 24 * fetch ** .65 of them; more where there are more vectors.
Of 100,000 the ways cost the same (3.5 ms) where about 2.5% are allowed. A filter written in Python, which hnswlib
offers, would take 12 ms at 1% of 50,000 x 384.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum


class Route(StrEnum):
    """Where the answer comes from."""

    EXACT = "exact"
    """Every allowed vector is compared."""
    GRAPH = "graph"
    """The graph is searched and what is not allowed is dropped from its answer."""


@dataclass(frozen=True)
class Plan:
    """One way to search."""

    route: Route
    fetch: int = 0
    """Candidates to ask the graph for."""


@dataclass(frozen=True)
class Costs:
    """What the two ways cost, in vectors compared exactly by a single search."""

    graph_scale: float = 30.0
    graph_power: float = 0.65
    exact_copy: float = 0.7
    """One vector copied for exact search, once for all queries of a batch."""
    exact_compare: float = 0.3
    """One vector compared with one query in exact search."""

    def graph(self, fetch: int) -> float:
        """Of a query by the graph."""
        return float(self.graph_scale * fetch**self.graph_power)

    def exact(self, allowed: int, queries: int) -> float:
        """Of a query by exact search, in a batch of so many."""
        return allowed * (self.exact_copy / queries + self.exact_compare)


def plan_search(k: int, allowed: int, live: int, ef: int, queries: int, costs: Costs) -> Plan:
    """The cheaper way to the k nearest among `allowed` of `live` vectors.

    Takes the filter to be independent of the query; where it is not, the graph's answer is short, and `replan` tells
    how to go on. `ef` candidates more than enough for the filter are fetched, for the sake of recall.
    """
    if allowed <= k:
        return Plan(Route.EXACT)
    share = allowed / max(live, allowed)
    return _cheaper(ef + _enough(k, share), allowed, live, queries, costs)


def replan(plan: Plan, found: int, k: int, allowed: int, live: int, queries: int, costs: Costs) -> Plan:
    """What to do after a graph search of which only `found` < k candidates were allowed."""
    share = max(found, 0.25) / plan.fetch
    return _cheaper(max(2 * plan.fetch, _enough(k, share)), allowed, live, queries, costs)


def _enough(k: int, share: float) -> int:
    # Three standard deviations more than k on the average: seldom short.
    return math.ceil((k + 3 * math.sqrt(k) + 3) / share)


def _cheaper(fetch: int, allowed: int, live: int, queries: int, costs: Costs) -> Plan:
    # What the graph costs was never measured for a large part of all vectors, and is then no use.
    if 8 * fetch >= live or costs.exact(allowed, queries) <= costs.graph(fetch):
        return Plan(Route.EXACT)
    return Plan(Route.GRAPH, fetch)
