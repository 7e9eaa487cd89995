"""Evidence: neighbours in session and causal graph against brute force, and nothing that the filter hides."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lean_agentic.agentdb import candidates as module
from lean_agentic.agentdb.candidates import AFTER, BEFORE, Candidates, Query, gather
from lean_agentic.agentdb.filters import Filter
from lean_agentic.agentdb.ranking import Weights
from lean_agentic.agentdb.records import CausalLink, Episode, Fact, LinkKind, Record, Trajectory
from lean_agentic.agentdb.store import Store
from tests.agentdb.store_records import unit_vectors

NOW = 1_700_000_000.0
HERE = Filter(tenant="default")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "memory.db") as store:
        yield store


def gathered(
    store: Store, text: str, ids: list[int] | None = None, where: Filter = HERE, weights: Weights | None = None
) -> Candidates:
    similar = np.array(ids or [], np.int64)
    cosines = np.linspace(0.9, 0.5, len(similar)).astype(np.float32)
    return gather(store, Query(text, where, NOW), similar, cosines, 20, weights or Weights())


def loans(found: Candidates) -> dict[tuple[int, int], tuple[float, str]]:
    """(borrower, lender) to share and relation, by ids."""
    ids, known = found.evidence.ids, found.evidence.loans
    rows = zip(known.borrower, known.lender, known.share, found.relations, strict=True)
    return {(int(ids[to]), int(ids[by])): (float(share), relation) for to, by, share, relation in rows}


def test_neighbours_are_those_of_brute_force(store: Store) -> None:
    rng = random.Random(5)
    records: list[Record] = [
        Episode(
            "salt",
            session=rng.choice(["", "a", "b"]),
            time=float(rng.randrange(4)),
            tenant=rng.choice(["default", "t"]),
        )
        for _ in range(40)
    ] + [Fact("salt", session="a", time=2.0), Trajectory("salt", (), session="a", time=2.0)]
    ids = store.add(records)
    store.archive(ids[3:6])
    weights = Weights(before=(0.5, 0.4, 0.1), after=(0.3,))
    found = gathered(store, "nothing", ids, weights=weights)
    live = store.find(Filter(tenant="default"), order="time")
    expected = {}

    def row(record: Record) -> str:
        """Facts stand in the row of the episodes whose place they take."""
        return "trajectory" if isinstance(record, Trajectory) else "memory"

    for record in live:
        mates = [each.id for each in live if each.session == record.session != "" and row(each) == row(record)]
        for offset, share in [(1, 0.3), (-1, 0.5), (-2, 0.4), (-3, 0.1)]:
            at = mates.index(record.id) + offset if record.id in mates else -1
            if 0 <= at < len(mates):
                expected[record.id, mates[at]] = (share, AFTER if offset > 0 else BEFORE)
    assert loans(found) == expected


def test_neighbours_of_hits_become_candidates(store: Store) -> None:
    texts = ["a", "b", "kiwi", "d", "e", "f"]
    ids = store.add([Episode(text, session="s", time=float(at)) for at, text in enumerate(texts)])
    found = gathered(store, "kiwi")
    # Two before and two after the hit.
    assert found.evidence.ids.tolist() == ids[:5]
    assert found.evidence.text.nonzero()[0].tolist() == [2]
    assert loans(found) == {
        (ids[3], ids[2]): (0.45, BEFORE),
        (ids[4], ids[2]): (0.4, BEFORE),
        (ids[1], ids[2]): (0.25, AFTER),
        (ids[0], ids[2]): (0.2, AFTER),
    }


def test_links_lend_by_strength_and_sequences_are_left_to_the_session(store: Store) -> None:
    cause, hit, effect, other = store.add([Episode("c"), Episode("kiwi"), Episode("e"), Episode("o")])
    store.add_links(
        [
            CausalLink(cause, hit, LinkKind.GIVEN, 0.5, 0.4, 0.6),
            CausalLink(hit, effect, LinkKind.ENTITY, 0.2, 0.1, 0.3),
            CausalLink(hit, effect, LinkKind.SIMILAR, 0.8, 0.7, 0.9),
            CausalLink(hit, other, LinkKind.SEQUENCE, 1.0, 1.0, 1.0),
        ]
    )
    assert loans(gathered(store, "kiwi")) == {
        (cause, hit): (pytest.approx(0.25 * 0.5), "given"),
        (effect, hit): (pytest.approx(0.45 * 0.8), "similar"),
    }


def test_the_larger_of_two_loans_counts(store: Store) -> None:
    first, second = store.add([Episode("kiwi", session="s", time=1.0), Episode("x", session="s", time=2.0)])
    store.add_links([CausalLink(first, second, LinkKind.GIVEN, 0.1, 0.0, 0.2)])
    assert loans(gathered(store, "kiwi"))[second, first] == (0.45, BEFORE)
    store.add_links([CausalLink(first, second, LinkKind.GIVEN, 1.0, 1.0, 1.0)])
    stronger = gathered(store, "kiwi", weights=Weights(cause=0.9))
    assert loans(stronger)[second, first] == (0.9, "given")


@pytest.mark.parametrize(
    ("where", "kept"),
    [
        (Filter(tenant="default"), [0, 1, 2, 3]),
        (Filter(tenant="default", before=3.0), [0, 1, 2]),
        (Filter(tenant="default", as_of=1.0), [0, 1]),
        (Filter(tenant="default", kinds=["episode"], session="s"), [0, 1, 2, 3]),
        (Filter(tenant="other"), [4]),
        (Filter(tenant="default", entities=["Ann"]), [1]),
    ],
)
def test_nothing_that_the_filter_hides_is_a_candidate(store: Store, where: Filter, kept: list[int]) -> None:
    records = [Episode("kiwi", session="s", time=float(at), entities=("Ann",) if at == 1 else ()) for at in range(4)]
    ids = store.add([*records, Episode("kiwi", session="s", time=1.0, tenant="other", entities=("Ann",))])
    store.add_links([CausalLink(ids[0], ids[4], LinkKind.GIVEN, 1.0, 1.0, 1.0)])
    # The index may still name what the filter hides.
    found = gathered(store, "kiwi of Ann", ids, where)
    assert found.evidence.ids.tolist() == [ids[at] for at in kept]
    places = range(len(kept))
    assert set(found.evidence.loans.borrower) <= set(places)
    assert set(found.evidence.loans.lender) <= set(places)


def test_ids_of_the_filter_hold(store: Store) -> None:
    ids = store.add([Episode("kiwi", session="s", time=float(at)) for at in range(5)])
    assert gathered(store, "kiwi", ids, Filter(tenant="default", ids=ids[1:3])).evidence.ids.tolist() == ids[1:3]


def test_what_was_forgotten_meanwhile_is_left_out(store: Store) -> None:
    ids = store.add([Episode("kiwi", session="s", time=float(at)) for at in range(3)])
    store.forget([ids[1]])
    assert gathered(store, "kiwi", ids).evidence.ids.tolist() == [ids[0], ids[2]]


def test_columns_say_what_the_store_says(store: Store) -> None:
    merged = {"merged": {"occurrences": 2, "first_time": NOW - 50.0, "last_time": NOW - 20.0}}
    ids = store.add(
        [
            Episode("kiwi salt", time=NOW - 100.0, session="s", entities=("Ann",), access_count=3),
            Episode("x", time=NOW - 50.0, session="s", metadata=merged),
            Episode("y", time=NOW - 50.0, metadata={"merged": {"last_time": NOW + 5.0}}),
            Episode("z", time=NOW - 50.0, metadata={"merged": "by hand"}),
        ],
        unit_vectors(4),
    )
    found = gathered(store, "Ann's kiwi yesterday", ids[1:])
    evidence = found.evidence
    assert evidence.ids.tolist() == ids
    # Merged records are as old as their last time, unless that is still to come.
    assert evidence.age.tolist() == [100, 20, 50, 50]
    assert evidence.uses.tolist() == [3, 0, 0, 0]
    assert evidence.session.tolist() == [0, 0, -1, -1]
    assert evidence.entities.tolist() == [1, 0, 0, 0]
    assert np.isnan(evidence.similarity[0])
    np.testing.assert_allclose(evidence.similarity[1:], [0.9, 0.7, 0.5], rtol=1e-6)
    assert found.terms == ("ann", "kiwi", "yesterday")
    assert [mention.text for mention in found.times] == ["yesterday"]
    assert (evidence.time > 0.5).all()


def test_a_name_that_is_also_a_month_is_a_name(store: Store) -> None:
    store.add([Episode("April was here", entities=("April",), time=NOW)])
    assert gathered(store, "What did April say?").times == ()
    assert [each.text for each in gathered(store, "What did April say in June?").times] == ["June"]


def test_the_newest_about_a_named_entity_are_candidates(store: Store) -> None:
    ids = store.add([Episode("tea", entities=("Ann",), time=float(at)) for at in range(30)])
    assert gathered(store, "Ann?").evidence.ids.tolist() == ids[-20:]


def test_links_are_bounded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    hub, *effects = store.add([Episode("kiwi"), *(Episode("e") for _ in range(6))])
    strengths = [0.1 * each for each in range(1, 7)]
    store.add_links([CausalLink(hub, to, LinkKind.GIVEN, s, 0, 1) for to, s in zip(effects, strengths, strict=True)])
    monkeypatch.setattr(module, "MOST_LINKS", 2)
    assert {borrower for borrower, _ in loans(gathered(store, "kiwi"))} == set(effects[-2:])
