"""BM25 against its formula, and queries that are any text."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lean_agentic.agentdb import text_search as module
from lean_agentic.agentdb.filters import Filter
from lean_agentic.agentdb.records import Episode
from lean_agentic.agentdb.store import Store
from lean_agentic.agentdb.text_search import MOST_TERMS, matching_terms, query_terms, split_words, text_search

# Words that are their own stems.
VOCABULARY = ["kiwi", "zebra", "x1", "salt", "tofu", "fig"]
DOCUMENTS = st.lists(st.lists(st.sampled_from(VOCABULARY), max_size=8).map(" ".join), min_size=1, max_size=12)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "memory.db")


def formula(documents: list[str], terms: list[str]) -> list[float]:
    """BM25 with k1 1.2 and b .75, as SQLite documents it."""
    split = [document.split() for document in documents]
    mean = sum(map(len, split)) / len(split)
    scores = [0.0] * len(split)
    for term in terms:
        having = sum(term in words for words in split)
        weight = max(math.log((len(split) - having + 0.5) / (having + 0.5)), 1e-6)
        for at, words in enumerate(split):
            count = words.count(term)
            scores[at] += weight * count * 2.2 / (count + 1.2 * (0.25 + 0.75 * len(words) / mean)) if count else 0.0
    return scores


@settings(max_examples=30, deadline=None)
@given(documents=DOCUMENTS, terms=st.lists(st.sampled_from(VOCABULARY), min_size=1, unique=True), k=st.integers(1, 5))
def test_scores_are_those_of_the_formula(documents: list[str], terms: list[str], k: int) -> None:
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder) / "memory.db") as store:
        ids = store.add([Episode(document or "-") for document in documents])
        found = text_search(store, " ".join(terms), k)
    expected = formula(documents, terms)
    order = sorted((-score, record_id) for score, record_id in zip(expected, ids, strict=True) if score > 0)[:k]
    assert len(found.ids) == len(order)
    np.testing.assert_allclose(found.scores, [-score for score, _ in order], rtol=1e-6)
    np.testing.assert_allclose([expected[each - ids[0]] for each in found.ids], found.scores, rtol=1e-6)


def test_stems_accents_and_case_match(store: Store) -> None:
    [adoption, cafe, other] = store.add([Episode("Researching adoption"), Episode("the CAFÉ"), Episode("nothing")])
    assert text_search(store, "who adopted?", 5).ids.tolist() == [adoption]
    assert text_search(store, "cafe", 5).ids.tolist() == [cafe]
    assert other not in text_search(store, "adopting cafés", 5).ids


@settings(max_examples=100, deadline=None)
@given(query=st.text(max_size=40) | st.text(alphabet="\"'()*:^-+ANDORNEAR{} \0abc", max_size=30))
def test_any_text_is_a_query(query: str) -> None:
    with _shared() as store:
        assert len(text_search(store, query, 3).ids) <= 1


_FOLDER = tempfile.TemporaryDirectory()


def _shared() -> Store:
    path = Path(_FOLDER.name) / "memory.db"
    new = not path.exists()
    store = Store(path)
    if new:
        store.add([Episode("AND or NEAR a b c")])
    return store


# Rare letters are folded and split differently by SQLite, whose Unicode is older than Python's.
LETTERS = st.characters(max_codepoint=0x17F) | st.sampled_from("\u0301\u0308αΩжЯ日本")


@settings(max_examples=30, deadline=None)
@given(text=st.text(LETTERS, max_size=30))
def test_the_index_sees_the_same_words(text: str) -> None:
    # A text is found by each of its own words.
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder) / "memory.db") as store:
        [record_id] = store.add([Episode(text or "-")])
        for word in split_words(text.lower().replace("\0", "")):
            assert matching_terms(store, [word], [record_id]) == {record_id: (word,)}


def test_only_what_passes_the_filter_is_found(store: Store) -> None:
    ids = store.add([Episode("salt", tenant=tenant) for tenant in ("a", "b", "a")])
    assert text_search(store, "salt", 5, Filter(tenant="a")).ids.tolist() == [ids[0], ids[2]]
    store.archive([ids[0]])
    assert text_search(store, "salt", 5, Filter(tenant="a")).ids.tolist() == [ids[2]]
    store.forget([ids[2]])
    assert text_search(store, "salt", 5, Filter(tenant="a")).ids.tolist() == []
    assert text_search(store, "salt", 0).ids.tolist() == []


def test_words_that_say_nothing_are_left_out_unless_alone() -> None:
    assert query_terms("What did Ann's brother do with the kiwi? The KIWI!") == ("ann", "brother", "kiwi")
    assert query_terms("Who are they?") == ("who", "are", "they")
    assert query_terms("?!") == ()
    assert len(query_terms(" ".join(f"w{number}" for number in range(500)))) == MOST_TERMS


def test_common_words_rank_and_do_not_choose(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["fig salt", "fig", "fig salt salt tofu", *(["salt"] * 40), "tofu salt"]
    ids = store.add([Episode(text) for text in texts])
    whole = text_search(store, "fig salt tofu", 3)
    before = {query: text_search(store, query, 30).ids.tolist() for query in ("fig salt", "nowhere salt")}
    monkeypatch.setattr(module, "MOST_MATCHES", 10)
    found = text_search(store, "fig salt tofu", 3)
    # `salt` is too common to choose; its weight still counts, so scores and order are those of the whole search.
    np.testing.assert_allclose(found.scores, whole.scores)
    assert found.ids.tolist() == whole.ids.tolist()
    assert set(text_search(store, "fig salt", 3).ids.tolist()) == set(ids[:3])
    # Where the rare ones choose too few, all choose.
    assert text_search(store, "fig salt", 30).ids.tolist() == before["fig salt"]
    assert text_search(store, "nowhere salt", 30).ids.tolist() == before["nowhere salt"]
    # What is rare in the store may be absent from the tenant.
    [mine] = store.add([Episode("salt", tenant="mine")])
    assert text_search(store, "fig salt", 1, Filter(tenant="mine")).ids.tolist() == [mine]


def test_matching_terms_names_the_words_of_each_record(store: Store) -> None:
    [one, two, three] = store.add([Episode("adopted figs"), Episode("salt"), Episode("tofu")])
    assert matching_terms(store, ("adoption", "fig", "salt"), [one, two, three]) == {
        one: ("adoption", "fig"),
        two: ("salt",),
    }
    assert matching_terms(store, ("tofu",), [one]) == {}
