"""The cache changes no vector, asks once, survives in its file, and is bounded."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lean_agentic.agentdb.embedding import EmbeddingError, FunctionEmbedding
from lean_agentic.agentdb.embedding_cache import CacheCounts, EmbeddingCache


class Counted:
    """A function embedding that keeps what it was asked for."""

    def __init__(self, name: str = "bytes", dimensions: int = 4) -> None:
        self.asked: list[str] = []
        self.embedding = FunctionEmbedding(name, dimensions, self._vectors)

    def _vectors(self, texts: list[str]) -> list[list[float]]:
        self.asked += texts
        size = self.embedding.dimensions
        return [[1.0 + sum(text.encode("utf-8", "surrogatepass")[at::size]) for at in range(size)] for text in texts]


@settings(max_examples=30, deadline=None)
@given(calls=st.lists(st.lists(st.text(max_size=3), max_size=6), max_size=6), capacity=st.integers(1, 4))
def test_the_cache_changes_no_vector(calls: list[list[str]], capacity: int) -> None:
    cache = EmbeddingCache(Counted().embedding, capacity=capacity)
    for texts in calls:
        np.testing.assert_array_equal(cache.embed(texts), Counted().embedding.embed(texts))
        assert len(cache) <= capacity


def test_a_text_is_asked_for_once() -> None:
    counted = Counted()
    cache = EmbeddingCache(counted.embedding)
    cache.embed(["a", "b", "a"])
    cache.embed(["b", "c"])
    assert counted.asked == ["a", "b", "c"]
    assert cache.counts == CacheCounts(memory=1, file=0, computed=3)
    assert (cache.name, cache.dimensions) == ("bytes", 4)


def test_the_texts_used_last_stay_in_memory() -> None:
    counted = Counted()
    cache = EmbeddingCache(counted.embedding, capacity=2)
    for text in ("a", "b", "a", "c", "a", "b"):
        cache.embed([text])
    assert counted.asked == ["a", "b", "c", "b"]


def test_the_file_outlives_the_process_and_tells_embeddings_apart(tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite"
    first = EmbeddingCache(Counted().embedding, path=path)
    expected = first.embed(["a", "b"])
    first.close()
    again, other = Counted(), Counted(name="other")
    np.testing.assert_array_equal(EmbeddingCache(again.embedding, path=path).embed(["b", "a"]), expected[::-1])
    EmbeddingCache(other.embedding, path=path).embed(["a"])
    assert again.asked == []
    assert other.asked == ["a"]


def test_many_texts_are_read_from_the_file(tmp_path: Path) -> None:
    texts = [str(number) for number in range(1203)]
    first = EmbeddingCache(Counted().embedding, path=tmp_path / "cache")
    expected = first.embed(texts)
    first.close()
    counted = Counted()
    np.testing.assert_array_equal(EmbeddingCache(counted.embedding, path=tmp_path / "cache").embed(texts), expected)
    assert counted.asked == []


@pytest.mark.parametrize(
    "damage", ["UPDATE embeddings SET vector = zeroblob(16)", "UPDATE embeddings SET vector = x''"]
)
def test_a_damaged_vector_is_computed_again(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "cache"
    cache = EmbeddingCache(Counted().embedding, path=path)
    expected = cache.embed(["a"])
    cache.close()
    with sqlite3.connect(path) as connection:
        connection.execute(damage)
    connection.close()
    counted = Counted()
    again = EmbeddingCache(counted.embedding, path=path)
    np.testing.assert_array_equal(again.embed(["a"]), expected)
    assert counted.asked == ["a"]
    again.close()
    assert EmbeddingCache(Counted().embedding, path=path).embed(["a"]).tolist() == expected.tolist()


def test_the_oldest_vectors_leave_a_full_file(tmp_path: Path) -> None:
    cache = EmbeddingCache(Counted().embedding, path=tmp_path / "cache", file_capacity=2)
    cache.embed(["a", "b", "c"])
    cache.close()
    counted = Counted()
    EmbeddingCache(counted.embedding, path=tmp_path / "cache").embed(["a", "b", "c"])
    assert counted.asked == ["a"]


def test_clear_forgets_this_embedding_alone(tmp_path: Path) -> None:
    mine, other = Counted(), Counted(name="other")
    cache = EmbeddingCache(mine.embedding, path=tmp_path / "cache")
    neighbour = EmbeddingCache(other.embedding, path=tmp_path / "cache", capacity=1)
    cache.embed(["a"])
    neighbour.embed(["a", "b"])
    cache.clear()
    cache.embed(["a"])
    neighbour.embed(["a"])
    assert (mine.asked, other.asked) == (["a", "a"], ["a", "b"])


def test_another_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database, but long enough to be read as the header of one", encoding="utf-8")
    with pytest.raises(EmbeddingError, match=r"notes\.txt is no cache of embeddings"):
        EmbeddingCache(Counted().embedding, path=path)


def test_threads_share_a_cache(tmp_path: Path) -> None:
    cache = EmbeddingCache(Counted().embedding, path=tmp_path / "cache", capacity=3)
    plain = Counted().embedding
    wrong: list[str] = []

    def work(seed: int) -> None:
        for at in range(30):
            texts = [str((seed + at * step) % 11) for step in range(1, 4)]
            if not np.array_equal(cache.embed(texts), plain.embed(texts)):
                wrong.extend(texts)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_cache_keeps_something() -> None:
    with pytest.raises(ValueError, match="at least 1 text"):
        EmbeddingCache(Counted().embedding, capacity=0)
