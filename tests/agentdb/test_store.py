"""The store against what was put in, its files against SQLite's own checks, from one thread and from several."""

from __future__ import annotations

import math
import sqlite3
import subprocess
import sys
import threading
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lean_agentic.agentdb.errors import (
    InvalidRecordError,
    InvalidVectorError,
    StoreMismatchError,
    StoreUnavailableError,
    UnknownRecordError,
)
from lean_agentic.agentdb.filters import Filter
from lean_agentic.agentdb.records import (
    CausalLink,
    Episode,
    Fact,
    LinkKind,
    Pattern,
    Provenance,
    Record,
    Step,
    Trajectory,
)
from lean_agentic.agentdb.store import Store
from tests.agentdb.store_records import RECORDS, episodes, unit_vectors

ROOT = Path(__file__).parents[2]


@pytest.fixture
def store(tmp_path: Path) -> Any:
    with Store(tmp_path / "memory.db") as opened:
        yield opened
        assert opened.check() == []


def test_records_come_back_as_they_were(tmp_path: Path) -> None:
    with Store(tmp_path / "memory.db") as store:

        @given(st.lists(RECORDS, max_size=4))
        @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
        def check(records: list[Record]) -> None:
            ids = store.add(records)
            assert len(set(ids)) == len(records)
            assert store.get(ids) == [replace(each, id=i) for each, i in zip(records, ids, strict=True)]

        check()
        assert store.check() == []


def test_ids_named_by_records_come_back(store: Store) -> None:
    first, second, third = store.add(episodes(["one", "two", "three"]))
    made = Provenance("a test", "merged", (third, first), {"why": "because"})
    named: list[Record] = [
        Episode("later", cites=(second, first), provenance=made),
        Fact("known", sources=(first, third)),
        Trajectory("a.task", (Step({"x": 1}, "go"),), provenance=made),
        Pattern("a.task", "title", "content", ("go",), trajectories=(third, second), time=5.0),
    ]
    for record, back in zip(named, store.get(store.add(named)), strict=True):
        assert replace(back, id=0, time=record.time) == record


def test_ids_are_never_given_twice(store: Store) -> None:
    ids = store.add(episodes(["a", "b"]))
    store.forget(ids)
    assert store.add(episodes(["c"]))[0] > max(ids)


def test_time_is_that_of_storing_unless_given(store: Store) -> None:
    given, absent = store.get(store.add([Episode("a", time=5.0), Episode("b")]))
    assert given.time == 5.0
    assert absent.time is not None
    assert absent.time > 1.6e9


def test_an_empty_batch_stores_nothing(store: Store) -> None:
    assert store.add([]) == []
    assert store.add([], np.empty((0, 4), np.float32)) == []
    assert store.get([]) == []
    assert store.count() == 0
    assert store.dimensions is None


def test_a_batch_is_all_or_nothing(store: Store) -> None:
    with pytest.raises(UnknownRecordError, match=r"\[99\]"):
        store.add([Episode("fine"), Episode("not fine", cites=(99,))])
    with pytest.raises(InvalidRecordError, match="metadata"):
        store.add([Episode("fine"), Episode("not fine", metadata={"x": math.nan})])
    assert store.count() == 0


def test_a_huge_batch_is_stored_and_read(store: Store) -> None:
    ids = store.add(episodes([f"text {i}" for i in range(3000)]), unit_vectors(3000))
    many = np.tile(ids, 100)
    assert len(store.vectors(many)) == 300_000
    assert [record.id for record in store.get(ids)] == ids
    store.archive(ids)
    assert store.count() == 0
    assert store.forget(ids) == 3000


