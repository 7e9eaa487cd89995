"""A memory to recall from: a store, an exact index, and an embedding that counts words."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lean_agentic.agentdb.embedding import FunctionEmbedding
from lean_agentic.agentdb.index_sync import IndexFactory, IndexSync
from lean_agentic.agentdb.ranking import Weights
from lean_agentic.agentdb.recall import Recall
from lean_agentic.agentdb.records import Record
from lean_agentic.agentdb.store import Store
from lean_agentic.agentdb.text_search import split_words
from tests.agentdb.exact_index import ExactIndex

DIMENSIONS = 64
DAY = 86400.0


def word_counts(texts: list[str]) -> np.ndarray:
    """(n, DIMENSIONS): words counted by a hash of each; the last number keeps texts without words off zero."""
    rows = np.zeros((len(texts), DIMENSIONS))
    rows[:, -1] = 0.1
    for row, text in zip(rows, texts, strict=True):
        for word in split_words(text.lower()):
            row[hashlib.blake2b(word.encode(), digest_size=2).digest()[0] % (DIMENSIONS - 1)] += 1
    return rows


WORDS = FunctionEmbedding("word counts", DIMENSIONS, word_counts)


@dataclass
class Memory:
    """What a facade would hold together."""

    store: Store
    index: IndexSync
    recall: Recall

    def add(self, records: Sequence[Record]) -> list[int]:
        """Store records with the vectors of their texts."""
        return self.store.add(records, WORDS.embed([record.text for record in records]))


@contextmanager
def opened(folder: Path, weights: Weights | None = None) -> Iterator[Memory]:
    """The memory in a folder."""
    store = Store(folder / "memory.db", dimensions=DIMENSIONS, embedding=WORDS.name)
    with store, IndexSync(store, IndexFactory(ExactIndex, ExactIndex.load), folder / "index") as index:
        yield Memory(store, index, Recall(store, index, WORDS, weights=weights))
