"""Forgetting, proved by a search for what was forgotten: in every table, the full text, and the bytes of the files."""

from __future__ import annotations

import re
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lean_agentic.agentdb.errors import FilterError
from lean_agentic.agentdb.filters import Filter
from lean_agentic.agentdb.hnsw_index import HnswIndex
from lean_agentic.agentdb.index_sync import IndexFactory, IndexSync
from lean_agentic.agentdb.records import CausalLink, Episode, Fact, LinkKind, Pattern, Provenance, Step, Trajectory
from lean_agentic.agentdb.store import Store
from tests.agentdb.exact_index import ExactIndex
from tests.agentdb.store_records import episodes, unit_vectors


@pytest.fixture
def store(tmp_path: Path) -> Any:
    with Store(tmp_path / "memory.db") as opened:
        yield opened
        assert opened.check() == []


def all_bytes(store: Store) -> bytes:
    """Everything that lies beside the database under its name: the log and its index too."""
    return b"".join(path.read_bytes() for path in sorted(store.path.parent.glob(f"{store.path.name}*")))


def secrets(rng: np.random.Generator, count: int) -> list[str]:
    """Words that occur nowhere by chance, and that neither folding nor stemming changes."""
    return ["".join(rng.choice(list("bcdfghjkmnpqrtvwxz0123456789"), 24)) for _ in range(count)]


def remains(store: Store, words: Sequence[str]) -> list[str]:
    """The words of which a piece is left anywhere, apart from what shortening common prefixes can hide."""
    content = all_bytes(store)
    runs = re.findall(rb"[0-9a-z]{16,}", content)
    pieces = {run[start : start + 16] for run in runs for start in range(len(run) - 15)}
    return [word for word in words if word[8:].encode() in pieces]


def telling(words: Sequence[str], tenant: str) -> Episode:
    """An episode with a secret in every place that takes text."""
    return Episode(
        words[0], words[1], words[2], 1.0, (words[3], f"{words[4]} {words[5]}"), 1.0, tenant, words[6],
        metadata={words[7]: words[8], "deep": {"list": [words[9]]}, "long": words[10] * 20},
        provenance=Provenance(words[11], words[12], (), {"url": words[13]}),
    )  # fmt: skip


def test_nothing_is_left_in_the_files(store: Store) -> None:
    rng = np.random.default_rng(1)
    forgotten, kept = secrets(rng, 14), secrets(rng, 14)
    rows = unit_vectors(2, 64)
    gone, stays = store.add([telling(forgotten, "gone"), telling(kept, "stays")], rows)
    store.add_links([CausalLink(gone, stays, LinkKind.GIVEN, 1, 1, 1, {"said": forgotten[0]})])
    assert len(remains(store, forgotten)) == 14
    assert store.forget(Filter(tenant="gone")) == 1
    assert remains(store, forgotten) == []
    assert rows[0].tobytes()[20:60] not in all_bytes(store)
    assert len(remains(store, kept)) == 14
    assert rows[1].tobytes()[20:60] in all_bytes(store)
    assert Path(f"{store.path}-wal").stat().st_size == 0
    assert store.links() == []


def churn(store: Store, rng: np.random.Generator, tenants: Sequence[str], rounds: int) -> dict[str, list[str]]:
    """Additions, updates, archiving and small deletions that split, merge and reorder the pages; words by tenant."""
    words: dict[str, list[str]] = {tenant: [] for tenant in tenants}
    for _ in range(rounds):
        tenant = tenants[rng.integers(len(tenants))]
        fresh = secrets(rng, 14 * 8)
        words[tenant] += fresh
        ids = store.add(
            [telling(fresh[14 * i :], tenant) for i in range(8)], unit_vectors(8, 64, int(rng.integers(1e9)))
        )
        store.archive(ids[:2])
        changed = secrets(rng, 14)
        words[tenant] += changed
        old = telling(changed, tenant)
        store.update(Episode(old.context, entities=old.entities, tenant=tenant, id=ids[3]), unit_vectors(1, 64))
        store.forget(ids[4:5])
        store.unarchive(ids[:1])
    return words


def test_nothing_is_left_after_many_changes(store: Store) -> None:
    rng = np.random.default_rng(2)
    words = churn(store, rng, ["a", "b", "c"], 40)
    assert len(remains(store, words["a"])) > 100
    store.forget(Filter(tenant="a"), thorough=True)
    assert remains(store, words["a"]) == []
    assert len(remains(store, words["b"])) > 100
    for record_id in store.ids(Filter(tenant="b", archived=None)).tolist():
        store.forget([record_id])
    # Pieces that SQLite left where it moved rows are few, but only a new file has none.
    assert len(remains(store, words["b"])) < 0.01 * len(words["b"])
    store.vacuum()
    assert remains(store, words["b"]) == []
    store.forget(Filter(everything=True), thorough=True)
    assert remains(store, words["c"]) == []


