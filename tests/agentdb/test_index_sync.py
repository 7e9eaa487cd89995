"""The synchronised index against brute force over the store, through changes by this process and by others."""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lean_agentic.agentdb.errors import StoreUnavailableError
from lean_agentic.agentdb.filters import Filter
from lean_agentic.agentdb.index_sync import IndexFactory, IndexSync
from lean_agentic.agentdb.records import Episode
from lean_agentic.agentdb.store import Store
from lean_agentic.agentdb.vector_index import Vectors, unit_rows
from tests.agentdb.exact_index import FILE, ExactIndex
from tests.agentdb.store_records import episodes, unit_vectors

EXACT = IndexFactory(ExactIndex, ExactIndex.load)
ROOT = Path(__file__).parents[2]
QUERIES = unit_vectors(3, seed=99)


def nearest(store: Store, queries: Vectors, k: int, where: Filter | None = None) -> list[list[int]]:
    """Brute force over what the database file says."""
    ids = [record.id for record in store.find(where, order="id") if not record.archived]
    ids = [record_id for record_id, has in zip(ids, store.has_vector(ids), strict=True) if has]
    similarities = queries @ store.vectors(ids).T if ids else np.empty((len(queries), 0))
    return [[ids[place] for place in np.argsort(-row, kind="stable")[:k]] for row in similarities]


def found(sync: IndexSync, k: int = 5, where: Filter | None = None) -> list[list[int]]:
    return [row.tolist() for row in sync.search(QUERIES, k, where).ids]


@pytest.fixture
def store(tmp_path: Path) -> Any:
    with Store(tmp_path / "memory.db") as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "index"


def test_search_is_brute_force_through_any_history(store: Store, tmp_path: Path) -> None:
    where = st.sampled_from([None, Filter(), Filter(tenant="a"), Filter(ids=[2, 3, 4]), Filter(archived=None)])
    actions = st.sampled_from(
        ["add", "add", "archive", "unarchive", "forget", "update", "save", "reopen", "rebuild", "trim"]
    )

    @given(st.lists(st.tuples(actions, st.integers(0, 10**6), where), min_size=3, max_size=12))
    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    def check(history: list[tuple[str, int, Filter | None]]) -> None:
        folder = tmp_path / "index"
        shutil.rmtree(folder, ignore_errors=True)
        store.forget(Filter(everything=True))
        sync = IndexSync(store, EXACT, folder)
        for action, seed, each in history:
            sync = act(store, sync, folder, action, seed)
            assert found(sync, 5, each) == nearest(store, QUERIES, 5, each)
            assert sync.index is None or sync.index.watermark == store.last_change()
        sync.close()

    check()


def act(store: Store, sync: IndexSync, folder: Path, action: str, seed: int) -> IndexSync:
    ids = store.ids(Filter(archived=None)).tolist()
    some = ids[seed % 3 :: 3]
    match action:
        case "add":
            n = 1 + seed % 4
            store.add(episodes(["e"] * n, tenant="ab"[seed % 2]), unit_vectors(n, seed=seed))
        case "archive":
            store.archive(some)
        case "unarchive":
            store.unarchive(some)
        case "forget":
            store.forget(some)
        case "update" if some:
            store.update(Episode("e", id=some[0], tenant="b"), unit_vectors(1, seed=seed))
        case "trim":
            store.trim_changes(seed % (store.last_change() + 1))
        case "save":
            sync.save()
        case "rebuild":
            assert sync.rebuild() == len(nearest(store, QUERIES[:1], 10**6)[0])
        case "reopen":
            if seed % 2:
                sync.close()
            return IndexSync(store, EXACT, folder)
    return sync


def test_no_vectors_no_hits(store: Store, folder: Path) -> None:
    with IndexSync(store, EXACT, folder) as sync:
        assert found(sync) == [[], [], []]
        assert sync.rebuild() == 0
        assert not sync.save()
        store.add(episodes(["a"]))
        assert found(sync) == [[], [], []]
        ids = store.add(episodes(["a"]), unit_vectors(1))
        assert found(sync) == [ids] * 3


def test_a_saved_index_is_not_replayed_again(store: Store, folder: Path) -> None:
    store.add(episodes("abc"), unit_vectors(3))
    with IndexSync(store, EXACT, folder) as sync:
        assert sync.catch_up() == 3
        assert sync.catch_up() == 0
    store.add(episodes("d"), unit_vectors(1, seed=1))
    with IndexSync(store, EXACT, folder) as sync:
        assert sync.catch_up() == 1
        assert sync.index is not None
        assert len(sync.index) == 4


