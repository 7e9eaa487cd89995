"""The log of changes: an index that replays it from any watermark ends where the store is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lean_agentic.agentdb import change_log
from lean_agentic.agentdb.filters import Filter
from lean_agentic.agentdb.records import Episode, Fact
from lean_agentic.agentdb.store import Store
from tests.agentdb.store_records import episodes, unit_vectors


@pytest.fixture
def store(tmp_path: Path) -> Any:
    with Store(tmp_path / "memory.db") as opened:
        yield opened


def live(store: Store) -> dict[int, bytes]:
    """Ids in use that have vectors, and those."""
    ids = store.ids()
    ids = ids[store.has_vector(ids)]
    return {int(i): row.tobytes() for i, row in zip(ids, store.vectors(ids), strict=True)}


class Follower:
    """What a vector index does, in a dict."""

    def __init__(self) -> None:
        self.watermark = 0
        self.rows: dict[int, bytes] = {}

    def follow(self, store: Store, limit: int) -> None:
        while changes := store.changes_since(self.watermark, limit):
            assert [change.seq for change in changes] == sorted(change.seq for change in changes)
            for change in changes:
                self.rows.pop(change.record_id, None)
                if change.live:
                    self.rows[change.record_id] = store.vectors([change.record_id])[0].tobytes()
            self.watermark = changes[-1].seq


ACTIONS = st.sampled_from(
    ["add", "add", "bare", "archive", "unarchive", "forget", "update", "vector", "undone", "follow"]
)


def act(store: Store, action: str, seed: int) -> None:
    ids = store.ids(Filter(archived=None)).tolist()
    some = ids[seed % 2 :: 2]
    match action:
        case "add":
            store.add(episodes(["e"] * 3), unit_vectors(3, seed=seed))
        case "bare":
            store.add([Episode("e"), Fact("f", sources=tuple(ids[:1])), Episode("old", archived=True)])
        case "archive":
            store.archive(some)
        case "unarchive":
            store.unarchive(some)
        case "forget":
            store.forget(some)
        case "update" if ids and isinstance(record := store.get(ids[:1])[0], Episode):
            store.update(Episode(record.context, session="s", id=record.id, archived=bool(seed % 2)))
        case "vector" if ids and isinstance(store.get(ids[-1:])[0], Episode):
            store.update(Episode("e", id=ids[-1]), unit_vectors(1, seed=seed))
        case "undone":
            undo(store)


def undo(store: Store) -> None:
    try:
        with store.write():
            store.add(episodes("ab"), unit_vectors(2))
            store.forget(Filter(everything=True))
            raise KeyError
    except KeyError:
        pass


def test_replaying_leads_to_the_store_from_anywhere(store: Store) -> None:
    @given(st.lists(st.tuples(ACTIONS, st.integers(0, 1000)), max_size=15), st.integers(1, 5))
    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    def check(history: list[tuple[str, int]], limit: int) -> None:
        store.forget(Filter(everything=True))
        followers = [Follower()]
        for action, seed in history:
            if action == "follow":
                followers[-1].follow(store, limit)
                followers.append(Follower())
            act(store, action, seed)
        for follower in followers:
            follower.follow(store, limit)
            assert follower.rows == live(store)
            assert follower.watermark <= store.last_change()

    check()


def test_an_empty_index_needs_nothing_that_was_trimmed(store: Store) -> None:
    ids = store.add(episodes("abcd"), unit_vectors(4))
    store.forget(ids[:2])
    last = store.last_change()
    assert store.oldest_change() == 1
    assert store.trim_changes(10**9) == 2
    assert store.oldest_change() == last + 1
    assert store.last_change() == last
    assert store.trim_changes(3) == 0
    assert store.oldest_change() == last + 1
    follower = Follower()
    follower.follow(store, 10)
    assert follower.rows == live(store)


def test_trimming_stops_where_it_is_told(store: Store) -> None:
    ids = store.add(episodes("abcd"), unit_vectors(4))
    store.forget(ids[:1])
    store.forget(ids[1:2])
    assert [(change.seq, change.record_id) for change in store.changes_since(0)] == [(3, 3), (4, 4), (5, 1), (6, 2)]
    assert store.trim_changes(5) == 1
    assert store.oldest_change() == 6
    assert [change.record_id for change in store.changes_since(0)] == [3, 4, 2]


def test_numbers_are_never_given_twice(store: Store) -> None:
    ids = store.add(episodes("a"), unit_vectors(1))
    store.forget(ids)
    before = store.last_change()
    store.trim_changes(before)
    store.add(episodes("a"), unit_vectors(1))
    assert store.last_change() == before + 1


def test_one_record_is_one_line(store: Store) -> None:
    [record_id] = store.add(episodes("a"), unit_vectors(1))
    for _ in range(10):
        store.archive([record_id])
        store.unarchive([record_id])
    assert store.changes_since(0) == [(21, record_id, True)]


def test_use_is_no_change(store: Store) -> None:
    [record_id] = store.add(episodes("a"), unit_vectors(1))
    store.touch([record_id])
    store.archive([])
    store.unarchive([record_id])
    assert store.last_change() == 1


def test_snapshots_are_known_until_they_are_old(store: Store) -> None:
    with store.write() as connection:
        for number in range(change_log.KEPT_SNAPSHOTS + 5):
            change_log.note_snapshot(connection, f"token {number}", number)
    with store.read() as connection:
        assert not change_log.knows_snapshot(connection, "token 4")
        assert change_log.knows_snapshot(connection, "token 5")
        assert change_log.knows_snapshot(connection, f"token {change_log.KEPT_SNAPSHOTS + 4}")
        assert not change_log.knows_snapshot(connection, "")
