from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lean_agentic.agentdb.word_weights import WordWeights, sentences, words

TEXTS = ["Thanks, Ann!", "thanks a lot", "The pump of line 4 leaks", "thanks"]


def test_rare_words_weigh_more() -> None:
    weights = WordWeights(TEXTS)
    assert weights.texts == 4
    assert weights.weight("thanks") == pytest.approx(math.log(5 / 3))
    assert weights.weight("pump") == pytest.approx(math.log(5))
    assert weights.weight("never seen") == weights.weight("pump")
    assert weights.mass("pump, pump. THANKS") == pytest.approx(math.log(5) + math.log(5 / 3))


def test_coverage_is_the_share_of_the_mass() -> None:
    weights = WordWeights(TEXTS)
    assert weights.coverage("The pump leaks", words("the pump leaks badly")) == 1
    assert weights.coverage("thanks pump", {"pump"}) == pytest.approx(math.log(5) / (math.log(5) + math.log(5 / 3)))
    assert weights.coverage("...", []) == 1
    assert weights.coverage("pump", []) == 0


def test_sentences_and_lines() -> None:
    assert sentences("One. Two? 3.5 three!\n\nfour  ") == ["One.", "Two?", "3.5 three!", "four"]
    assert sentences(" \n ") == []
    assert words("Straße STRASSE naïve 日本") == {"strasse", "naïve", "日本"}


def test_no_texts_at_all() -> None:
    assert WordWeights([]).mass("whatever there is") == 0


@given(st.lists(st.text(max_size=30), max_size=8), st.text(max_size=30), st.text(max_size=30))
def test_what_is_said_can_only_grow(texts: list[str], text: str, more: str) -> None:
    weights = WordWeights(texts)
    said = words(more)
    share = weights.coverage(text, said)
    assert 0 <= share <= 1 + 1e-12
    assert weights.coverage(text, said | words(text)) == pytest.approx(1)
    assert weights.mass(text + " " + more) >= weights.mass(text) - 1e-9
