"""Kills a process that writes to a memory, at a random moment, and looks at what is left.

The writer says what it begins and what was acknowledged. Everything acknowledged must be there afterwards, exactly;
of what had begun, all or nothing; and the vector index, saved or built anew, must hold what the database does. Readers
in other processes search meanwhile, across the kill.

    python -m lean_agentic.workbench.memory_crash write memory.db 7
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from lean_agentic.agentdb.errors import UnknownRecordError
from lean_agentic.agentdb.filters import Filter
from lean_agentic.agentdb.hnsw_index import HnswIndex
from lean_agentic.agentdb.index_sync import IndexFactory, IndexSync
from lean_agentic.agentdb.records import CausalLink, Episode, LinkKind, Record
from lean_agentic.agentdb.store import Store
from lean_agentic.agentdb.vector_index import Vectors, unit_rows

DIMENSIONS = 32
SAVE_EVERY = 40
"""Changes after which the writer saves its index: often, so that kills hit saves."""
INDEX = IndexFactory(HnswIndex, HnswIndex.load)
ALL = Filter(archived=None)


@dataclass(frozen=True)
class CrashRound:
    """What one kill left."""

    acknowledged: int
    """Operations that the writer had said were stored."""
    in_flight: str
    """The operation that had begun, and whether it was `stored` or `absent`; empty between two."""
    index: str
    """`loaded`, `rebuilt`, or `none` where none had been saved."""
    replayed: int
    """Changes that the index had missed."""
    recovery_s: float
    """Until the memory was open and its index abreast."""
    faults: tuple[str, ...]
    """What was wrong; empty where nothing was lost."""


@dataclass(frozen=True)
class Model:
    """What should be in the memory: text and archived by id, and links by their ends."""

    records: dict[int, tuple[str, bool]] = field(default_factory=dict)
    links: frozenset[tuple[int, int]] = frozenset()

    def after(self, operation: dict[str, Any]) -> Model:
        """What should be there after one more operation."""
        records = dict(self.records)
        ids = operation["ids"]
        match operation["name"]:
            case "add" | "update":
                records.update(zip(ids, ((text, False) for text in operation["texts"]), strict=True))
            case "archive":
                records.update({record_id: (records[record_id][0], True) for record_id in ids})
            case "forget":
                records = {record_id: value for record_id, value in records.items() if record_id not in ids}
            case "link":
                return replace(self, links=self.links | {(ids[0], ids[1])})
        links = frozenset(link for link in self.links if records.keys() >= set(link))
        return Model(records, links)


def vectors_of(texts: Sequence[str]) -> Vectors:
    """A direction for each text that only the same text has, (n, DIMENSIONS)."""
    rows = [np.random.default_rng(list(text.encode())).normal(size=DIMENSIONS) for text in texts]
    return unit_rows(np.array(rows).reshape(-1, DIMENSIONS), DIMENSIONS)


def random_operation(rng: random.Random, model: Model, number: int, next_id: int) -> dict[str, Any]:
    """Something to do next: mostly additions."""
    ids = sorted(model.records)
    name = rng.choice(["add"] * 5 + ["update", "archive", "forget", "link"])
    if name == "add" or len(ids) < 10:
        count = rng.choice([1, 1, 1, 5, 30])
        texts = [f"operation {number} text {place} " + "filler " * rng.randrange(40) for place in range(count)]
        return {"name": "add", "ids": list(range(next_id, next_id + count)), "texts": texts}
    chosen = rng.sample(ids, 2 if name == "link" else rng.choice([1, 3]) if name != "update" else 1)
    return {"name": name, "ids": chosen, "texts": [f"operation {number} anew"] if name == "update" else []}


def perform(store: Store, operation: dict[str, Any]) -> None:
    """Carry it out, in one transaction."""
    ids, texts = operation["ids"], operation["texts"]
    match operation["name"]:
        case "add":
            assert store.add([Episode(text) for text in texts], vectors_of(texts)) == ids
        case "update":
            store.update(Episode(texts[0], id=ids[0]), vectors_of(texts)[0])
        case "archive":
            store.archive(ids)
        case "forget":
            store.forget(ids)
        case "link":
            store.add_links([CausalLink(ids[0], ids[1], LinkKind.GIVEN, 1, 1, 1)])


def write_until_killed(path: Path, seed: int) -> None:
    """The writer: says `begin` with each operation and `done` once it is stored, and goes on for ever."""
    rng, number = random.Random(seed), 0
    with Store(path, dimensions=DIMENSIONS) as store, _open_index(store, path) as sync:
        model, next_id = model_of(store), next_free_id(store)
        while True:
            operation = random_operation(rng, model, seed * 1_000_000 + number, next_id)
            print("begin", json.dumps(operation), flush=True)
            perform(store, operation)
            print("done", flush=True)
            model, number = model.after(operation), number + 1
            next_id += len(operation["ids"]) if operation["name"] == "add" else 0
            if number % 3 == 0:
                sync.search(vectors_of(["a query"]), 5)


def read_until_killed(path: Path, seed: int) -> None:
    """A reader: searches, reads what it found, and says what cannot be; goes on for ever."""
    rng = np.random.default_rng(seed)
    with Store(path, dimensions=DIMENSIONS) as store:
        sync = IndexSync(store, INDEX, path.with_suffix(".reader"), save_every=10**9)
        print("ready", flush=True)
        while True:
            with store.read():
                hits = sync.search(unit_rows(rng.normal(size=(1, DIMENSIONS)), DIMENSIONS), 5)
                try:
                    found = store.get(hits.ids[0].tolist())
                except UnknownRecordError as error:
                    print("fault", f"a hit is no record: {error}", flush=True)
                    continue
                complaints = [record.id for record in found if record.archived]
            if complaints:
                print("fault", f"archived records {complaints} were found", flush=True)


def crash_round(path: Path, seed: int, kill_after_s: float, readers: int = 1) -> CrashRound:
    """Let a writer and readers loose on the memory at `path`, kill the writer, and compare.

    Parameters
    ----------
    seed
        Of what is written. The memory at `path` may be left from an earlier round.
    kill_after_s
        From the writer's first acknowledgement.
    """
    with Store(path, dimensions=DIMENSIONS) as store:
        before = model_of(store)
    others = [_Child("read", path, seed + place) for place in range(readers)]
    for reader in others:
        reader.wait_for("ready")
    writer = _Child("write", path, seed)
    writer.wait_for("done")
    time.sleep(kill_after_s)
    said = writer.kill()
    time.sleep(0.05)
    faults = [line for reader in others for line in reader.kill() if line.startswith("fault")]
    return _inspect(path, before, said, faults)


def model_of(store: Store) -> Model:
    """What is in the memory."""
    records = {record.id: (record.text, record.archived) for record in store.find(ALL)}
    return Model(records, frozenset((link.cause, link.effect) for link in store.links()))


def next_free_id(store: Store) -> int:
    """The id of the next record."""
    with store.read() as connection:
        row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'records'").fetchone()
    return row[0] + 1 if row else 1


def index_faults(store: Store, sync: IndexSync) -> Iterator[str]:
    """Where the index differs from the database."""
    ids = store.ids()
    ids = ids[store.has_vector(ids)]
    index = sync.index
    if index is None or not np.array_equal(index.ids(), ids):
        yield "the index holds other ids than the database"
    elif not np.array_equal(index.vectors(ids), store.vectors(ids)):
        yield "the index holds other vectors than the database"


def _inspect(path: Path, before: Model, said: list[str], faults: list[str]) -> CrashRound:
    had_saved = (path.with_suffix(".index") / "manifest.json").exists()
    start = time.perf_counter()
    store = Store(path, dimensions=DIMENSIONS)
    sync = _open_index(store, path)
    was_loaded = sync.index is not None and sync.index.watermark > 0
    replayed = sync.catch_up()
    recovery_s = time.perf_counter() - start
    expected, pending = _replayed(before, said)
    found = model_of(store)
    in_flight = ""
    if pending is not None:
        stored = found == expected.after(pending)
        in_flight = f"{pending['name']} {'stored' if stored else 'absent'}"
        expected = expected.after(pending) if stored else expected
    faults = [*faults, *_differences(expected, found), *store.check(), *index_faults(store, sync)]
    faults += _wrong_vectors(store.find(ALL), store)
    sync.close()
    store.close()
    index = "loaded" if was_loaded else "rebuilt" if had_saved else "none"
    acknowledged = sum(line == "done" for line in said)
    return CrashRound(acknowledged, in_flight, index, replayed, recovery_s, tuple(faults))


def _replayed(model: Model, said: list[str]) -> tuple[Model, dict[str, Any] | None]:
    """The model after all that was acknowledged, and what had begun after that."""
    pending: dict[str, Any] | None = None
    for line in said:
        if line == "done" and pending is not None:
            model, pending = model.after(pending), None
        elif line.startswith("begin "):
            pending = json.loads(line.removeprefix("begin "))
    return model, pending


def _differences(expected: Model, found: Model) -> Iterator[str]:
    for record_id in sorted(expected.records.keys() | found.records.keys()):
        wanted, is_there = expected.records.get(record_id), found.records.get(record_id)
        if wanted != is_there:
            yield f"record {record_id} should be {wanted!r:.60} and is {is_there!r:.60}"
    if expected.links != found.links:
        yield f"links {sorted(expected.links ^ found.links)} differ"


def _wrong_vectors(records: Sequence[Record], store: Store) -> Iterator[str]:
    if records:
        rows = store.vectors([record.id for record in records])
        wrong = (rows != vectors_of([record.text for record in records])).any(axis=1)
        yield from (
            f"record {records[place].id} has the vector of another text" for place in np.flatnonzero(wrong).tolist()
        )


def _open_index(store: Store, path: Path) -> IndexSync:
    return IndexSync(store, INDEX, path.with_suffix(".index"), save_every=SAVE_EVERY)


class _Child:
    """A process of this module whose lines are collected."""

    def __init__(self, role: str, path: Path, seed: int) -> None:
        command = [sys.executable, "-m", __name__, role, str(path), str(seed)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._lines: list[str] = []
        self._more = threading.Condition()
        self._thread = threading.Thread(target=self._collect)
        self._thread.start()

    def wait_for(self, line: str, timeout_s: float = 60.0) -> None:
        """Until it has said so."""
        with self._more:
            if not self._more.wait_for(lambda: line in self._lines or not self._thread.is_alive(), timeout_s):
                raise TimeoutError(f"the process did not say {line!r} within {timeout_s} s")
        if line not in self._lines:
            raise RuntimeError(f"the process ended ({self._process.wait()}) before it said {line!r}: see its errors")

    def kill(self) -> list[str]:
        """End it as nothing can prevent; what it had said."""
        ended = self._process.poll()
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._thread.join()
        if ended is not None:
            raise RuntimeError(f"the process ended by itself ({ended}), see its errors")
        return self._lines

    def _collect(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            # The last may be cut off by the kill.
            if line.endswith("\n"):
                with self._more:
                    self._lines.append(line.rstrip("\n"))
                    self._more.notify_all()
        with self._more:
            self._more.notify_all()


ROLES: dict[str, Callable[[Path, int], None]] = {"write": write_until_killed, "read": read_until_killed}

if __name__ == "__main__":
    ROLES[sys.argv[1]](Path(sys.argv[2]), int(sys.argv[3]))