@pytest.mark.parametrize(
    ("record", "complaint"),
    [
        (Episode("x", metadata={"a": {"b": [1, math.inf]}}), r"metadata\['a'\]\['b'\]\[1\] must be a finite number"),
        (Episode("x", metadata={"a": np.int64(3)}), "numpy.int64, which JSON has not"),
        (Episode("x", metadata={3: "a"}), "keys must be strings"),  # type: ignore[dict-item]
        (Episode("x", metadata={"a": {1, 2}}), "set, which JSON has not"),
        (Episode("half \ud800 a pair"), "surrogate"),
        (Episode("x", metadata={"a": "\udc00"}), "metadata holds half a surrogate"),
        (Episode("x", time=math.nan), "time must be a finite number"),
        (Episode("x", reward=math.inf), "reward must be a finite number"),
        (Episode("x", tenant=""), "tenant must not be empty"),
        (Episode(5), "context must be a string"),  # type: ignore[arg-type]
        (Episode("x", provenance=Provenance("s", detail={"x": object()})), "provenance.*object"),
        (Fact("x", confidence=1.5), "confidence must be 0 to 1"),
        (Fact("x", valid_from=2.0, valid_to=2.0), "valid_to must come after valid_from"),
        (Trajectory("t", (Step({"a": math.nan}, "go"),)), "steps.*finite"),
        ("a text", "expected an Episode, Fact"),
        (Episode("x", id=3), "update them instead"),
    ],
)
def test_what_cannot_be_stored_is_refused(store: Store, record: Record, complaint: str) -> None:
    with pytest.raises(InvalidRecordError, match=complaint):
        store.add([record])
    assert store.count() == 0


def test_metadata_that_contain_themselves_are_refused(store: Store) -> None:
    loop: dict[str, Any] = {}
    loop["loop"] = loop
    with pytest.raises(InvalidRecordError, match="contains itself"):
        store.add([Episode("x", metadata=loop)])


def test_unknown_records_are_named(store: Store) -> None:
    known = store.add(episodes(["a"]), unit_vectors(1))
    for call in (store.get, store.archive, store.unarchive, store.vectors):
        with pytest.raises(UnknownRecordError, match=r"\[7, 9\]"):
            call([9, *known, 7])
    with pytest.raises(UnknownRecordError, match="9"):
        store.update(Episode("x", id=9))


def test_text_is_never_code(store: Store) -> None:
    nasty = "'; DROP TABLE records; --\" ') \x00 %_?"
    ids = store.add([Episode(nasty, tenant=nasty, session=nasty, entities=(nasty,), metadata={nasty: nasty})])
    for where in (
        Filter(tenant=nasty), Filter(session=nasty), Filter(entities=(nasty,)), Filter(where={nasty: nasty}),
    ):  # fmt: skip
        assert store.ids(where).tolist() == ids
    assert store.ids(Filter(where={"' OR 1=1 --": "x"})).tolist() == []


def test_vectors_come_back(store: Store) -> None:
    rows = unit_vectors(5)
    ids = store.add(episodes("abcde"), rows)
    bare = store.add(episodes(["none"]))
    np.testing.assert_array_equal(store.vectors(ids[::-1]), rows[::-1])
    np.testing.assert_array_equal(store.vectors(np.array([ids[1], ids[1]])), rows[[1, 1]])
    assert store.vectors([]).shape == (0, 4)
    assert store.has_vector([*ids, *bare, 99]).tolist() == [True] * 5 + [False] * 2


@pytest.mark.parametrize(
    "vectors", [np.full((1, 4), np.nan), np.zeros((1, 4)), np.ones((1, 4)), np.ones((1, 3)), np.eye(4), np.ones(4)]
)
def test_bad_vectors_are_refused(store: Store, vectors: Any) -> None:
    store.add(episodes(["first"]), unit_vectors(1))
    with pytest.raises(InvalidVectorError):
        store.add(episodes(["second"]), vectors)
    assert store.count() == 1


def test_update_replaces_what_is_there(store: Store) -> None:
    rows = unit_vectors(2)
    [record_id] = store.add([Episode("old", entities=("Ann",), metadata={"a": 1}, session="s")], rows[:1])
    before = store.get([record_id])[0]
    with pytest.raises(InvalidVectorError, match="text of record"):
        store.update(replace(before, context="new"))
    store.update(Episode("new", entities=("Bob",), metadata={"b": 2}, id=record_id), rows[1:])
    assert store.get([record_id]) == [
        Episode("new", entities=("Bob",), metadata={"b": 2}, time=before.time, id=record_id)
    ]
    assert store.count(Filter(entities=["ann"])) == store.count(Filter(where={"a": 1})) == 0
    assert store.count(Filter(entities=["bob"], where={"b": 2})) == 1
    np.testing.assert_array_equal(store.vectors([record_id]), rows[1:])
    with pytest.raises(InvalidRecordError, match="cannot become a fact"):
        store.update(Fact("no", id=record_id))