def test_long_histories_are_replayed_in_parts(store: Store, folder: Path) -> None:
    store.add([Episode("e")] * 2500, unit_vectors(2500))
    with IndexSync(store, EXACT, folder) as sync:
        assert sync.catch_up() == 2500
        assert found(sync) == nearest(store, QUERIES, 5)


def warnings(caplog: pytest.LogCaptureFixture) -> str:
    return "\n".join(record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING)


def saved(store: Store, folder: Path, n: int = 3) -> None:
    store.add([Episode("e")] * n, unit_vectors(n))
    with IndexSync(store, EXACT, folder) as sync:
        sync.catch_up()


def test_a_damaged_index_is_built_anew(store: Store, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    saved(store, folder)
    content = bytearray((folder / FILE).read_bytes())
    content[-5] ^= 255
    (folder / FILE).write_bytes(content)
    with IndexSync(store, EXACT, folder) as sync:
        assert "damaged" in warnings(caplog)
        assert found(sync) == nearest(store, QUERIES, 5)
    caplog.clear()
    with IndexSync(store, EXACT, folder) as sync:
        assert sync.catch_up() == 0
    assert warnings(caplog) == ""


def test_the_index_of_another_store_is_not_used(
    store: Store, tmp_path: Path, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Store(tmp_path / "other.db") as other:
        saved(other, folder)
    store.add(episodes("abcd"), unit_vectors(4, seed=5))
    with IndexSync(store, EXACT, folder) as sync:
        assert "another store" in warnings(caplog)
        assert found(sync) == nearest(store, QUERIES, 5)


def test_an_index_of_other_dimensions_is_not_used(
    store: Store, tmp_path: Path, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Store(tmp_path / "other.db") as other:
        saved(other, folder)
    store.add(episodes("ab"), unit_vectors(2, 7))
    with IndexSync(store, EXACT, folder) as sync:
        assert "4 dimensions, the store 7" in warnings(caplog)
        assert sync.catch_up() == 2


def test_a_restored_backup_is_noticed_although_its_numbers_caught_up(
    tmp_path: Path, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "memory.db"
    with Store(path) as store:
        store.add(episodes("ab"), unit_vectors(2))
    shutil.copy(path, tmp_path / "backup.db")
    with Store(path) as store:
        saved(store, folder, 5)
    shutil.copy(tmp_path / "backup.db", path)
    with Store(path) as store:
        store.add([Episode("other")] * 9, unit_vectors(9, seed=8))
        with IndexSync(store, EXACT, folder) as sync:
            assert "restored" in warnings(caplog)
            assert found(sync) == nearest(store, QUERIES, 5)


def test_an_index_older_than_the_log_is_built_anew(
    store: Store, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    saved(store, folder)
    running = IndexSync(store, EXACT, folder)
    store.forget([2])
    store.trim_changes(store.last_change())
    with IndexSync(store, EXACT, folder) as opened:
        assert found(opened) == nearest(store, QUERIES, 5)
    assert "the store has those from" in warnings(caplog)
    assert found(running) == nearest(store, QUERIES, 5)
    assert "older than the store's log" in warnings(caplog)


def test_a_newer_index_is_never_replaced_by_an_older(store: Store, folder: Path) -> None:
    store.add(episodes("ab"), unit_vectors(2))
    slow, quick = IndexSync(store, EXACT, folder), IndexSync(store, EXACT, folder)
    slow.catch_up()
    store.add(episodes("c"), unit_vectors(1))
    quick.catch_up()
    assert quick.save()
    assert not slow.save()
    slow.close()
    quick.close()
    assert len(ExactIndex.load(folder)) == 3


def test_it_is_saved_every_so_many_changes(store: Store, folder: Path) -> None:
    sync = IndexSync(store, EXACT, folder, save_every=10)
    store.add([Episode("e")] * 9, unit_vectors(9))
    sync.catch_up()
    assert not (folder / FILE).exists()
    store.add([Episode("e")], unit_vectors(1))
    sync.catch_up()
    for thread in threading.enumerate():
        if thread.name == "save index":
            thread.join()
    assert ExactIndex.load(folder).watermark == 10


def test_a_failed_save_is_logged_and_tried_again(
    store: Store, folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync = IndexSync(store, EXACT, folder, save_every=1)
    folder.write_text("a file where the folder should be")
    store.add(episodes("a"), unit_vectors(1))
    sync.catch_up()
    for thread in threading.enumerate():
        if thread.name == "save index":
            thread.join()
    assert "not saved" in warnings(caplog)
    folder.unlink()
    sync.close()
    assert ExactIndex.load(folder).watermark == 1


def test_uncommitted_changes_are_not_indexed(store: Store, folder: Path) -> None:
    [kept] = store.add(episodes("a"), unit_vectors(1))
    with IndexSync(store, EXACT, folder) as sync:

        def fail() -> None:
            with store.write():
                store.add(episodes("b"), unit_vectors(1))
                assert found(sync) == [[kept]] * 3
                with pytest.raises(RuntimeError, match="inside a write transaction"):
                    sync.save()
                raise KeyError

        with pytest.raises(KeyError):
            fail()
        [other] = store.add(episodes("c"), unit_vectors(1, seed=3))
        assert sorted(found(sync)[0]) == sorted([kept, other])
        expected = np.sort(QUERIES[0] @ store.vectors([kept, other]).T)[::-1]
        np.testing.assert_allclose(sync.search(QUERIES, 5).similarities[0], expected, atol=1e-6)


def test_a_save_and_a_search_inside_a_transaction_do_not_wait_for_each_other(store: Store, folder: Path) -> None:
    """The save wants to write while it holds the index, the transaction wants the index while it holds the store."""
    store.add(episodes("a"), unit_vectors(1))
    sync = IndexSync(store, EXACT, folder)
    sync.catch_up()
    store.add(episodes("b"), unit_vectors(1, seed=1))
    saver = threading.Thread(target=sync.save)
    with store.write():
        saver.start()
        time.sleep(0.1)
        assert sorted(found(sync)[0]) == [1, 2]
        assert saver.is_alive()
    saver.join()
    assert ExactIndex.load(folder).watermark == 2
    sync.close()


def test_a_closed_index_says_so(store: Store, folder: Path) -> None:
    sync = IndexSync(store, EXACT, folder)
    sync.close()
    sync.close()
    with pytest.raises(StoreUnavailableError, match="was closed"):
        sync.search(QUERIES, 1)


def test_threads_search_and_write_at_once(store: Store, folder: Path) -> None:
    """Whatever a thread has stored, its next search finds; whatever it has forgotten, none does."""
    sync = IndexSync(store, EXACT, folder, save_every=50)
    faults: list[str] = []

    def work(number: int) -> None:
        rng = np.random.default_rng(number)
        for turn in range(25):
            vector = unit_rows(rng.normal(size=(1, 4)), 4)
            where = Filter(tenant=f"t{number}")
            [record_id] = store.add([Episode("e", tenant=f"t{number}")], vector)
            if sync.search(vector, 1, where).ids[0].tolist() != [record_id]:
                faults.append(f"thread {number} misses {record_id}")
            if turn % 3 == 0:
                store.forget([record_id])
                if record_id in sync.search(vector, 10**6).ids[0]:
                    faults.append(f"thread {number} still finds {record_id}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert found(sync) == nearest(store, QUERIES, 5)
    sync.close()


OTHER_PROCESS = """
import sys
from pathlib import Path
from lean_agentic.agentdb.store import Store
from lean_agentic.agentdb.index_sync import IndexSync
from lean_agentic.agentdb.records import Episode
from tests.agentdb.store_records import unit_vectors
from tests.agentdb.test_index_sync import EXACT
path, folder, seed = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
with Store(path) as store, IndexSync(store, EXACT, folder, save_every=7) as sync:
    for turn in range(20):
        row = unit_vectors(1, seed=1000 * seed + turn)
        [record_id] = store.add([Episode("e")], row)
        assert record_id in sync.search(row, 3).ids[0]
        if turn % 4 == 0:
            store.forget([record_id])
"""


def test_processes_share_a_store_and_a_folder(store: Store, folder: Path) -> None:
    processes = [
        subprocess.Popen([sys.executable, "-c", OTHER_PROCESS, str(store.path), str(folder), str(seed)], cwd=ROOT)
        for seed in range(2)
    ]
    sync = IndexSync(store, EXACT, folder, save_every=5)
    while any(process.poll() is None for process in processes):
        [record_id] = store.add([Episode("e")], unit_vectors(1, seed=77))
        assert record_id in sync.search(unit_vectors(1, seed=77), 1000).ids[0]
        store.forget([record_id])
    assert [process.wait() for process in processes] == [0, 0]
    assert store.count() == 30
    assert found(sync) == nearest(store, QUERIES, 5)
    sync.close()
    loaded = ExactIndex.load(folder)
    assert loaded.watermark <= store.last_change()
    with IndexSync(store, EXACT, folder) as again:
        assert found(again) == nearest(store, QUERIES, 5)
