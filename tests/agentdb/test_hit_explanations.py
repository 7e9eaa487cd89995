"""Causal chains: the strongest causes, never in circles, never from the future or another tenant."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lean_agentic.agentdb.filters import Filter
from lean_agentic.agentdb.hit_explanations import LONGEST_CHAIN, causal_chains
from lean_agentic.agentdb.records import CausalLink, Episode, LinkKind
from lean_agentic.agentdb.store import Store

HERE = Filter(tenant="default")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "memory.db") as store:
        yield store


def link(cause: int, effect: int, strength: float = 0.5) -> CausalLink:
    return CausalLink(cause, effect, LinkKind.GIVEN, strength, 0.0, 1.0)


def chain(store: Store, record_id: int, where: Filter = HERE) -> list[tuple[int, int]]:
    with store.read() as connection:
        steps = causal_chains(connection, [record_id], where).get(record_id, ())
    return [(step.cause, step.effect) for step in steps]


def test_a_chain_leads_from_the_first_cause_by_the_strongest_links(store: Store) -> None:
    a, b, c, weak = store.add([Episode("x", time=float(at)) for at in range(4)])
    store.update(Episode("x", time=0.5, id=weak))
    store.add_links([link(a, b), link(b, c, 0.9), link(weak, c, 0.2)])
    assert chain(store, c) == [(a, b), (b, c)]
    assert chain(store, a) == []


def test_of_equal_links_the_oldest_is_taken(store: Store) -> None:
    a, b, c = store.add([Episode("x", time=1.0) for _ in range(3)])
    store.add_links([link(b, c), link(a, c)])
    assert chain(store, c) == [(b, c)]


def test_causes_are_not_later_and_of_the_same_tenant_and_time(store: Store) -> None:
    early, late, mine = store.add([Episode("x", time=time) for time in (1.0, 9.0, 5.0)])
    [theirs] = store.add([Episode("x", time=1.0, tenant="other")])
    store.add_links([link(late, mine, 0.9), link(theirs, mine, 0.8), link(early, mine, 0.1)])
    assert chain(store, mine) == [(early, mine)]
    assert chain(store, mine, Filter(tenant="default", as_of=0.5)) == []


def test_archived_causes_still_explain(store: Store) -> None:
    cause, effect = store.add([Episode("x", time=1.0), Episode("y", time=2.0)])
    store.add_links([link(cause, effect)])
    store.archive([cause])
    assert chain(store, effect) == [(cause, effect)]


@settings(max_examples=25, deadline=None)
@given(
    pairs=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)).filter(lambda pair: pair[0] != pair[1]), max_size=15)
)
def test_chains_end_and_never_meet_a_record_twice(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[int, int]]
) -> None:
    with Store(tmp_path_factory.mktemp("memory") / "memory.db") as store:
        ids = store.add([Episode("x", time=1.0) for _ in range(6)])
        store.add_links([link(ids[cause], ids[effect]) for cause, effect in pairs])
        for record_id in ids:
            steps = chain(store, record_id)
            assert len(steps) <= LONGEST_CHAIN
            assert len({cause for cause, _ in steps} | {record_id}) == len(steps) + 1
            assert [effect for _, effect in steps] == [*(cause for cause, _ in steps[1:]), record_id][: len(steps)]
            if len(steps) < LONGEST_CHAIN:
                # It ended because nothing leads on but into the circle.
                first = steps[0][0] if steps else record_id
                causes = {each.cause for each in store.links(effect=first)}
                assert not causes or causes & ({cause for cause, _ in steps} | {record_id})
