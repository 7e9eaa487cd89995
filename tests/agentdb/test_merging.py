"""Merging keeps what both records say, and what was known when."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lean_agentic.agentdb.merging import can_merge, merged
from lean_agentic.agentdb.records import Episode, Fact, Provenance

TIMES = st.floats(0, 1e9)


def test_both_sides_are_kept() -> None:
    stored = Episode(
        "a",
        entities=("Ann", "Bo"),
        time=10.0,
        metadata={"x": 1, "y": 1},
        access_count=2,
        last_access=50.0,
        cites=(1,),
        id=9,
    )
    new = Episode(
        "A!", reward=0.5, entities=("BO", "Cy"), time=5.0, metadata={"y": 2, "z": 2}, access_count=3, last_access=40.0,
        cites=(9, 1, 2), session="other", provenance=Provenance("import"),
    )  # fmt: skip
    assert merged(stored, new) == replace(
        stored,
        reward=0.5,
        entities=("Ann", "Bo", "Cy"),
        time=5.0,
        metadata={"x": 1, "y": 1, "z": 2, "merged": {"occurrences": 2, "first_time": 5.0, "last_time": 10.0}},
        access_count=5,
        last_access=50.0,
        cites=(1, 2),
        provenance=Provenance("caller", detail={"also": [{"source": "import", "method": "given", "detail": {}}]}),
    )


@given(times=st.lists(TIMES, min_size=2, max_size=6))
def test_occurrences_add_up_in_any_grouping(times: list[float]) -> None:
    one_by_one = Episode("a", time=times[0])
    for time in times[1:]:
        one_by_one = merged(one_by_one, Episode("a", time=time))
    halves = [Episode("a", time=times[0]), Episode("a", time=times[-1])]
    for time in times[1:-1]:
        halves[1] = merged(halves[1], Episode("a", time=time))
    expected = {"occurrences": len(times), "first_time": min(times), "last_time": max(times)}
    assert one_by_one.metadata["merged"] == merged(*halves).metadata["merged"] == expected
    assert one_by_one.time == min(times)


def test_metadata_that_only_looks_merged_is_replaced() -> None:
    again = merged(Episode("a", time=1.0, metadata={"merged": "by hand"}), Episode("a", time=2.0))
    assert again.metadata["merged"]["occurrences"] == 2


def test_facts_keep_the_surer_confidence_and_all_sources() -> None:
    stored = Fact("a", 0.6, (1, 2), valid_from=5.0, valid_to=9.0, id=4)
    new = Fact("a", 0.8, (2, 3), valid_from=8.0)
    again = merged(stored, new)
    assert (again.confidence, again.sources, again.valid_from, again.valid_to) == (0.8, (1, 2, 3), 5.0, None)


def test_what_was_told_first_hand_names_no_records_it_would_go_with() -> None:
    derived = Fact("a", sources=(1, 2), provenance=Provenance("bank", "distilled", (1, 2)))
    told = Fact("a")
    for stored, new in ((told, derived), (derived, told)):
        again = merged(stored, new)
        assert again.sources == again.provenance.records == ()
    both = merged(derived, replace(derived, sources=(3,), provenance=Provenance("bank", "distilled", (3,))))
    assert both.sources == both.provenance.records == (1, 2, 3)


def test_a_provenance_is_kept_once() -> None:
    record = Episode("a")
    for _ in range(3):
        record = merged(record, Episode("a", provenance=Provenance("import", detail={"file": "x"})))
    assert record.provenance.detail == {"also": [{"source": "import", "method": "given", "detail": {"file": "x"}}]}


@pytest.mark.parametrize(
    ("stored", "new", "can"),
    [
        (Episode("a", reward=1.0), Episode("a", reward=1.0), True),
        (Episode("a", reward=1.0), Episode("a"), True),
        (Episode("a", reward=1.0), Episode("a", reward=0.0), False),
        (Fact("a"), Fact("a", valid_from=5.0), True),
        (Fact("a", valid_to=5.0), Fact("a", valid_from=5.0), True),
        (Fact("a", valid_to=5.0), Fact("a", valid_from=6.0), False),
        (Fact("a", valid_from=8.0), Fact("a", valid_from=1.0, valid_to=3.0), False),
        (Episode("a"), Fact("a"), False),
    ],
)
def test_what_contradicts_is_not_merged(stored: Episode | Fact, new: Episode | Fact, can: bool) -> None:
    assert can_merge(stored, new) is can
    assert can_merge(new, stored) is can
