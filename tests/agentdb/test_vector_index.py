"""What every backend promises, checked against brute force over the vectors that were given to it."""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from qdrant_client import QdrantClient

from lean_agentic.agentdb.errors import CorruptIndexError, InvalidVectorError, UnknownRecordError
from lean_agentic.agentdb.hnsw_index import HnswIndex
from lean_agentic.agentdb.qdrant_edge_index import QdrantEdgeIndex, QdrantEdgeSettings
from lean_agentic.agentdb.qdrant_server_index import QdrantServerIndex
from lean_agentic.agentdb.usearch_index import UsearchIndex, UsearchSettings
from lean_agentic.agentdb.vector_index import VectorIndex, unit_rows
from tests.agentdb.vector_data import brute_force, clustered, recall

pytestmark = pytest.mark.filterwarnings("ignore:Local mode performs exact:UserWarning")

DIMENSIONS = 24
LOCAL, SERVER = "qdrant-client in local mode, no server", "qdrant server at QDRANT_URL"


class Truth:
    """The exact vectors by id: what the store is to an index that keeps less."""

    def __init__(self) -> None:
        self.rows: dict[int, np.ndarray] = {}

    def fetch(self, ids: np.ndarray) -> np.ndarray:
        return np.array([self.rows[key] for key in ids.tolist()], np.float32).reshape(len(ids), DIMENSIONS)


class Backend:
    """Makes and loads indexes of one kind, and closes them."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.truth = Truth()
        self._made: list[VectorIndex] = []
        self._client = client_of(name)

    def make(self) -> VectorIndex:
        new: dict[str, Callable[[], VectorIndex]] = {
            "hnsw": lambda: HnswIndex(DIMENSIONS),
            "usearch float16": lambda: self._keeping(UsearchIndex(DIMENSIONS, self.truth.fetch)),
            "usearch int8": lambda: self._keeping(
                UsearchIndex(DIMENSIONS, self.truth.fetch, UsearchSettings(storage="int8"))
            ),
            "qdrant-edge": lambda: QdrantEdgeIndex(DIMENSIONS),
            "qdrant-edge int8": lambda: QdrantEdgeIndex(DIMENSIONS, QdrantEdgeSettings(int8=True)),
            LOCAL: lambda: QdrantServerIndex(DIMENSIONS, f"test-{uuid.uuid4().hex}", client=self._client),
            SERVER: lambda: QdrantServerIndex(DIMENSIONS, f"test-{uuid.uuid4().hex}", client=self._client),
        }
        self._made.append(new[self.name]())
        return self._made[-1]

    def load(self, folder: Path) -> VectorIndex:
        if self.name.startswith("usearch"):
            self._made.append(self._keeping(UsearchIndex.load(folder, self.truth.fetch)))
        elif self._client is not None:
            self._made.append(QdrantServerIndex.load(folder, client=self._client))
        else:
            self._made.append((HnswIndex if self.name == "hnsw" else QdrantEdgeIndex).load(folder))
        return self._made[-1]

    def close(self) -> None:
        for index in self._made:
            if isinstance(index, QdrantServerIndex):
                index.drop()
            index.close()

    def _keeping(self, index: VectorIndex) -> VectorIndex:
        add = index.add

        def add_and_keep(ids: np.ndarray, vectors: np.ndarray) -> None:
            self.truth.rows.update(zip(np.asarray(ids).tolist(), vectors, strict=False))
            add(ids, vectors)

        index.add = add_and_keep  # type: ignore[method-assign]
        return index


def client_of(name: str) -> QdrantClient | None:
    """A client of the server that QDRANT_URL names, or of qdrant-client's brute-force local mode."""
    if name == SERVER:
        return QdrantClient(url=os.environ["QDRANT_URL"], api_key=os.environ.get("QDRANT_API_KEY"))
    return QdrantClient(":memory:") if name == LOCAL else None


BACKENDS = [
    "hnsw",
    "usearch float16",
    "usearch int8",
    "qdrant-edge",
    "qdrant-edge int8",
    SERVER if "QDRANT_URL" in os.environ else LOCAL,
]


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    backend = Backend(request.param)
    yield backend
    backend.close()


@pytest.fixture
def index(backend: Backend) -> VectorIndex:
    return backend.make()


def ids_of(count: int, start: int = 1) -> np.ndarray:
    return np.arange(start, start + count, dtype=np.int64)


