"""What counts as the same, what each policy does with it, and that nothing else is touched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lean_agentic.agentdb import near_duplicates
from lean_agentic.agentdb.errors import InvalidRecordError, InvalidVectorError
from lean_agentic.agentdb.near_duplicates import DuplicatePolicy, NearDuplicates, Outcome, Written, overlap
from lean_agentic.agentdb.records import Episode, Fact, Pattern, Provenance, Record, Trajectory
from tests.agentdb.recall_memory import WORDS, Memory, opened
from tests.agentdb.store_records import unit_vectors

TEXT = "Ann told the clerk that she wants the quiet window seat on the early train to Zurich"


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Memory]:
    with opened(tmp_path) as memory:
        yield memory


def written(memory: Memory, records: Sequence[Record], policy: str = "merge", **options: float) -> list[Written]:
    writer = NearDuplicates(memory.store, memory.index, policy, **options)
    return writer.write(records, WORDS.embed([record.text for record in records]), now=100.0)


def outcomes(memory: Memory, *texts: str) -> list[Outcome]:
    """By what the texts say: all of these vectors are close enough."""
    return [each.outcome for each in written(memory, [Episode(text) for text in texts], cosine=0.6)]


@pytest.mark.parametrize(
    "again",
    [
        TEXT,
        TEXT.replace("the quiet", "a quiet") + ".",
        TEXT.replace("that she wants", "she wants"),
        TEXT.replace("wants", "wanted").replace("train", "trains"),
        TEXT.replace("quiet ", ""),
    ],
)
def test_the_same_in_other_small_words_is_merged(memory: Memory, again: str) -> None:
    assert outcomes(memory, TEXT, again) == [Outcome.STORED, Outcome.MERGED]


@pytest.mark.parametrize(
    "other",
    [
        TEXT.replace("Zurich", "Geneva"),
        TEXT.replace("wants", "never wants"),
        TEXT.replace("she wants", "she doesn't want"),
        TEXT.replace("early train", "3 o'clock train"),
        TEXT.replace("early train", "late train"),
        TEXT.replace("train to", "train tomorrow to"),
        TEXT.replace("Ann told the clerk", "The clerk told Ann"),
        TEXT + " and that she will pay for it with the card of her company",
    ],
)
def test_what_small_differences_change_is_kept(memory: Memory, other: str) -> None:
    assert outcomes(memory, TEXT, other) == [Outcome.STORED, Outcome.STORED]


def test_a_merge_keeps_text_and_id_and_adds_the_rest(memory: Memory) -> None:
    first = Episode(TEXT, entities=("Ann",), time=10.0)
    second = Episode(TEXT + "!", entities=("Ann", "Zurich"), provenance=Provenance("import"), access_count=2)
    [one] = written(memory, [first])
    [two] = written(memory, [second])
    assert two == Written(one.id, Outcome.MERGED, one.id, two.similarity)
    assert two.similarity == pytest.approx(1, abs=1e-6)
    [record] = memory.store.find()
    assert isinstance(record, Episode)
    assert (record.text, record.entities, record.time, record.access_count) == (TEXT, ("Ann", "Zurich"), 10.0, 2)
    assert record.metadata["merged"] == {"occurrences": 2, "first_time": 10.0, "last_time": 100.0}
    assert record.provenance.detail["also"][0]["source"] == "import"
    # Merged into the one id that is there: search finds one record.
    assert memory.recall.recall("quiet seat to Zurich").ids == [one.id]


def test_a_linked_record_names_the_other_and_goes_with_it(memory: Memory) -> None:
    [one, two] = written(memory, [Episode(TEXT), Episode(TEXT)], "link")
    assert (two.outcome, two.original) == (Outcome.LINKED, one.id)
    [record] = memory.store.get([two.id])
    assert record.provenance == Provenance("caller", "near-duplicate", (one.id,))
    assert memory.store.forget([one.id]) == 2


def test_kept_records_are_not_compared(memory: Memory) -> None:
    found = written(memory, [Episode(TEXT), Episode(TEXT)], "keep")
    assert [each.outcome for each in found] == [Outcome.STORED, Outcome.STORED]
    assert memory.store.count() == 2


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (Episode(TEXT), Episode(TEXT, tenant="other")),
        (Episode(TEXT), Fact(TEXT)),
        (Episode(TEXT, reward=1.0), Episode(TEXT, reward=0.0)),
        (Episode(TEXT, entities=("Ann",)), Episode(TEXT, entities=("Bo",))),
        (Fact(TEXT, valid_to=5.0), Fact(TEXT, valid_from=9.0)),
        (Trajectory("t", (), task=TEXT), Trajectory("t", (), task=TEXT)),
        (Pattern("t", TEXT, "x", ()), Pattern("t", TEXT, "x", ())),
    ],
)
def test_records_that_differ_beside_the_text_are_kept(memory: Memory, one: Record, two: Record) -> None:
    assert [each.outcome for each in written(memory, [one, two])] == [Outcome.STORED, Outcome.STORED]
    assert [each.outcome for each in written(memory, [Episode("x")])] == [Outcome.STORED]


def test_far_vectors_are_not_compared_however_alike_the_texts(memory: Memory) -> None:
    writer = NearDuplicates(memory.store, memory.index)
    rows = unit_vectors(2, 64)
    assert abs(rows[0] @ rows[1]) < 0.9
    found = writer.write([Episode(TEXT), Episode(TEXT)], rows)
    assert [each.outcome for each in found] == [Outcome.STORED, Outcome.STORED]


def test_thresholds_are_settable(memory: Memory) -> None:
    written(memory, [Episode("salt tofu fig kiwi")])
    [kept] = written(memory, [Episode("salt tofu kiwi")])
    [far] = written(memory, [Episode("salt tofu")], overlap=0.5)
    [merged] = written(memory, [Episode("salt")], cosine=0.3, overlap=0.4)
    assert [kept.outcome, far.outcome, merged.outcome] == [Outcome.STORED, Outcome.STORED, Outcome.MERGED]


def test_all_or_nothing_is_written(memory: Memory) -> None:
    [one] = written(memory, [Episode(TEXT)])
    broken = [Episode(TEXT), Episode("new"), Episode("bad", reward=float("nan"))]
    with pytest.raises(InvalidRecordError):
        written(memory, broken)
    [record] = memory.store.find()
    assert record.id == one.id
    assert "merged" not in record.metadata


def test_a_record_forgotten_in_the_same_transaction_is_no_original(memory: Memory) -> None:
    [one] = written(memory, [Episode(TEXT)])
    with memory.store.write():
        memory.store.forget([one.id])
        [two] = written(memory, [Episode(TEXT)])
    assert two.outcome is Outcome.STORED
    assert memory.store.ids().tolist() == [two.id]


@settings(max_examples=30, deadline=None)
@given(numbers=st.lists(st.integers(0, 6), max_size=14), block=st.integers(1, 5), split=st.integers(0, 14))
def test_one_record_stands_for_each_text(
    tmp_path_factory: pytest.TempPathFactory, numbers: list[int], block: int, split: int
) -> None:
    topics = ["kiwi", "salt", "train", "cake", "fence", "tax", "tea"]
    records = [Episode(f"{topics[number]} " * 3) for number in numbers]
    with opened(tmp_path_factory.mktemp("memory")) as memory, pytest.MonkeyPatch.context() as patch:
        patch.setattr(near_duplicates, "_BLOCK", block)
        found = [each for part in (records[:split], records[split:]) if part for each in written(memory, part)]
        by_id = {record.id: record for record in memory.store.find()}
    assert len(by_id) == len(set(numbers))
    for number, each in zip(numbers, found, strict=True):
        assert by_id[each.id].text == f"{topics[number]} " * 3
        assert by_id[each.id].metadata.get("merged", {}).get("occurrences", 1) == numbers.count(number)


@given(
    words=st.lists(st.sampled_from(["kiwi", "salt", "tea"]), max_size=5),
    others=st.lists(st.sampled_from(["kiwi", "salt", "tea"]), max_size=7),
)
def test_overlap_is_that_of_a_text_within_another(words: list[str], others: list[str]) -> None:
    within = any(list(each) == words for each in combinations(others, len(words)))
    expected = 2 * len(words) / (len(words) + len(others)) if within and words else 0
    assert overlap(f"The {' '.join(words).upper()}!", " and ".join(others)) == expected


def test_missing_vectors_are_not_compared_and_wrong_numbers_refused(memory: Memory) -> None:
    writer = NearDuplicates(memory.store, memory.index)
    assert [each.outcome for each in writer.write([Episode(TEXT), Episode(TEXT)], None)] == [Outcome.STORED] * 2
    assert writer.write([], np.empty((0, 64))) == []
    with pytest.raises(InvalidVectorError, match="1 vectors for 2 records"):
        writer.write([Episode("a"), Episode("b")], unit_vectors(1, 64))


@pytest.mark.parametrize(("cosine", "share"), [(0.0, 0.5), (1.5, 0.5), (0.5, 0.0), (0.5, 1.1)])
def test_impossible_thresholds_are_refused(memory: Memory, cosine: float, share: float) -> None:
    with pytest.raises(ValueError, match="cosine and overlap must be"):
        NearDuplicates(memory.store, memory.index, DuplicatePolicy.MERGE, cosine=cosine, overlap=share)
