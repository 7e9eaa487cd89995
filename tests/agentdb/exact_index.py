"""An exact vector index in a dict: slow, obvious, and therefore the oracle of the real ones."""

from __future__ import annotations

import hashlib
import io
import os
import threading
import uuid
from pathlib import Path

import numpy as np

from lean_agentic.agentdb.errors import CorruptIndexError, UnknownRecordError
from lean_agentic.agentdb.vector_index import Hits, Ids, Vectors, unit_rows

FILE = "exact.npz"
DIGEST = 32


class ExactIndex:
    """A `VectorIndex` that compares a query with every vector."""

    def __init__(self, dimensions: int) -> None:
        self.dimensions = dimensions
        self.database = ""
        self.watermark = 0
        self._rows: dict[int, np.ndarray] = {}
        self._lock = threading.RLock()

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, record_id: int) -> bool:
        return record_id in self._rows

    def add(self, ids: Ids, vectors: Vectors) -> None:
        rows = unit_rows(vectors, self.dimensions) if len(ids) else vectors
        assert len(ids) == len(rows)
        with self._lock:
            self._rows.update(zip((int(i) for i in ids), rows, strict=True))

    def remove(self, ids: Ids) -> None:
        with self._lock:
            for record_id in ids:
                self._rows.pop(int(record_id), None)

    def vectors(self, ids: Ids) -> Vectors:
        with self._lock:
            if missing := [int(i) for i in ids if int(i) not in self._rows]:
                raise UnknownRecordError(f"no vectors of {missing}")
            return np.array([self._rows[int(i)] for i in ids], np.float32).reshape(-1, self.dimensions)

    def ids(self) -> Ids:
        with self._lock:
            return np.array(sorted(self._rows), np.int64)

    def search(self, queries: Vectors, k: int, allowed: Ids | None = None) -> Hits:
        with self._lock:
            ids = self.ids() if allowed is None else np.intersect1d(self.ids(), allowed)
            rows = self.vectors(ids)
        similarities = unit_rows(queries, self.dimensions) @ rows.T
        # Equal similarities: the smaller id first.
        order = np.argsort(-similarities, axis=1, kind="stable")[:, :k]
        return Hits([ids[row] for row in order], [line[row] for line, row in zip(similarities, order, strict=True)])

    def advance(self, watermark: int) -> None:
        if watermark < self.watermark:
            raise ValueError(f"the index is at {self.watermark} already, got {watermark}")
        self.watermark = watermark

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        with self._lock:
            ids, buffer = self.ids(), io.BytesIO()
            np.savez(buffer, ids=ids, rows=self.vectors(ids), about=[self.database, str(self.watermark)])
        content = buffer.getvalue()
        temporary = folder / f"{FILE}.{uuid.uuid4().hex}"
        temporary.write_bytes(hashlib.sha256(content).digest() + content)
        os.replace(temporary, folder / FILE)

    @classmethod
    def load(cls, folder: Path) -> ExactIndex:
        content = (folder / FILE).read_bytes()
        if hashlib.sha256(content[DIGEST:]).digest() != content[:DIGEST]:
            raise CorruptIndexError(f"{folder / FILE} is damaged")
        saved = np.load(io.BytesIO(content[DIGEST:]))
        index = cls(saved["rows"].shape[1])
        index.add(saved["ids"], saved["rows"])
        index.database, watermark = map(str, saved["about"])
        index.advance(int(watermark))
        return index

    def memory_bytes(self) -> int:
        with self._lock:
            return sum(row.nbytes for row in self._rows.values())

    def close(self) -> None:
        pass