def filled(index: VectorIndex, count: int = 1500, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Adds clustered vectors under ids with gaps, in no order of ids; returns both by ascending id."""
    vectors = clustered(count, DIMENSIONS, seed)
    ids = np.random.default_rng(seed).permutation(ids_of(count) * 3)
    index.add(ids, vectors)
    order = np.argsort(ids)
    return ids[order], vectors[order]


def test_an_empty_index_answers_with_nothing(index: VectorIndex) -> None:
    queries = clustered(3, DIMENSIONS, 5)
    for allowed in (None, ids_of(4), ids_of(0)):
        hits = index.search(queries, 5, allowed)
        assert [len(ids) for ids in hits.ids] == [len(row) for row in hits.similarities] == [0, 0, 0]
    assert len(index) == 0
    assert index.ids().tolist() == []
    assert 7 not in index


def test_it_finds_the_nearest_with_their_similarities(index: VectorIndex) -> None:
    ids, vectors = filled(index)
    queries = clustered(50, DIMENSIONS, 2)
    hits = index.search(queries, 10)
    assert recall(hits, brute_force(ids, vectors, queries, 10)) >= 0.99
    for query, found, similarities in zip(queries, hits.ids, hits.similarities, strict=True):
        expected = vectors[np.searchsorted(ids, found)] @ query
        np.testing.assert_allclose(similarities, expected, atol=1e-5)
        assert (np.diff(similarities) <= 1e-6).all()
        assert found.dtype == np.int64
        assert similarities.dtype == np.float32


def test_no_queries_no_answers(index: VectorIndex) -> None:
    ids, _ = filled(index, 20)
    for allowed in (None, ids[:5]):
        assert index.search(np.empty((0, DIMENSIONS), np.float32), 3, allowed).ids == []


def test_more_than_there_are_gives_all(index: VectorIndex) -> None:
    ids, vectors = filled(index, 30)
    queries = clustered(4, DIMENSIONS, 3)
    for found in index.search(queries, 100).ids:
        assert sorted(found) == ids.tolist()
    for found in index.search(queries, 100, ids[5:9]).ids:
        assert sorted(found) == ids[5:9].tolist()
    assert vectors.shape == (30, DIMENSIONS)


def test_the_nearest_of_a_stored_vector_is_itself_wherever_it_lies(index: VectorIndex) -> None:
    ids, vectors = filled(index)
    hits = index.search(vectors[::10], 1)
    assert np.mean([found[0] == own for found, own in zip(hits.ids, ids[::10], strict=True)]) >= 0.99


@pytest.mark.parametrize("share", [0.5, 0.1, 0.02, 0.002])
def test_filters_of_all_selectivities(index: VectorIndex, share: float) -> None:
    ids, vectors = filled(index, 3000)
    queries = clustered(40, DIMENSIONS, 2)
    chosen = np.random.default_rng(4).random(len(ids)) < share
    hits = index.search(queries, 10, ids[chosen])
    truth = brute_force(ids[chosen], vectors[chosen], queries, 10)
    assert recall(hits, truth) >= 0.99
    for found, true in zip(hits.ids, truth, strict=True):
        assert len(found) == len(true) == min(10, chosen.sum())
        assert np.isin(found, ids[chosen]).all()


def test_filters_that_shut_out_all_that_is_near(backend: Backend) -> None:
    index = backend.make()
    ids, vectors = filled(index, 3000)
    recalls = []
    for query in clustered(20, DIMENSIONS, 2):
        far = np.sort(ids[np.argsort(vectors @ query)[:2000]])
        hits = index.search(query[None], 10, far)
        assert len(hits.ids[0]) == 10
        recalls.append(recall(hits, brute_force(far, vectors[np.searchsorted(ids, far)], query[None], 10)))
    # Far away all are about as similar: bytes cannot tell the nearest thirty.
    assert np.mean(recalls) >= (0.85 if backend.name == "usearch int8" else 0.99)


def test_allowed_ids_that_are_not_there_do_no_harm(index: VectorIndex) -> None:
    ids, vectors = filled(index)
    queries = clustered(5, DIMENSIONS, 2)
    allowed = np.sort(np.concatenate([ids[:20], ids[:400] + 1]))
    hits = index.search(queries, 25, allowed)
    for found, true in zip(hits.ids, brute_force(ids[:20], vectors[:20], queries, 25), strict=True):
        assert sorted(found) == sorted(true)


def test_removed_vectors_are_never_found_again(index: VectorIndex) -> None:
    ids, vectors = filled(index)
    gone, kept = ids[::2], ids[1::2]
    index.remove(gone)
    index.remove(np.array([10**9, 10**9 + 1]))
    assert index.ids().tolist() == kept.tolist()
    assert len(index) == len(kept)
    assert int(gone[0]) not in index
    assert int(kept[0]) in index
    queries = np.concatenate([clustered(30, DIMENSIONS, 2), vectors[::2][:30]])
    for allowed in (None, ids):
        hits = index.search(queries, 10, allowed)
        assert all(len(found) == 10 and np.isin(found, kept).all() for found in hits.ids)
        assert recall(hits, brute_force(kept, vectors[1::2], queries, 10)) >= 0.985


def test_a_replaced_vector_is_found_where_it_is_now(index: VectorIndex) -> None:
    ids, vectors = filled(index)
    moved = clustered(len(ids), DIMENSIONS, 9)
    index.add(ids[:700], moved[:700])
    now = np.concatenate([moved[:700], vectors[700:]])
    assert len(index) == len(ids)
    np.testing.assert_allclose(index.vectors(ids[[3, 800]]), now[[3, 800]], atol=1e-6)
    queries = clustered(50, DIMENSIONS, 2)
    hits = index.search(queries, 10)
    assert recall(hits, brute_force(ids, now, queries, 10)) >= 0.985
    assert all(len(set(found)) == 10 for found in hits.ids)


def test_a_removed_id_may_come_back(index: VectorIndex) -> None:
    ids, vectors = filled(index, 200)
    index.remove(ids[:50])
    index.add(ids[:50], vectors[:50])
    hits = index.search(vectors[:50], 1)
    assert [int(found[0]) for found in hits.ids] == ids[:50].tolist()


@pytest.mark.parametrize("spoil", [np.nan, np.inf, 0.0])
def test_vectors_without_meaning_are_refused_and_nothing_is_added(index: VectorIndex, spoil: float) -> None:
    vectors = clustered(10, DIMENSIONS, 1)
    vectors[7, 0 if spoil else slice(None)] = spoil
    with pytest.raises(InvalidVectorError, match="vector 7"):
        index.add(ids_of(10), vectors)
    with pytest.raises(InvalidVectorError):
        index.search(vectors[7:8], 1)
    assert len(index) == 0


def test_wrong_sizes_are_refused(index: VectorIndex) -> None:
    vectors = clustered(4, DIMENSIONS, 1)
    with pytest.raises(InvalidVectorError, match=f"expected vectors of {DIMENSIONS} numbers"):
        index.add(ids_of(4), vectors[:, :-1])
    with pytest.raises(InvalidVectorError, match="length 1"):
        index.add(ids_of(4), 2 * vectors)
    with pytest.raises(ValueError, match="3 ids for 4 vectors"):
        index.add(ids_of(3), vectors)
    with pytest.raises(ValueError, match="id 2 comes 2 times"):
        index.add(np.array([1, 2, 2, 3]), vectors)
    with pytest.raises(ValueError, match="ids are 0 and up"):
        index.add(np.array([-1, 2, 4, 3]), vectors)
    with pytest.raises(ValueError, match="k must be at least 1"):
        index.search(vectors, 0)
    with pytest.raises(ValueError, match="ascend"):
        index.search(vectors, 1, np.array([3, 1]))
    assert len(index) == 0


def test_vectors_come_back_as_given(index: VectorIndex) -> None:
    ids, vectors = filled(index, 100)
    picked = np.array([50, 3, 99])
    np.testing.assert_allclose(index.vectors(ids[picked]), vectors[picked], atol=1e-6)
    with pytest.raises(UnknownRecordError, match="999999"):
        index.vectors(np.array([ids[0], 999999]))


def test_saving_keeps_everything(backend: Backend, tmp_path: Path) -> None:
    index = backend.make()
    ids, vectors = filled(index)
    index.remove(ids[:100])
    index.add(ids[100:200], clustered(100, DIMENSIONS, 8))
    index.advance(4711)
    index.database = "of this test"
    index.save(tmp_path / "saved")
    again = backend.load(tmp_path / "saved")
    assert (again.watermark, again.database, again.dimensions) == (4711, "of this test", DIMENSIONS)
    assert again.ids().tolist() == ids[100:].tolist()
    np.testing.assert_array_equal(again.vectors(ids[100:]), index.vectors(ids[100:]))
    queries = clustered(30, DIMENSIONS, 2)
    before, after = index.search(queries, 10), again.search(queries, 10)
    assert [found.tolist() for found in before.ids] == [found.tolist() for found in after.ids]
    again.add(np.array([1]), vectors[:1])
    assert int(again.search(vectors[:1], 1).ids[0][0]) == 1


def test_an_empty_index_can_be_saved(backend: Backend, tmp_path: Path) -> None:
    backend.make().save(tmp_path / "saved")
    again = backend.load(tmp_path / "saved")
    assert len(again) == 0
    ids, _ = filled(again, 50)
    assert len(again.search(clustered(1, DIMENSIONS, 2), 5).ids[0]) == 5
    assert len(again) == len(ids)


def test_loading_says_when_there_is_nothing_or_another_backend(backend: Backend, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="holds no saved index"):
        backend.load(tmp_path / "nothing")


def test_damage_is_found_on_loading(backend: Backend, tmp_path: Path) -> None:
    index = backend.make()
    filled(index, 60)
    index.save(tmp_path)
    rng = np.random.default_rng(0)
    files = [path for path in tmp_path.iterdir() if path.is_file() and path.stat().st_size]
    for path in files:
        whole = path.read_bytes()
        for _ in range(10):
            damaged = bytearray(whole)
            damaged[rng.integers(len(whole))] ^= 1 << rng.integers(8)
            path.write_bytes(damaged)
            with pytest.raises(CorruptIndexError, match="build the index again"):
                backend.load(tmp_path)
        path.write_bytes(whole)
    backend.load(tmp_path)


def test_the_watermark_never_goes_back(index: VectorIndex) -> None:
    index.advance(5)
    index.advance(5)
    with pytest.raises(ValueError, match="already holds"):
        index.advance(4)
    assert index.watermark == 5


def test_searches_beside_writes(index: VectorIndex) -> None:
    """Four threads search while one adds, replaces and removes; what always was there is always found."""
    ids, vectors = filled(index, 400)
    steady = ids[:200]
    failures: list[str] = []
    stop = threading.Event()

    def search(seed: int) -> None:
        rng = np.random.default_rng(seed)
        while not stop.is_set():
            place = int(rng.integers(200))
            try:
                plain = index.search(vectors[place][None], 5).ids[0]
                only = index.search(vectors[place][None], 5, steady).ids[0]
            except Exception as error:
                failures.append(repr(error))
                return
            if len(plain) < 5 or ids[place] not in only or len(only) < 5 or not np.isin(only, steady).all():
                failures.append(f"{ids[place]} {plain} {only}")

    threads = [threading.Thread(target=search, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for turn in range(8):
        index.add(ids[200:], clustered(200, DIMENSIONS, 100 + turn))
        index.add(ids_of(100, 10_000), clustered(100, DIMENSIONS, 200 + turn))
        index.remove(ids_of(100, 10_000))
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["add", "remove", "search"]), st.sets(st.integers(0, 15), min_size=1), st.integers(0, 99)
    ),
    max_size=25,
)


@given(steps=STEPS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_sequence_of_calls_leaves_what_a_dict_would_hold(
    backend: Backend, steps: list[tuple[str, set[int], int]]
) -> None:
    index = backend.make()
    expected: dict[int, np.ndarray] = {}
    for action, chosen, seed in steps:
        ids = np.array(sorted(chosen))
        rows = unit_rows(np.random.default_rng(seed).standard_normal((len(ids), DIMENSIONS)), DIMENSIONS)
        if action == "add":
            index.add(ids, rows)
            expected.update(zip(ids.tolist(), rows, strict=True))
        elif action == "remove":
            index.remove(ids)
            expected = {key: row for key, row in expected.items() if key not in chosen}
        else:
            allowed = [key for key in sorted(expected) if key in chosen]
            found = index.search(rows[:1], 3, ids).ids[0]
            assert len(found) == min(3, len(allowed))
            if allowed:
                best = max(allowed, key=lambda key: float(expected[key] @ rows[0]))
                assert found[0] == best
        assert index.ids().tolist() == sorted(expected)
        found = index.search(rows[:1], 16).ids[0]
        assert sorted(found.tolist()) == sorted(expected)
