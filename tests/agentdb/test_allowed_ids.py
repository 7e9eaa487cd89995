"""Remembered answers to filters against fresh ones, through any history of changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lean_agentic.agentdb.allowed_ids as module
from lean_agentic.agentdb.allowed_ids import AllowedIds
from lean_agentic.agentdb.filters import Filter
from lean_agentic.agentdb.records import Episode, Kind
from lean_agentic.agentdb.store import Store
from tests.agentdb.store_records import unit_vectors

FILTERS = [
    Filter(tenant="a"), Filter(tenant="b", where={"n": 1}), Filter(kinds=[Kind.FACT]), Filter(archived=True),
    Filter(entities=["Ann"]), Filter(as_of=2.0), Filter(ids=[1, 2, 3, 5, 8]), Filter(everything=True),
]  # fmt: skip
ROW = unit_vectors(1)[0]


def change(store: Store, data: Any) -> None:
    """One random change of the store."""
    ids = store.ids(Filter(everything=True)).tolist()
    episode = st.builds(
        Episode, st.just("e"), tenant=st.sampled_from("ab"), time=st.sampled_from([1.0, 3.0]), archived=st.booleans(),
        metadata=st.sampled_from([{}, {"n": 1}]), entities=st.sampled_from([(), ("ann",)]),
    )  # fmt: skip
    if not ids or data.draw(st.booleans()):
        new = data.draw(st.lists(episode, max_size=3))
        store.add(new, np.tile(ROW, (len(new), 1)))
        return
    record_id = data.draw(st.sampled_from(ids))
    match data.draw(st.sampled_from(["forget", "archive", "unarchive", "update", "trim"])):
        case "forget":
            store.forget([record_id])
        case "archive":
            store.archive([record_id])
        case "unarchive":
            store.unarchive([record_id])
        case "update":
            store.update(
                data.draw(st.builds(Episode, st.just("e"), tenant=st.sampled_from("ab"), id=st.just(record_id)))
            )
        case "trim":
            store.trim_changes(store.last_change())


def test_answers_stay_those_of_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_CHANGES", 4)
    with Store(tmp_path / "memory.db") as store:

        @given(st.data())
        @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
        def check(data: Any) -> None:
            store.forget(Filter(everything=True))
            allowed = AllowedIds(store, most_ids=30)
            for _ in range(8):
                change(store, data)
                for where in data.draw(st.lists(st.sampled_from(FILTERS), max_size=3)):
                    np.testing.assert_array_equal(allowed.ids(where), store.ids(where))

        check()


def test_few_changes_are_looked_at_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Store(tmp_path / "memory.db") as store:
        store.add([Episode("e")] * 50, unit_vectors(50))
        allowed = AllowedIds(store)
        where = Filter(tenant="default")
        first = allowed.ids(where)
        assert allowed.ids(Filter(tenant="default")) is first
        store.add([Episode("e")], unit_vectors(1))
        asked: list[Filter | None] = []
        evaluate = store.ids
        monkeypatch.setattr(store, "ids", lambda where: asked.append(where) or evaluate(where))
        assert allowed.ids(where).tolist() == [*first.tolist(), 51]
        assert [each.ids for each in asked if each is not None] == [(51,)]


def test_what_is_not_committed_is_not_remembered(tmp_path: Path) -> None:
    with Store(tmp_path / "memory.db") as store:
        store.add([Episode("e")], unit_vectors(1))
        allowed = AllowedIds(store)
        with store.write():
            store.add([Episode("e")], unit_vectors(1))
            assert allowed.ids(Filter(tenant="default")).tolist() == [1]
        assert allowed.ids(Filter(tenant="default")).tolist() == [1, 2]


def test_memory_is_bounded(tmp_path: Path) -> None:
    with Store(tmp_path / "memory.db") as store:
        store.add([Episode("e")] * 10, unit_vectors(10))
        allowed = AllowedIds(store, most_ids=25)
        filters = [Filter(after=float(n)) for n in range(5)]
        answers = [allowed.ids(where) for where in filters]
        assert allowed.ids(filters[-1]) is answers[-1]
        assert allowed.ids(filters[0]) is not answers[0]
