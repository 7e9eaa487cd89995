"""Words weigh by what the tenant's own texts say: the formula again, and nothing that others store changes an order."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lean_agentic.agentdb import tenant_words
from lean_agentic.agentdb.filters import Filter
from lean_agentic.agentdb.records import Episode
from lean_agentic.agentdb.store import Store
from lean_agentic.agentdb.tenant_words import is_only_tenant
from lean_agentic.agentdb.text_search import text_search

# Words that are their own stems.
VOCABULARY = ["kiwi", "zebra", "salt", "tofu"]
TEXTS = st.lists(st.lists(st.sampled_from(VOCABULARY), min_size=1, max_size=6).map(" ".join), min_size=1, max_size=8)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "memory.db") as store:
        yield store


def formula(mine: list[str], theirs: list[str], terms: list[str]) -> list[float]:
    """BM25 of the tenant's texts: weights by them alone, mean length over all."""
    mean = sum(len(text.split()) for text in [*mine, *theirs]) / len([*mine, *theirs])
    scores = [0.0] * len(mine)
    for term in terms:
        having = sum(term in text.split() for text in mine)
        weight = max(math.log((len(mine) - having + 0.5) / (having + 0.5)), 1e-6)
        for at, text in enumerate(mine):
            count, length = text.split().count(term), len(text.split())
            scores[at] += weight * count * 2.2 / (count + 1.2 * (0.25 + 0.75 * length / mean)) if count else 0
    return scores


@settings(max_examples=25, deadline=None)
@given(mine=TEXTS, theirs=TEXTS, terms=st.lists(st.sampled_from(VOCABULARY), min_size=1, unique=True))
def test_scores_are_those_of_the_formula(mine: list[str], theirs: list[str], terms: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder) / "memory.db") as store:
        ids = store.add([Episode(text, tenant="mine") for text in mine])
        store.add([Episode(text, tenant="theirs") for text in theirs])
        found = text_search(store, " ".join(terms), 9, Filter(tenant="mine"))
    expected = {record_id: score for record_id, score in zip(ids, formula(mine, theirs, terms), strict=True) if score}
    assert set(found.ids.tolist()) == set(expected)
    np.testing.assert_allclose(found.scores, [expected[each] for each in found.ids.tolist()], rtol=1e-5)
    assert (np.diff(found.scores) <= 0).all()


def test_what_others_store_does_not_change_the_order(store: Store) -> None:
    # `salt` is rare here: it decides. The other tenant speaks of nothing else.
    ids = store.add([Episode(text, tenant="mine") for text in ["salt x", *["kiwi x"] * 3, *["y x"] * 9]])
    alone = text_search(store, "salt kiwi", 4, Filter(tenant="mine")).ids.tolist()
    assert is_only_tenant_of(store)
    store.add([Episode("salt z", tenant="theirs") for _ in range(50)])
    assert not is_only_tenant_of(store)
    assert text_search(store, "salt kiwi", 4, Filter(tenant="mine")).ids.tolist() == alone == ids[:4]
    assert text_search(store, "kiwi salt", 1, Filter(tenant="theirs")).scores[0] > 0


@pytest.mark.parametrize("share", [2, 4])
def test_words_that_all_texts_have_weigh_next_to_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch, share: int
) -> None:
    monkeypatch.setattr(tenant_words, "MOST_SEEN", 3)
    ids = store.add([Episode("salt", tenant="mine" if at % share else "theirs") for at in range(60)])
    found = text_search(store, "salt", 5, Filter(tenant="mine"))
    assert found.ids.tolist() == [record_id for at, record_id in enumerate(ids) if at % share][:5]
    assert (found.scores > 0).all()


def is_only_tenant_of(store: Store) -> bool:
    with store.read() as connection:
        return is_only_tenant(connection)


def test_an_empty_store_has_one_tenant_at_most(store: Store) -> None:
    # NULL is not equal to NULL in SQL; it is here.
    assert is_only_tenant_of(store)


def test_the_share_of_common_words_is_estimated(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    # Every fourth text with the word is the tenant's.
    texts = [("mine", "salt x"), ("theirs", "salt x"), ("mine", "fig x"), ("theirs", "salt x"), ("theirs", "salt x")]
    tenants, words = zip(*texts * 400, strict=True)
    store.add([Episode(text, tenant=tenant) for tenant, text in zip(tenants, words, strict=True)])
    with store.read() as connection:
        assert tenant_words._own(connection, '"salt"', 0, "mine") == 0
        monkeypatch.setattr(tenant_words, "MOST_SEEN", 1600)
        assert tenant_words._own(connection, '"salt"', 1600, "mine") == 400
        monkeypatch.setattr(tenant_words, "MOST_SEEN", 200)
        estimated = tenant_words._own(connection, '"salt"', 1600, "mine")
    assert estimated == pytest.approx(400, abs=120)
