"""The planner takes the cheaper way, asks for enough, and always ends."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lean_agentic.agentdb.search_plan import Costs, Route, plan_search, replan

COSTS = Costs()


def test_few_allowed_are_compared_and_many_are_searched_for() -> None:
    assert plan_search(10, 1000, 100_000, 64, 1, COSTS).route is Route.EXACT
    for allowed in (50_000, 10_000):
        plan = plan_search(10, allowed, 100_000, 64, 1, COSTS)
        assert plan.route is Route.GRAPH
        assert plan.fetch * allowed / 100_000 >= 20
        assert plan.fetch > 64


def test_a_batch_shares_the_copies_of_exact_search() -> None:
    assert plan_search(10, 4000, 100_000, 64, 1, COSTS).route is Route.GRAPH
    assert plan_search(10, 4000, 100_000, 64, 16, COSTS).route is Route.EXACT


def test_all_or_fewer_than_asked_for_are_compared() -> None:
    assert plan_search(10, 10, 10**6, 64, 1, COSTS).route is Route.EXACT
    assert plan_search(10, 0, 0, 64, 1, COSTS).route is Route.EXACT


@given(
    k=st.integers(1, 200),
    live=st.integers(1, 10**7),
    share=st.floats(0, 1),
    ef=st.integers(1, 1000),
    queries=st.integers(1, 64),
)
def test_the_graph_is_asked_for_enough_and_only_where_it_is_cheaper(
    k: int, live: int, share: float, ef: int, queries: int
) -> None:
    allowed = int(share * live)
    plan = plan_search(k, allowed, live, ef, queries, COSTS)
    if plan.route is Route.GRAPH:
        assert plan.fetch > ef
        assert plan.fetch * allowed / live >= k
        assert plan.fetch < live / 8
        assert COSTS.graph(plan.fetch) < COSTS.exact(allowed, queries)


@given(k=st.integers(1, 100), live=st.integers(1, 10**8), found=st.integers(0, 5), queries=st.integers(1, 64))
def test_replanning_ends_in_exact_search(k: int, live: int, found: int, queries: int) -> None:
    plan = plan_search(k, live, live, 64, queries, COSTS)
    for _ in range(40):
        if plan.route is Route.EXACT:
            return
        before = plan.fetch
        plan = replan(plan, min(found, k - 1), k, live, live, queries, COSTS)
        assert plan.route is Route.EXACT or plan.fetch >= 2 * before
    raise AssertionError("it went on asking the graph")
