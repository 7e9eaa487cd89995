"""Places of episodes: time to the right, one lane a session, nothing on top of anything."""

from __future__ import annotations

import networkx as nx
from hypothesis import given
from hypothesis import strategies as st

from lean_agentic.agentdb.records import CausalLink, Episode, LinkKind
from lean_agentic.workbench.causal_layout import causal_layout, chain


def episode(number: int, time: float | None = None, session: str = "") -> Episode:
    return Episode(f"context {number}", id=number, time=time, session=session)


def link(cause: int, effect: int, strength: float = 0.5) -> CausalLink:
    return CausalLink(cause, effect, LinkKind.SEQUENCE, strength, strength, strength)


@given(st.lists(st.tuples(st.floats(0, 1e9), st.sampled_from("abc")), max_size=40))
def test_time_runs_to_the_right_and_no_two_share_a_place(given_: list[tuple[float, str]]) -> None:
    episodes = [episode(number, time, session) for number, (time, session) in enumerate(given_, start=1)]
    layout = causal_layout(episodes)
    times = {each.id: each.time or 0.0 for each in episodes}
    assert [times[each.episode] for each in layout.places] == sorted(times.values())
    assert len({(each.x, each.y) for each in layout.places}) == len(episodes)
    assert all(0 <= each.x <= layout.width and 0 <= each.y <= layout.height for each in layout.places)


def test_the_busiest_session_is_in_the_middle() -> None:
    sessions = ["b", "a", "c", "a", "a", "b"]
    layout = causal_layout([episode(number + 1, number, session) for number, session in enumerate(sessions)])
    assert [name for name, _ in layout.lanes] == ["b", "a", "c"]


def test_the_order_of_the_episodes_does_not_matter() -> None:
    episodes = [episode(number, 10.0 - number, "s") for number in range(1, 9)]
    assert causal_layout(episodes) == causal_layout(episodes[::-1])


@given(
    st.lists(
        st.tuples(st.integers(1, 9), st.integers(1, 9), st.floats(0, 1)).filter(lambda each: each[0] < each[1]),
        max_size=25,
    ),
    st.floats(0, 1),
)
def test_chains_are_ancestors_and_descendants(given_: list[tuple[int, int, float]], least: float) -> None:
    graph = nx.DiGraph()
    graph.add_nodes_from(range(1, 10))
    graph.add_edges_from((cause, effect) for cause, effect, strength in given_ if strength >= least)
    links = [link(*each) for each in given_]
    for start in range(1, 10):
        assert chain(links, start, least) == (nx.ancestors(graph, start), nx.descendants(graph, start))


def test_an_empty_memory_has_an_empty_picture() -> None:
    assert causal_layout([]).places == ()