def test_thorough_forgetting_is_no_part_of_a_transaction(store: Store) -> None:
    ids = store.add(episodes("a"))
    with store.write():
        with pytest.raises(RuntimeError, match="vacuum"):
            store.forget(ids, thorough=True)
        with pytest.raises(RuntimeError, match="after the block"):
            store.vacuum()
    assert store.get(ids)[0].text == "a"


def test_a_new_file_holds_the_same(store: Store) -> None:
    store.add(episodes([f"word{i}" for i in range(200)]), unit_vectors(200, 64))
    store.forget(list(range(1, 150, 2)))
    before = store.find(), store.last_change(), store.changes_since(0), store.database
    size = store.path.stat().st_size
    store.vacuum()
    assert (store.find(), store.last_change(), store.changes_since(0), store.database) == before
    assert store.path.stat().st_size < size
    assert store.add(episodes("a")) == [201]


def test_no_table_knows_a_forgotten_record(store: Store) -> None:
    rng = np.random.default_rng(3)
    words = secrets(rng, 28)
    first, second = store.add([telling(words, "t"), telling(words[14:], "t")], unit_vectors(2))
    store.add_links(
        [CausalLink(first, second, LinkKind.GIVEN, 1, 1, 1), CausalLink(second, first, LinkKind.CITED, 1, 1, 1)]
    )
    store.add([Fact("both derived", sources=(first, second)), Episode("and then", cites=(first,))])
    store.forget([first])
    connection = sqlite3.connect(store.path)
    tables = ["record_entities", "record_metadata", "mentions", "vectors"]
    for table, column in [("records", "id"), *((table, "record_id") for table in tables), ("mentions", "target")]:
        assert connection.execute(f"SELECT count(*) FROM {table} WHERE {column} = ?", (first,)).fetchone() == (0,)
    assert connection.execute("SELECT count(*) FROM links").fetchone() == (0,)
    connection.execute("CREATE VIRTUAL TABLE temp.words USING fts5vocab('main', 'texts', 'row')")
    indexed = {word for (word,) in connection.execute("SELECT term FROM temp.words")}
    connection.close()
    assert indexed.isdisjoint(words[:14])
    assert indexed >= {words[14], "both", "deriv"}


def test_whoever_names_a_forgotten_record_no_longer_does(store: Store) -> None:
    a, b = store.add(episodes("ab"))
    made = Provenance("x", "merged", (a, b), {})
    named = store.add([
        Episode("cites", cites=(a, b), provenance=made),
        Fact("rests", sources=(b, a)),
        Pattern("t", "title", "content", (), trajectories=(a, b)),
    ])  # fmt: skip
    assert store.plan_forgetting([a]).weakened == tuple(named)
    assert store.forget([a]) == 1
    episode, fact, pattern = store.get(named)
    assert isinstance(episode, Episode)
    assert isinstance(fact, Fact)
    assert isinstance(pattern, Pattern)
    assert episode.cites == episode.provenance.records == fact.sources == pattern.trajectories == (b,)


def test_what_is_made_of_forgotten_records_alone_goes_too(store: Store) -> None:
    a, b, c = store.add(episodes("abc"))
    [fact] = store.add([Fact("from a and b", sources=(a, b))])
    [summary] = store.add([Episode("of the fact", provenance=Provenance("x", "merged", (fact,)))])
    [run] = store.add([Trajectory("t", (Step({}, "go"),), provenance=Provenance("x", "given", (a,)))])
    [pattern] = store.add([Pattern("t", "title", "content", (), trajectories=(run,))])
    [cites, given, mixed] = store.add([
        Episode("cites a", cites=(a,)),
        Fact("given"),
        Fact("mixed", sources=(a,), provenance=Provenance("x", "", (c,))),
    ])  # fmt: skip
    plan = store.plan_forgetting([a, b])
    assert plan.asked == (a, b)
    assert plan.derived == tuple(sorted([fact, summary, run, pattern]))
    assert plan.weakened == tuple(sorted([cites, mixed]))
    assert store.count() == 10
    assert store.forget([a, b]) == plan.records == 6
    assert store.ids().tolist() == sorted([c, cites, given, mixed])


def test_what_names_itself_in_a_circle_goes_with_its_last_source(store: Store) -> None:
    [a] = store.add(episodes("a"))
    [fact] = store.add([Fact("from a", sources=(a,))])
    [other] = store.add([Fact("from the fact", sources=(fact,))])
    store.update(Fact("from both", sources=(a, other), id=fact))
    # Each has a source left in the other: only both together have none.
    assert store.forget([a]) == 1
    assert store.forget([other]) == 2