def test_touch_counts_and_dates(store: Store) -> None:
    first, second = store.add(episodes(["a", "b"]))
    store.touch([first, 999], 10.0)
    store.touch([first], 7.0)
    used, unused = store.get([first, second])
    assert (used.access_count, used.last_access) == (2, 10.0)
    assert (unused.access_count, unused.last_access) == (0, None)


def matching(store: Store, query: str) -> list[int]:
    with store.read() as connection:
        found = connection.execute("SELECT rowid FROM texts WHERE texts MATCH ? ORDER BY rowid", (query,)).fetchall()
    return [record_id for (record_id,) in found]


def test_full_text_follows_the_records(store: Store) -> None:
    first, second = store.add(episodes(["running foxes", "Café society"]))
    assert matching(store, "fox run") == [first]
    assert matching(store, "cafe") == [second]
    store.archive([first])
    assert matching(store, "fox") == []
    store.unarchive([first])
    assert matching(store, "fox") == [first]
    store.update(Episode("sleeping dogs", id=first))
    assert matching(store, "fox") == []
    assert matching(store, "dog") == [first]
    store.archive([first])
    store.update(Episode("lazy cats", id=first, archived=True))
    store.forget([second])
    assert matching(store, "cafe OR cats OR dog") == []


def test_links_are_kept_and_replaced(store: Store) -> None:
    a, b, c = store.add(episodes("abc"))
    links = [
        CausalLink(a, b, LinkKind.GIVEN, 1.0, 1.0, 1.0, {"by": "hand"}),
        CausalLink(b, c, LinkKind.ENTITY, 0.5, 0.2, 0.9),
        CausalLink(a, c, LinkKind.SIMILAR, 0.3, 0.1, 0.6),
    ]
    ids = store.add_links(links)
    assert store.links() == [replace(link, id=i) for link, i in zip(links, ids, strict=True)]
    assert [link.id for link in store.links(cause=a)] == [ids[0], ids[2]]
    assert [link.id for link in store.links(effect=[b, c], min_strength=0.4)] == ids[:2]
    assert [link.id for link in store.links(kinds=(LinkKind.ENTITY,))] == ids[1:2]
    assert store.links(cause=[]) == []
    again = replace(links[1], strength=0.6)
    assert store.add_links([again]) == ids[1:2]
    assert store.links(cause=b) == [replace(again, id=ids[1])]
    assert store.remove_links([ids[0], 99]) == 1
    assert len(store.links()) == 2


def test_impossible_links_are_refused(store: Store) -> None:
    a, b = store.add(episodes("ab"))
    good = CausalLink(a, b, LinkKind.GIVEN, 0.5, 0.4, 0.6)
    for bad in (
        replace(good, strength=0.7),
        replace(good, high=1.1),
        replace(good, low=math.nan),
        replace(good, effect=a),
    ):
        with pytest.raises(InvalidRecordError):
            store.add_links([good, bad])
    with pytest.raises(UnknownRecordError, match="99"):
        store.add_links([good, replace(good, effect=99)])
    assert store.links() == []


def test_several_writes_are_one(store: Store) -> None:
    def fail() -> None:
        with store.write():
            [record_id] = store.add(episodes(["gone"]))
            assert store.get([record_id])[0].text == "gone"
            with store.read(committed=True):
                assert store.count() == 0
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert store.count() == 0
    with store.write():
        store.add(episodes(["kept"]))
        with pytest.raises(UnknownRecordError):
            store.add([Episode("undone alone", cites=(99,))])
        store.add(episodes(["kept too"]))
    assert [record.text for record in store.find(order="id")] == ["kept", "kept too"]


def test_a_read_block_keeps_its_view(store: Store) -> None:
    with store.read():
        assert store.count() == 0
        store.add(episodes(["new"]))
        assert store.count() == 0
    assert store.count() == 1


