"""The two ways of counting, and a tiny conversation that is measured through the real memory."""

from __future__ import annotations

import pytest

from lean_agentic.agentdb.consolidation_policy import ConsolidationPolicy
from lean_agentic.agentdb.embedding import FunctionEmbedding
from lean_agentic.agentdb.records import Episode, Fact
from lean_agentic.workbench.memory_consolidation import held_out, measure, meets_target, shown
from lean_agentic.workbench.memory_locomo import Conversation, Question

DIMENSIONS = 128
SAID = [
    ("Ann", "The pump in the old mill leaks oil since the storm on Monday"),
    ("Bob", "Oh no!"),
    ("Ann", "Ben bought three blue bicycles for the children at the harbour market"),
    ("Bob", "Great!"),
    ("Ann", "Next summer we sail to the northern islands with cousin Clara"),
    ("Bob", "Wow!"),
    ("Ann", "My piano teacher recommended a sonata by an unknown composer"),
    ("Bob", "Nice!"),
]


def hashed(texts: list[str]) -> list[list[float]]:
    rows = []
    for text in texts:
        row = [0.01] * DIMENSIONS
        for word in text.lower().replace("!", " ").split():
            row[sum(map(ord, word)) * 31 % DIMENSIONS] += 1
        rows.append(row)
    return rows


EMBEDDING = FunctionEmbedding("hashed", DIMENSIONS, hashed)


def talk(name: str) -> Conversation:
    turns = {
        f"D1:{at + 1}": Episode(f"{speaker}: {text}", entities=(speaker,), time=1e6, tenant=name, session="session_1")
        for at, (speaker, text) in enumerate(SAID)
    }
    questions = (
        Question("What leaks oil in the mill?", ("D1:1",), "single-hop"),
        Question("Who sails to the northern islands?", ("D1:5",), "single-hop"),
        Question("What did Bob say of the bicycles?", ("D1:3", "D1:4"), "multi-hop"),
        Question("Nobody knows", (), "adversarial"),
    )
    return Conversation(name, turns, questions)


def fact(record_id: int, *sources: int) -> Fact:
    return Fact("said", sources=sources, id=record_id)


def test_a_fact_takes_a_place_for_each_turn_or_one() -> None:
    hits = [Episode("a", id=1), fact(9, 2, 3), Episode("b", id=3), fact(8, 4, 5), Episode("c", id=6)]
    assert shown(hits, 5).strict == (1, 2, 3, 4, 5)
    assert shown(hits, 5).one_place == (1, 2, 3, 4, 5, 6)
    assert shown(hits, 2).strict == (1, 2)
    assert shown(hits, 2).one_place == (1, 2, 3)
    assert shown([], 3).strict == ()


def test_episodes_alone_count_alike() -> None:
    found = shown([Episode("a", id=4), Episode("b", id=2)], 2)
    assert found.strict == found.one_place == (4, 2)


def test_a_conversation_is_measured() -> None:
    policy = ConsolidationPolicy(empty_below=0.0)
    frame = measure([talk("one"), talk("two")], policy, EMBEDDING, k=2)
    assert frame.index.tolist() == ["one", "two", "all"]
    row = frame.loc["one"]
    assert (row["questions"], row["before"], row["after"], row["facts"]) == (3, 8, 4, 4)
    assert frame.loc["all", "before"] == 16
    assert frame.loc["all", "saved"] == pytest.approx(0.5)
    # The fact that takes in the exclamation finds both turns of the third question.
    assert row["one place"] == pytest.approx(1)
    assert row["strict"] == pytest.approx(1)
    assert 2 < row["turns shown"] <= 4
    assert frame.loc["all", "strict"] == pytest.approx(row["strict"])


def test_what_provenance_alone_names_counts_as_lost() -> None:
    policy = ConsolidationPolicy(empty_below=0.8)
    row = measure([talk("one")], policy, EMBEDDING, k=2).loc["one"]
    assert row["one place"] == pytest.approx(5 / 6)


def test_policies_are_chosen_by_the_other_conversations() -> None:
    frame = held_out([talk("one"), talk("two")], EMBEDDING, absorbed=(0.0, 0.8), k=2)
    assert frame.loc["one", "absorb_below"] == 0.8
    assert frame.loc["all", "saved"] == pytest.approx(0.5)


def test_the_target() -> None:
    row = {"saved": 0.31, "recall": 0.8, "strict": 0.795}
    assert meets_target(row)
    assert not meets_target({**row, "saved": 0.29})
    assert not meets_target({**row, "strict": 0.78})
