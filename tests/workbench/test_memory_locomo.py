"""LoCoMo's format, what of it is stored, and the recall that is promised on a conversation that is here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lean_agentic.agentdb.embedding import FunctionEmbedding
from lean_agentic.agentdb.minilm import MiniLM
from lean_agentic.workbench.datasets import DATA_VARIABLE, DatasetError
from lean_agentic.workbench.memory_locomo import FILE, FITTED, RANKINGS, evaluate, load_conversations

LETTERS = FunctionEmbedding("letters", 27, lambda texts: [[1, *map(text.lower().count, _ALPHABET)] for text in texts])
_ALPHABET = [chr(97 + at) for at in range(26)]


def turn(number: str, speaker: str, text: str, **more: str) -> dict[str, str]:
    return {"speaker": speaker, "dia_id": number, "text": text, **more}


def conversation(name: str, topic: str) -> dict[str, Any]:
    """A conversation of two sessions in LoCoMo's format."""
    return {
        "sample_id": name,
        "conversation": {
            "speaker_a": "Ann",
            "speaker_b": "Bo",
            "session_1_date_time": "1:56 pm on 8 May, 2023",
            "session_1": [
                turn("D1:1", "Ann", f"Hello, how is the {topic}?"),
                turn("D1:2", "Bo", "Here it is!", blip_caption="a photo of a lighthouse", query="secret search words"),
            ],
            "session_2_date_time": "12:09 am on 13 September, 2023",
            "session_2": [turn("D2:1", "Bo", "I sold the bicycle."), turn("D2:2", "Ann", "Good for you.")],
            "session_3_date_time": "1:00 pm on 14 September, 2023",
        },
        "qa": [
            {"question": "What did Bo sell?", "answer": "bicycle", "evidence": ["D2:1"], "category": 4},
            {"question": "Lighthouse?", "answer": "yes", "evidence": ["D1:2; D1:1", "D9:9"], "category": 1},
            {"question": "Unknown?", "answer": "no", "evidence": [], "category": 5},
        ],
    }


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / FILE
    path.write_text(json.dumps([conversation("one", "garden"), conversation("two", "boat")]), encoding="utf-8")
    return path


def test_turns_become_episodes_under_speaker_session_and_date(path: Path) -> None:
    first, second = load_conversations(path)
    assert list(first.turns) == ["D1:1", "D1:2", "D2:1", "D2:2"]
    picture = first.turns["D1:2"]
    assert picture.text == "Bo: Here it is! [a photo of a lighthouse]"
    assert (picture.entities, picture.session, picture.tenant) == (("Bo",), "session_1", "one")
    assert picture.time == 1683554160  # 2023-05-08 13:56 UTC
    assert first.turns["D2:1"].time == 1694563740  # 2023-09-13 00:09 UTC
    assert second.turns["D1:1"].text == "Ann: Hello, how is the boat?"


def test_search_strings_of_the_makers_are_not_stored(path: Path) -> None:
    for each in load_conversations(path):
        assert "secret" not in repr(each)


def test_evidence_that_is_not_there_is_left_out(path: Path) -> None:
    questions = load_conversations(path)[0].questions
    assert [question.evidence for question in questions] == [("D2:1",), ("D1:2", "D1:1"), ()]
    assert [question.category for question in questions] == ["single-hop", "multi-hop", "adversarial"]


def test_the_table_has_a_row_for_each_ranking(path: Path) -> None:
    table = evaluate(load_conversations(path), LETTERS, k=1)
    assert table.index.tolist() == [*RANKINGS, FITTED]
    assert (table["questions"] == 4).all()
    # Words decide: the right turn of one question of two each, one of two turns of the other.
    assert table.loc["BM25 only", ["recall", "any", "one", "single-hop", "multi-hop"]].tolist() == [
        0.75,
        1,
        0.75,
        1,
        0.5,
    ]
    assert (table["ms"] > 0).all()
    assert np.isfinite(table.to_numpy(float)).all()


def test_one_conversation_leaves_none_to_fit_weights_to(path: Path) -> None:
    assert FITTED not in evaluate(load_conversations(path)[:1], LETTERS).index


@pytest.mark.parametrize("content", ["not JSON", "{}", '[{"qa": []}]', '[{"conversation": {"session_1": []}}]'])
def test_another_format_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "other.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DatasetError, match=r"other\.json is not in LoCoMo's format"):
        load_conversations(path)


def test_a_missing_file_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    with pytest.raises(DatasetError, match=r"https://github\.com/snap-research/locomo"):
        load_conversations()


@pytest.mark.slow
def test_the_evidence_of_a_real_conversation_is_recalled() -> None:
    try:
        conversations = load_conversations()
    except DatasetError as error:
        pytest.skip(str(error))
    shortest = min(conversations, key=lambda each: len(each.turns))
    table = evaluate([shortest], MiniLM())
    assert table.loc["all parts", "recall"] >= 0.77
    assert table.loc["dense only", "recall"] < table.loc["BM25 only", "recall"] < table.loc["all parts", "recall"]
