"""How to search among allowed records: exactly over their vectors, or by the graph with more candidates than asked for.

A graph search for `fetch` candidates, of which a share `allowed / live` passes the filter, gets slower as the share
falls; exact search over the allowed gets faster. The planner takes the cheaper by a cost model of two constants, in
units of one vector compared inside the graph search.
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
    """What the two ways cost, in vectors compared inside a graph search."""

    graph_candidate: float = 16.0
    """One candidate kept: its links lead to about this many comparisons."""
    exact_copy: float = 1.0
    """One vector copied for exact search, once for all queries of a batch."""
    exact_compare: float = 0.5
    """One vector compared with one query in exact search."""

    def graph(self, fetch: int) -> float:
        """Of a query by the graph."""
        return self.graph_candidate * fetch

    def exact(self, allowed: int, queries: int) -> float:
        """Of a query by exact search, in a batch of so many."""
        return allowed * (self.exact_copy / queries + self.exact_compare)


def plan_search(k: int, allowed: int, live: int, ef: int, queries: int, costs: Costs) -> Plan:
    """The cheaper way to the k nearest among `allowed` of `live` vectors, with `ef` candidates at least.

    Takes the filter to be independent of the query; where it is not, the graph's answer is short, and `replan` tells
    how to go on.
    """
    if allowed <= k:
        return Plan(Route.EXACT)
    return _cheaper(k, allowed / max(live, allowed), allowed, ef, queries, costs)


def replan(plan: Plan, found: int, k: int, allowed: int, queries: int, costs: Costs) -> Plan:
    """What to do after a graph search of which only `found` < k candidates were allowed."""
    share = max(found, 0.25) / plan.fetch
    return _cheaper(k, share, allowed, 2 * plan.fetch, queries, costs)


def _cheaper(k: int, share: float, allowed: int, least: int, queries: int, costs: Costs) -> Plan:
    # Three standard deviations more than k on the average: seldom short.
    wanted = k if share == 1 else k + 3 * math.sqrt(k) + 3
    fetch = max(least, math.ceil(wanted / share))
    if costs.exact(allowed, queries) <= costs.graph(fetch):
        return Plan(Route.EXACT)
    return Plan(Route.GRAPH, fetch)