def test_reading_cannot_write(store: Store) -> None:
    with store.read() as connection, pytest.raises(sqlite3.OperationalError, match="readonly"):
        connection.execute("DELETE FROM records")


def test_a_memory_is_found_again(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "folder" / "memory #1?.db"
    with Store(path, dimensions=4, embedding="a model") as store:
        ids = store.add(episodes(["kept"]), unit_vectors(1))
        database = store.database
    with Store(path) as store:
        assert store.get(ids)[0].text == "kept"
        assert (store.dimensions, store.embedding, store.database) == (4, "a model", database)
    with pytest.raises(StoreMismatchError, match="dimensions 4, not 5"):
        Store(path, dimensions=5)
    with pytest.raises(StoreMismatchError, match="embedding a model, not another"):
        Store(path, embedding="another")
    assert path.exists()


def test_the_first_vectors_settle_the_dimensions(store: Store) -> None:
    store.add(episodes(["a"]))
    assert store.dimensions is None
    with pytest.raises(InvalidVectorError):
        store.add(episodes(["b"]), np.full((1, 4), np.nan))
    assert store.dimensions is None
    store.add(episodes(["b"]), unit_vectors(1, 6))
    assert store.dimensions == 6


def test_a_closed_store_says_so(tmp_path: Path) -> None:
    store = Store(tmp_path / "memory.db")
    store.close()
    store.close()
    for call in (store.count, store.last_change, lambda: store.add(episodes(["a"]))):
        with pytest.raises(StoreUnavailableError, match="was closed"):
            call()


def test_check_finds_what_is_wrong(tmp_path: Path) -> None:
    with Store(tmp_path / "memory.db") as store:
        [record_id] = store.add(episodes(["a"]), unit_vectors(1))
        store.add([Episode("b", cites=(record_id,))])
    connection = sqlite3.connect(tmp_path / "memory.db")
    connection.execute("UPDATE vectors SET data = x'0011'")
    connection.execute("DELETE FROM texts_data WHERE id > 10")
    connection.execute("INSERT INTO links VALUES (1, 77, 78, 'given', 1, 1, 1, '{}')")
    connection.commit()
    connection.close()
    with Store(tmp_path / "memory.db") as store:
        complaints = "\n".join(store.check())
    assert "vector of record 1 has 2 bytes" in complaints
    assert "full text" in complaints
    assert "foreign key" in complaints


def test_batches_of_threads_do_not_mix(store: Store) -> None:
    given_ids: list[list[int]] = []

    def work(number: int) -> None:
        for turn in range(10):
            ids = store.add(episodes([f"{number} {turn}"] * 5, session=f"{number} {turn}"), unit_vectors(5))
            assert [record.text for record in store.get(ids)] == [f"{number} {turn}"] * 5
            store.touch(ids[:1])
            given_ids.append(ids)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(chain.from_iterable(given_ids)) == list(range(1, 201))
    assert all(ids == list(range(ids[0], ids[0] + 5)) for ids in given_ids)
    assert {store.count(Filter(session=f"{number} {turn}")) for number in range(4) for turn in range(10)} == {5}


WRITER = """
import sys
from lean_agentic.agentdb.records import Episode
from lean_agentic.agentdb.store import Store
with Store(sys.argv[1]) as store:
    for turn in range(25):
        ids = store.add([Episode(f"{sys.argv[2]} {turn} {place}", session=sys.argv[2]) for place in range(3)])
        print(*ids, flush=True)
"""


def test_processes_write_while_others_read(store: Store) -> None:
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(store.path), name], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        for name in "ab"
    ]
    while any(writer.poll() is None for writer in writers):
        with store.read():
            # One view: whole batches, and as many as it counts.
            records = store.find()
            assert len(records) % 3 == 0
            assert store.count() == len(records)
    said = [[int(number) for number in writer.communicate()[0].split()] for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0]
    for name, ids in zip("ab", said, strict=True):
        expected = [f"{name} {turn} {place}" for turn in range(25) for place in range(3)]
        assert [record.text for record in store.get(ids)] == expected
    assert store.count() == 150
