"""Links between records, found by any mixture of conditions, against Python over all of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lean_agentic.agentdb.filters import Filter
from lean_agentic.agentdb.records import CausalLink, LinkKind
from lean_agentic.agentdb.store import Store
from tests.agentdb.store_records import episodes

ENDS = st.none() | st.integers(1, 4) | st.lists(st.integers(1, 9), max_size=3)
KINDS = st.none() | st.sampled_from(LinkKind) | st.lists(st.sampled_from(LinkKind), max_size=2)


@st.composite
def links(draw: Any) -> CausalLink:
    cause, effect = draw(st.permutations([0, 1, 2, 3]))[:2]
    low, strength, high = sorted(draw(st.lists(st.sampled_from([0, 0.25, 0.5, 1]), min_size=3, max_size=3)))
    evidence = draw(st.dictionaries(st.sampled_from(["seconds", "shared"]), st.integers(0, 9)))
    return CausalLink(cause, effect, draw(st.sampled_from(LinkKind)), strength, low, high, evidence)


def among(value: Any, wanted: Any) -> bool:
    return wanted is None or value in (wanted if isinstance(wanted, list) else [wanted])


def test_links_are_found_by_all_conditions(tmp_path: Path) -> None:
    with Store(tmp_path / "memory.db") as store:

        @given(st.lists(links(), max_size=8), ENDS, ENDS, KINDS, st.sampled_from([0.0, 0.3, 0.5]))
        @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
        def check(given_links: list[CausalLink], cause: Any, effect: Any, kinds: Any, strength: float) -> None:
            store.forget(Filter(everything=True))
            ids = store.add(episodes("abcd"))
            there = [replace(link, cause=ids[link.cause], effect=ids[link.effect]) for link in given_links]
            numbers = store.add_links(there)
            # A later link replaces an earlier one of the same cause, effect and kind, under its id.
            expected = {number: replace(link, id=number) for number, link in zip(numbers, there, strict=True)}
            assert len(expected) == len({(link.cause, link.effect, link.kind) for link in there})
            assert store.links() == [expected[number] for number in sorted(expected)]
            offset = ids[0] - 1
            cause, effect = (
                [value + offset for value in ends] if isinstance(ends, list) else ends and ends + offset
                for ends in (cause, effect)
            )
            assert store.links(cause, effect, kinds, strength) == [
                expected[number]
                for number in sorted(expected)
                if among(expected[number].cause, cause)
                and among(expected[number].effect, effect)
                and among(expected[number].kind, kinds)
                and expected[number].strength >= strength
            ]
            assert store.remove_links(numbers) == len(expected)

        check()


def test_the_links_of_a_record_are_found_by_an_index(tmp_path: Path) -> None:
    with Store(tmp_path / "memory.db") as store, store.read() as connection:
        for column, index in (("cause", "sqlite_autoindex_links_1"), ("effect", "links_effect")):
            where = f"strength >= 0 AND {column} IN (SELECT value FROM json_each('[1]'))"
            plan = connection.execute(f"EXPLAIN QUERY PLAN SELECT id FROM links WHERE {where}").fetchall()
            assert index in plan[0][3]
