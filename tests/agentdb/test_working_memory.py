from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lean_agentic.agentdb.filters import Filter
from lean_agentic.agentdb.records import Episode
from lean_agentic.agentdb.working_memory import Interaction, WorkingMemory, estimated_tokens
from tests.agentdb.consolidation_data import EMBEDDING, memory

SAID = st.lists(st.text(max_size=40), max_size=20)


def remembering(**options: Any) -> tuple[WorkingMemory, list[Episode]]:
    kept: list[Episode] = []
    return WorkingMemory(kept.extend, **options), kept


def tell(working: WorkingMemory, *texts: str) -> None:
    for at, text in enumerate(texts):
        working.add(Interaction("Ann", text, time=float(at)))


def test_the_oldest_goes_into_the_store(tmp_path: Path) -> None:
    with memory(tmp_path) as (store, _):
        working = WorkingMemory(
            lambda episodes: store.add(episodes, EMBEDDING.embed([each.text for each in episodes])),
            capacity=2, tenant="north", session="s",
        )  # fmt: skip
        tell(working, "one", "two", "three")
        (found,) = store.find(Filter(tenant="north", session="s"))
        assert isinstance(found, Episode)
        assert (found.text, found.time, found.provenance.source) == ("Ann: one", 0.0, "Ann")
        assert working.context() == "Ann: two\nAnn: three"
        working.close()
        assert [each.text for each in store.find()] == ["Ann: one", "Ann: two", "Ann: three"]
        assert len(working) == 0


@given(SAID, st.integers(1, 8), st.booleans())
def test_nothing_is_lost_or_stored_twice(texts: list[str], capacity: int, write_through: bool) -> None:
    working, kept = remembering(capacity=capacity, write_through=write_through)
    for count, text in enumerate(texts, 1):
        working.add(Interaction("", text))
        assert len(working) == min(count, capacity)
        assert len(kept) == (count if write_through else max(0, count - capacity))
    assert [each.text for each in working.interactions()] == texts[-capacity:]
    working.close()
    assert [each.context for each in kept] == texts


@given(SAID, st.integers(1, 60))
def test_the_context_is_the_longest_end_that_fits(texts: list[str], limit: int) -> None:
    working, _ = remembering(most_tokens=limit, count_tokens=len)
    for text in texts:
        working.add(Interaction("", text))
    context = working.context()
    assert len(context) <= limit
    ends = ["\n".join(texts[start:]) for start in range(len(texts) + 1)]
    fitting = max((end for end in ends if len(end) <= limit), key=len)
    if texts and len(texts[-1]) > limit:
        fitting = texts[-1][len(texts[-1]) - limit :]
    assert context == fitting


def test_the_caller_may_count_and_limit() -> None:
    working, _ = remembering(count_tokens=lambda text: len(text.split()))
    tell(working, "a b c", "d e")
    assert working.context(3) == "Ann: d e"
    assert working.context(7) == "Ann: a b c\nAnn: d e"
    assert working.context(0) == ""


def test_the_estimate() -> None:
    assert [estimated_tokens(text) for text in ("", "a", "abcd", "abcde", "日本", "aé")] == [0, 1, 1, 2, 2, 2]


def test_an_empty_memory_has_no_context() -> None:
    working, kept = remembering()
    assert working.context() == ""
    working.close()
    assert kept == []


def test_what_could_not_be_stored_is_held_until_it_can() -> None:
    kept: list[str] = []
    broken = [True]

    def keep(episodes: Sequence[Episode]) -> None:
        if broken[0]:
            raise OSError("disk full")
        kept.extend(each.context for each in episodes)

    working = WorkingMemory(keep, capacity=1)
    working.add(Interaction("", "one"))
    for text in ("two", "three"):
        with pytest.raises(OSError, match="disk full"):
            working.add(Interaction("", text))
    assert [each.text for each in working.interactions()] == ["one", "two", "three"]
    broken[0] = False
    working.add(Interaction("", "four"))
    assert kept == ["one", "two", "three"]
    assert [each.text for each in working.interactions()] == ["four"]


def test_flush_stores_and_keeps_the_context() -> None:
    working, kept = remembering()
    tell(working, "one", "two")
    working.flush()
    working.flush()
    assert [each.context for each in kept] == ["Ann: one", "Ann: two"]
    assert working.context() == "Ann: one\nAnn: two"
    assert repr(working) == "WorkingMemory(2 of 50 interactions, 2 stored already)"


def test_many_threads_lose_nothing() -> None:
    working, kept = remembering(capacity=5)

    def talk(name: str) -> None:
        for at in range(200):
            working.add(Interaction(name, str(at)))
            working.context()

    threads = [threading.Thread(target=talk, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    working.close()
    for name in "abcd":
        assert [each.context for each in kept if each.context[0] == name] == [f"{name}: {at}" for at in range(200)]


def test_limits_that_make_no_sense_are_refused() -> None:
    for options in ({"capacity": 0}, {"most_tokens": 0}):
        with pytest.raises(ValueError, match="1 or more"):
            remembering(**options)
