"""Entities named by queries: whole words, longest first, weighted by rarity, only what the filter lets through."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lean_agentic.agentdb import entity_match
from lean_agentic.agentdb.entity_match import about, mentions, newest_about
from lean_agentic.agentdb.filters import Filter
from lean_agentic.agentdb.records import Episode
from lean_agentic.agentdb.rows import fold
from lean_agentic.agentdb.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "memory.db")


def named(store: Store, query: str, where: Filter | None = None) -> list[str]:
    return [mention.entity for mention in mentions(store, query, where)]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("What did ANN say?", ["Ann"]),
        ("Ann's annual report", ["Ann"]),
        ("the annual report", []),
        ("From new   york to York", ["New York", "York"]),
        ("New York", ["New York"]),
        ("New Yorkers", []),
        ("is src/parse.py slower than parse.py()?", ["src/parse.py"]),
        ("C++ or C?", ["C++", "C"]),
        ("C#", ["C"]),
        ("über zürich?", ["ZÜRICH"]),
        ("ask O'Brien, please", ["O'Brien"]),
        ("", []),
    ],
)
def test_whole_words_are_found_whatever_their_case(store: Store, query: str, expected: list[str]) -> None:
    names = ["Ann", "New York", "York", "src/parse.py", "C++", "C", "ZÜRICH", "O'Brien"]
    store.add([Episode("x", entities=(name,)) for name in names])
    assert named(store, query) == expected


ALPHABET = ["ann", "bo", "new", "york", "x"]


@settings(max_examples=40, deadline=None)
@given(
    entities=st.lists(
        st.lists(st.sampled_from(ALPHABET), min_size=1, max_size=3).map(" ".join), max_size=6, unique=True
    ),
    query=st.lists(st.sampled_from([*ALPHABET, "annual", "the", ","]), max_size=8).map(" ".join),
)
def test_every_mention_is_there_and_none_outside_longer_ones_is_missed(entities: list[str], query: str) -> None:
    spans = {
        name: [match.span() for match in re.finditer(rf"(?<!\w)(?={re.escape(name)}(?!\w))", query)]
        for name in entities
    }
    found = entity_match._longest(
        {name: [(start, start + len(name)) for start, _ in places] for name, places in spans.items() if places}
    )
    assert set(found) <= {name for name, places in spans.items() if places}
    for name, places in spans.items():
        longer = [other for other in entities if len(other) > len(name) and f" {name} " in f" {other} "]
        if places and not longer and not any(_overlaps(name, other, query) for other in entities if other != name):
            assert name in found


def _overlaps(name: str, other: str, query: str) -> bool:
    spans = [
        [match.span() for match in re.finditer(rf"(?<!\w){re.escape(each)}(?!\w)", query)] for each in (name, other)
    ]
    return any(start < last and first < end for start, end in spans[0] for first, last in spans[1])


def test_rare_entities_weigh_more(store: Store) -> None:
    store.add([Episode("x", entities=("Ann",)) for _ in range(7)])
    store.add([Episode("y", entities=("Bo", "ann"))])
    ann, bo = mentions(store, "Ann and Bo")
    assert (ann.records, bo.records) == (8, 1)
    whole = math.log(1 + 8 / 8) + math.log(1 + 8 / 1)
    assert (ann.weight, bo.weight) == (pytest.approx(math.log(2) / whole), pytest.approx(math.log(9) / whole))
    assert [mention.weight for mention in mentions(store, "Bo?")] == [1]


def test_entities_that_the_filter_hides_are_not_named(store: Store) -> None:
    [mine, theirs] = store.add(
        [Episode("x", entities=("ANN",), tenant="a"), Episode("y", entities=("Ann",), tenant="b")]
    )
    assert named(store, "ann", Filter(tenant="a")) == ["ANN"]
    store.archive([mine])
    assert named(store, "ann", Filter(tenant="a")) == []
    store.forget([theirs])
    assert named(store, "ann") == []


def test_about_says_which_of_them_each_record_is_about(store: Store) -> None:
    ids = store.add(
        [Episode("x", entities=("Bo", "Ann")), Episode("y", entities=("BO",)), Episode("z", entities=("Cy",))]
    )
    found = mentions(store, "Ann met bo and Cy")
    named_by_id = {
        record_id: [each.entity for each in those] for record_id, those in about(store, found, ids[:2]).items()
    }
    assert [name.casefold() for name in named_by_id[ids[0]]] == ["ann", "bo"]
    assert [name.casefold() for name in named_by_id[ids[1]]] == ["bo"]
    assert set(named_by_id) == set(ids[:2])


def test_the_newest_about_rare_entities_come_in(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = store.add([Episode("x", entities=("Ann",), time=float(time)) for time in (5, 9, 7)])
    ids += store.add([Episode("y", entities=("Ann", "Bo"), time=8.0)])
    found = mentions(store, "ann and bo")
    assert newest_about(store, found, 3) == [ids[1], ids[3], ids[2]]
    assert newest_about(store, found, 3, Filter(before=8.0)) == [ids[2], ids[0]]
    monkeypatch.setattr(entity_match, "MOST_RECORDS", 3)
    assert newest_about(store, found, 3) == [ids[3]]


@settings(max_examples=25, deadline=None)
@given(query=st.text(max_size=60))
def test_any_text_may_name_entities(tmp_path_factory: pytest.TempPathFactory, query: str) -> None:
    with Store(tmp_path_factory.mktemp("memory") / "memory.db") as store:
        entity = " ".join(fold(query).split())
        if not entity or len(entity) > entity_match.LONGEST:
            return
        store.add([Episode("x", entities=(entity,))])
        assert [mention.folded for mention in mentions(store, query)] == [fold(entity)]
