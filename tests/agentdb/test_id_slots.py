"""IdSlots against a dict."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lean_agentic.agentdb.id_slots import ABSENT, IdSlots

IDS = st.lists(st.integers(0, 60) | st.integers(0, 2**62), unique=True, max_size=20)


@given(steps=st.lists(st.tuples(st.booleans(), IDS), max_size=30))
@settings(max_examples=200, deadline=None)
def test_it_holds_what_a_dict_holds(steps: list[tuple[bool, list[int]]]) -> None:
    slots, expected, next_slot = IdSlots(), {}, 0
    for puts, chosen in steps:
        ids = np.array(chosen, np.int64)
        if puts:
            slots.put(ids, np.arange(next_slot, next_slot + len(ids)))
            expected.update(zip(chosen, range(next_slot, next_slot + len(ids)), strict=True))
            next_slot += len(ids)
        else:
            there = [key for key in chosen if key in expected]
            assert slots.remove(ids).tolist() == [expected.pop(key) for key in there]
        asked = np.array([*chosen, *expected, 7, 2**61], np.int64)
        assert slots.find(asked).tolist() == [expected.get(key, ABSENT) for key in asked.tolist()]
        found_ids, found_slots = slots.items()
        assert dict(zip(found_ids.tolist(), found_slots.tolist(), strict=True)) == expected
        assert found_ids.tolist() == sorted(expected)
        assert len(slots) == len(expected)
        assert (7 in slots) == (7 in expected)


def test_room_of_removed_ids_is_freed() -> None:
    slots = IdSlots()
    slots.put(np.arange(10_000), np.arange(10_000))
    slots.remove(np.arange(9_990))
    assert slots.nbytes() < 10_000
    assert slots.items()[0].tolist() == list(range(9_990, 10_000))


def test_it_takes_16_bytes_an_id() -> None:
    slots = IdSlots()
    for start in range(0, 100_000, 100):
        slots.put(np.arange(start, start + 100), np.arange(start, start + 100))
    assert slots.nbytes() <= 1.26 * 16 * 100_000