@pytest.mark.parametrize("where", [Filter(), Filter(archived=None), Filter(archived=False)])
def test_forgetting_everything_needs_the_word(store: Store, where: Filter) -> None:
    store.add(episodes("ab"))
    with pytest.raises(FilterError, match="everything=True"):
        store.forget(where)
    assert store.count() == 2
    assert store.forget([]) == store.forget(Filter(ids=[])) == store.forget(Filter(tenant="nobody")) == 0
    assert store.forget(np.array([], np.int64)) == 0
    assert store.forget(Filter(everything=True)) == 2


def test_the_archive_is_forgotten_too(store: Store) -> None:
    ids = store.add(episodes("abcd", tenant="t"))
    store.archive(ids[:2])
    assert store.forget(Filter(archived=True, ids=ids[1:])) == 1
    assert store.forget(Filter(tenant="t")) == 3


def test_unknown_ids_are_no_error(store: Store) -> None:
    """Two may forget the same at once."""
    [a] = store.add(episodes("a"))
    assert store.forget([a, 999]) == 1
    assert store.forget([a]) == 0


def test_an_undone_forgetting_forgets_nothing(store: Store) -> None:
    [a] = store.add(episodes(["remember"]))

    def undone() -> None:
        with store.write():
            assert store.forget([a]) == 1
            assert store.count() == 0
            raise KeyError

    with pytest.raises(KeyError):
        undone()
    assert store.get([a])[0].text == "remember"


def test_the_log_is_emptied_after_the_outer_transaction(store: Store) -> None:
    [word] = secrets(np.random.default_rng(4), 1)
    with store.write():
        store.forget(store.add(episodes([word])))
    assert remains(store, [word]) == []


def test_a_crash_between_forgetting_and_emptying_the_log_is_made_up_for(tmp_path: Path) -> None:
    [word] = secrets(np.random.default_rng(5), 1)
    store = Store(tmp_path / "memory.db")
    ids = store.add(episodes([word]))
    reader = sqlite3.connect(store.path)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM records").fetchall()
    store.forget(ids)
    # Without a close, as after a crash: the log is copied while the reader keeps it from being emptied.
    for name in ("memory.db", "memory.db-wal"):
        (tmp_path / "crashed").mkdir(exist_ok=True)
        (tmp_path / "crashed" / name).write_bytes((tmp_path / name).read_bytes())
    reader.close()
    store.close()
    assert word[8:].encode() in (tmp_path / "crashed" / "memory.db-wal").read_bytes()
    with Store(tmp_path / "crashed" / "memory.db") as after:
        assert remains(after, [word]) == []
        assert after.check() == []


def test_indexes_forget_as_well(store: Store, tmp_path: Path) -> None:
    rows = unit_vectors(6)
    ids = store.add(episodes("abcdef"), rows)
    [fact] = store.add([Fact("derived", sources=(ids[2],))], unit_vectors(1, seed=9))
    with IndexSync(store, IndexFactory(ExactIndex, ExactIndex.load), tmp_path / "index") as sync:
        assert ids[2] in sync.search(rows[2:3], 10).ids[0]
        store.forget([ids[2]])
        found = sync.search(rows[2:3], 10).ids[0].tolist()
        assert sorted(found) == sorted(set(ids) - {ids[2]})
        assert fact not in found
        assert sync.index is not None
        assert ids[2] not in sync.index


def test_files_of_an_index_built_anew_have_nothing_of_it(store: Store, tmp_path: Path) -> None:
    """The graph of hnswlib keeps removed vectors."""
    rows = unit_vectors(20, 16)
    ids = store.add(episodes(["e"] * 20), rows)
    with IndexSync(store, IndexFactory(HnswIndex, HnswIndex.load), tmp_path / "index") as sync:
        sync.catch_up()
        sync.save()
        store.forget(ids[3:4])
        assert sync.rebuild() == 19
        assert sync.save()
        assert not sync.save()
    saved = b"".join(path.read_bytes() for path in (tmp_path / "index").iterdir())
    assert rows[2].tobytes() in saved
    assert rows[3].tobytes() not in saved


def test_readers_do_not_stand_in_the_way(store: Store) -> None:
    """Another thread reads all the time; forgetting waits for no more than its blocks."""
    stop = threading.Event()
    store.add(episodes([f"word{i}" for i in range(50)]))

    def read() -> None:
        while not stop.is_set():
            store.find()

    thread = threading.Thread(target=read)
    thread.start()
    [word] = secrets(np.random.default_rng(6), 1)
    store.forget(store.add(episodes([word])))
    stop.set()
    thread.join()
    store.touch([1])
    assert remains(store, [word]) == []
