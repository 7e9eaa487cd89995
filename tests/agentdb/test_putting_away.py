from __future__ import annotations

from pathlib import Path

from lean_agentic.agentdb import consolidation_tables as tables
from lean_agentic.agentdb.consolidation_policy import ConsolidationPolicy, Removal
from lean_agentic.agentdb.consolidation_tables import Group
from lean_agentic.agentdb.decay import DAY
from lean_agentic.agentdb.filters import Filter
from lean_agentic.agentdb.putting_away import AT_ONCE, archive_weak, delete_weak
from lean_agentic.agentdb.records import Fact, Kind
from lean_agentic.agentdb.store import Store
from tests.agentdb.consolidation_data import memory, say

ARCHIVE = ConsolidationPolicy()
DELETE = ConsolidationPolicy(removal=Removal.DELETE)


def stand_for(store: Store, ids: list[int]) -> int:
    """Store a fact that stands for episodes, as consolidation would."""
    (fact,) = store.add([Fact("all of it", sources=tuple(ids))])
    with store.write() as connection:
        tables.store_plan(connection, "policy", ids, [Group(tuple(ids))])
        (group,) = tables.planned(connection)
        tables.finish(connection, group, fact, ids)
    return fact


def test_only_what_a_fact_in_use_stands_for(tmp_path: Path) -> None:
    with memory(tmp_path) as (store, _):
        tables.make_tables(store)
        say(store, "red", "red", "green")
        fact = stand_for(store, [1, 2])
        store.archive([fact])
        assert archive_weak(store, ARCHIVE, 100 * DAY) == 0
        store.unarchive([fact])
        assert archive_weak(store, ARCHIVE, 100 * DAY, among=[2, 3]) == 1
        assert archive_weak(store, ARCHIVE, 100 * DAY) == 1
        assert store.ids(Filter(archived=True)).tolist() == [1, 2]


def test_more_than_are_put_away_at_once(tmp_path: Path) -> None:
    with memory(tmp_path) as (store, _):
        tables.make_tables(store)
        ids = say(store, *["red"] * (2 * AT_ONCE + 3))
        stand_for(store, ids)
        assert archive_weak(store, DELETE, 1000 * DAY) == len(ids)
        assert delete_weak(store, DELETE, 1000 * DAY) == len(ids) - 1
        assert store.ids(Filter(archived=None, kinds=[Kind.EPISODE])).tolist() == [ids[0]]


def test_what_others_archived_is_not_deleted(tmp_path: Path) -> None:
    with memory(tmp_path) as (store, _):
        tables.make_tables(store)
        stand_for(store, say(store, "red", "red", "red"))
        store.archive([2, 3])
        assert delete_weak(store, DELETE, 1000 * DAY) == 0


def test_the_first_source_that_is_left_stays(tmp_path: Path) -> None:
    with memory(tmp_path) as (store, _):
        tables.make_tables(store)
        fact = stand_for(store, say(store, "red", "red", "red"))
        archive_weak(store, DELETE, 1000 * DAY)
        store.forget([1])
        assert delete_weak(store, DELETE, 1000 * DAY) == 1
        assert store.get([fact])[0].sources == (2,)  # type: ignore[union-attr]


def test_archiving_deletes_nothing(tmp_path: Path) -> None:
    with memory(tmp_path) as (store, _):
        tables.make_tables(store)
        stand_for(store, say(store, "red", "red"))
        archive_weak(store, ARCHIVE, 1e9)
        assert delete_weak(store, ARCHIVE, 1e9) == 0
