from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lean_agentic.agentdb.consolidation_plan import plan_groups
from lean_agentic.agentdb.consolidation_policy import ConsolidationPolicy, Scope
from lean_agentic.agentdb.consolidation_tables import Candidate, Group
from lean_agentic.agentdb.word_weights import WordWeights
from tests.agentdb.consolidation_data import DIMENSIONS, EMBEDDING, WORDS
from tests.agentdb.exact_index import ExactIndex

POLICY = ConsolidationPolicy(similarity=0.9)
LONG = ["bolt crew shift engine valve", "line four tuesday leak oil", "pump broken mended red green"]


def candidate(record_id: int, text: str, session: str = "s", *, is_open: bool = True, new: bool = True) -> Candidate:
    return Candidate(record_id, session, float(record_id), text, is_open, new)


def plan(episodes: list[Candidate], facts: dict[int, tuple[str, str]] | None = None, **policy: Any) -> list[Group]:
    """Groups; `facts` are texts and sessions by id."""
    facts = facts or {}
    index = ExactIndex(DIMENSIONS)
    texts = {each.id: each.text for each in episodes if each.is_open} | {i: text for i, (text, _) in facts.items()}
    if texts:
        index.add(list(texts), EMBEDDING.embed(list(texts.values())))  # type: ignore[arg-type]
    weights = WordWeights(each.text for each in episodes)
    sessions = [(record_id, session) for record_id, (_, session) in facts.items()]
    return plan_groups(episodes, sessions, index, weights, ConsolidationPolicy(**{"similarity": 0.9, **policy}))


def test_what_says_little_joins_its_nearest_informative_neighbour() -> None:
    episodes = [candidate(1, LONG[0]), candidate(2, "ok"), candidate(3, "hm"), candidate(4, LONG[1])]
    assert plan(episodes) == [Group((1,), (2,)), Group((4,), (3,))]
    assert plan(episodes, absorb_below=0.0) == []


def test_what_came_before_goes_first_and_takes_only_so_many() -> None:
    episodes = [candidate(1, "ok"), candidate(2, LONG[0]), candidate(3, "hm"), candidate(4, "ah"), candidate(5, "so")]
    others = [LONG[1], LONG[2], "bolt line pump crew four broken", "shift leak red tuesday oil mended"]
    episodes += [candidate(at, text, "r") for at, text in enumerate(others, 6)]
    assert plan(episodes, most_absorbed=2) == [Group((2,), (1, 3))]
    assert plan(episodes, most_absorbed=4, reach=3) == [Group((2,), (1, 3, 4, 5))]
    assert plan(episodes, most_absorbed=4, reach=1) == [Group((2,), (1, 3))]


def test_sessions_do_not_mix_and_no_session_takes_nothing_in() -> None:
    episodes = [candidate(1, LONG[0], "a"), candidate(2, "ok", "b"), candidate(3, "hm", ""), candidate(4, LONG[1], "")]
    assert plan(episodes) == []


def test_what_a_fact_stands_for_keeps_its_place() -> None:
    gone = [candidate(at, text, is_open=False, new=False) for at, text in enumerate(LONG, 2)]
    episodes = [candidate(1, LONG[0] + " blue"), *gone, candidate(5, "ok")]
    assert plan(episodes, reach=3) == []
    assert plan(episodes, reach=4) == [Group((1,), (5,))]


def test_groups_without_news_are_not_planned() -> None:
    old = [candidate(at, "red pump", new=False) for at in (1, 2)]
    assert plan(old) == []
    assert plan([*old, candidate(3, "green valve leak oil")]) == []
    assert plan([*old, candidate(3, "red pump")]) == [Group((1, 2, 3))]


def test_news_join_the_most_similar_fact() -> None:
    facts = {8: ("red pump broken oil", "s"), 9: ("red pump broken", "r")}
    episodes = [candidate(1, "red pump broken"), candidate(2, "red pump broken", new=False), candidate(3, LONG[1])]
    assert plan(episodes, facts) == [Group((1,), fact=9)]
    assert plan(episodes, facts, scope=Scope.SESSION, similarity=0.8) == [Group((1,), fact=8)]
    assert plan(episodes, facts, scope=Scope.SESSION) == [Group((1, 2))]


def test_without_an_index_there_are_only_sessions() -> None:
    episodes = [candidate(1, LONG[0]), candidate(2, LONG[0]), candidate(3, "ok")]
    groups = plan_groups(episodes, [], None, WordWeights(each.text for each in episodes), POLICY)
    assert groups == [Group((2,), (3,))]


TEXTS = st.lists(st.sampled_from(WORDS[:5]), min_size=1, max_size=4).map(" ".join)
EPISODES = st.lists(st.tuples(TEXTS, st.sampled_from("ab"), st.booleans(), st.booleans()), min_size=1, max_size=12)


@given(EPISODES, st.randoms(use_true_random=False))
def test_groups_are_apart_and_order_makes_no_difference(drawn: Any, random: Any) -> None:
    episodes = [
        candidate(at, text, session, is_open=is_open, new=is_open and new)
        for at, (text, session, is_open, new) in enumerate(drawn, 1)
    ]
    groups = plan(episodes)
    assert groups == plan(random.sample(episodes, len(episodes)))
    members = [each for group in groups for each in group.members]
    assert len(members) == len(set(members))
    assert set(members) <= {each.id for each in episodes if each.is_open}
    new = {each.id for each in episodes if each.new}
    assert all(new & set(group.members) and len(group.members) > 1 for group in groups)


def test_an_impossible_vector_is_named() -> None:
    with pytest.raises(ValueError, match="similarity"):
        plan([candidate(1, "red")], similarity=2)
