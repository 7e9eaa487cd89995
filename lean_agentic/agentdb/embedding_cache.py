"""An embedding that remembers: vectors by (name of the embedding, hash of the text), in memory and in a file.

The memory part keeps the texts used last. The file part is a SQLite database that several processes may share and
that outlives them; each vector carries a checksum, and one that is damaged is computed again. Both are bounded.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
import zlib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lean_agentic.agentdb.embedding import Embedding, EmbeddingError, checked_texts
from lean_agentic.agentdb.vector_index import Vectors

IN_MEMORY = 10_000
"""Texts: 15 MB at 384 numbers, 61 MB at 1536."""
IN_FILE = 1_000_000
_AT_ONCE = 500
"""Keys in one SELECT; SQLite allows 999 parameters in old builds."""


@dataclass(frozen=True)
class CacheCounts:
    """Where the vectors of all texts asked for so far came from."""

    memory: int = 0
    file: int = 0
    computed: int = 0


class EmbeddingCache:
    """An embedding in front of another one. Safe to use from several threads, and the file from several processes.

    Parameters
    ----------
    embedding : Embedding
        Asked for what is not cached. Its name tells its vectors from those of others in one file.
    capacity : int
        Texts kept in memory, the ones used last.
    path : Path, optional
        SQLite file; made when missing. None: memory only.
    file_capacity : int
        Vectors of this embedding kept in the file; the oldest go first.

    Raises
    ------
    EmbeddingError
        The file is no cache of embeddings.
    """

    def __init__(
        self,
        embedding: Embedding,
        *,
        capacity: int = IN_MEMORY,
        path: Path | str | None = None,
        file_capacity: int = IN_FILE,
    ) -> None:
        if capacity < 1 or file_capacity < 1:
            raise ValueError(f"a cache keeps at least 1 text, got {capacity} in memory and {file_capacity} in the file")
        self.embedding = embedding
        self._capacity = capacity
        self._memory: OrderedDict[bytes, Vectors] = OrderedDict()
        self._lock = threading.Lock()
        self._file = _VectorFile(Path(path), embedding, file_capacity) if path is not None else None
        self.counts = CacheCounts()

    @property
    def name(self) -> str:
        """Of the embedding behind: the cache changes no vector."""
        return self.embedding.name

    @property
    def dimensions(self) -> int:
        """Numbers in a vector."""
        return self.embedding.dimensions

    def embed(self, texts: Sequence[str]) -> Vectors:
        """See `Embedding.embed`; texts that occur twice are computed once."""
        texts = checked_texts(texts)
        if not texts:
            return np.empty((0, self.dimensions), np.float32)
        keys = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in texts]
        found = self._remembered(set(keys))
        in_memory = len(found)
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in found}
        if missing and self._file is not None:
            found |= self._file.read(list(missing))
        compute = {key: text for key, text in missing.items() if key not in found}
        if compute:
            computed = dict(zip(compute, self.embedding.embed(list(compute.values())), strict=True))
            if self._file is not None:
                self._file.write(computed)
            found |= computed
        self._remember(found, CacheCounts(in_memory, len(missing) - len(compute), len(compute)))
        return np.stack([found[key] for key in keys])

    def clear(self) -> None:
        """Forget the vectors of this embedding, in memory and in the file."""
        with self._lock:
            self._memory.clear()
        if self._file is not None:
            self._file.clear()

    def close(self) -> None:
        """Close the file; the memory part goes on."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _remembered(self, keys: set[bytes]) -> dict[bytes, Vectors]:
        with self._lock:
            found = {key: self._memory[key] for key in keys if key in self._memory}
            for key in found:
                self._memory.move_to_end(key)
            return found

    def _remember(self, found: dict[bytes, Vectors], counts: CacheCounts) -> None:
        with self._lock:
            for key, vector in found.items():
                # A copy: a row of a batch would keep the whole batch alive.
                self._memory[key] = vector if vector.base is None else vector.copy()
                self._memory.move_to_end(key)
            while len(self._memory) > self._capacity:
                self._memory.popitem(last=False)
            old = self.counts
            self.counts = CacheCounts(
                old.memory + counts.memory, old.file + counts.file, old.computed + counts.computed
            )

    def __len__(self) -> int:
        """Texts in memory."""
        return len(self._memory)

    def __repr__(self) -> str:
        return f"EmbeddingCache({self.embedding!r}, {len(self)} in memory)"


class _VectorFile:
    """The SQLite file. One connection behind a lock; a forked child opens its own."""

    def __init__(self, path: Path, embedding: Embedding, capacity: int) -> None:
        self._path = path
        self._name = embedding.name
        self._bytes = 4 * embedding.dimensions
        self._capacity = capacity
        self._lock = threading.Lock()
        self._opened: tuple[int, sqlite3.Connection] | None = None
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with self._connection() as connection:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = NORMAL")
                connection.execute(
                    "CREATE TABLE IF NOT EXISTS embeddings (id INTEGER PRIMARY KEY, name TEXT NOT NULL, "
                    "hash BLOB NOT NULL, checksum INTEGER NOT NULL, vector BLOB NOT NULL, UNIQUE (name, hash))"
                )
        except sqlite3.DatabaseError as error:
            raise EmbeddingError(
                f"{path} is no cache of embeddings ({error}): name another file, or remove it if it is an old cache"
            ) from error

    def read(self, keys: list[bytes]) -> dict[bytes, Vectors]:
        """The vectors that are there and whole, by key."""
        found: dict[bytes, Vectors] = {}
        with self._connection() as connection:
            for at in range(0, len(keys), _AT_ONCE):
                part = keys[at : at + _AT_ONCE]
                rows = connection.execute(
                    "SELECT hash, checksum, vector FROM embeddings WHERE name = ? AND hash IN "
                    f"({', '.join('?' * len(part))})",
                    (self._name, *part),
                )
                for key, checksum, blob in rows:
                    if len(blob) == self._bytes and zlib.crc32(blob) == checksum:
                        found[key] = np.frombuffer(blob, "<f4").astype(np.float32)
        return found

    def write(self, vectors: dict[bytes, Vectors]) -> None:
        """Keep vectors, and drop the oldest ones that are too many."""
        rows = []
        for key, vector in vectors.items():
            blob = vector.astype("<f4").tobytes()
            rows.append((self._name, key, zlib.crc32(blob), blob))
        with self._connection() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO embeddings (name, hash, checksum, vector) VALUES (?, ?, ?, ?)", rows
            )
            connection.execute(
                "DELETE FROM embeddings WHERE name = :name AND id IN "
                "(SELECT id FROM embeddings WHERE name = :name ORDER BY id DESC LIMIT -1 OFFSET :capacity)",
                {"name": self._name, "capacity": self._capacity},
            )

    def clear(self) -> None:
        with self._connection() as connection:
            connection.execute("DELETE FROM embeddings WHERE name = ?", (self._name,))

    def close(self) -> None:
        with self._lock:
            if self._opened is not None:
                self._opened[1].close()
                self._opened = None

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            if self._opened is None or self._opened[0] != os.getpid():
                connection = sqlite3.connect(self._path, timeout=30, check_same_thread=False)
                self._opened = (os.getpid(), connection)
            with self._opened[1] as connection:
                yield connection
