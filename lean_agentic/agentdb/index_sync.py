"""Keeps a vector index abreast of the store: what it missed is replayed before each search.

The index is a cache. It remembers the number of the last change that it holds; whoever changed the store, this process
or another, the search first compares that number with the store's.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from lean_agentic.agentdb.allowed_ids import AllowedIds
from lean_agentic.agentdb.errors import StoreUnavailableError
from lean_agentic.agentdb.filters import Filter
from lean_agentic.agentdb.saved_index import SavedIndex
from lean_agentic.agentdb.store import Store
from lean_agentic.agentdb.vector_index import Hits, Ids, VectorIndex, Vectors

SAVE_EVERY = 20_000
SAVE_SHARE = 0.1
"""A large index is saved when this share of it has changed: saving costs as much as it is large."""
REPLAYED_AT_ONCE = 1000

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class IndexFactory:
    """How a backend makes its indexes."""

    new: Callable[[int], VectorIndex]
    """An empty index of so many dimensions, whatever was there before."""
    load: Callable[[Path], VectorIndex]
    """What was saved in a folder: FileNotFoundError without, CorruptIndexError where it is damaged."""


class IndexSync:
    """A vector index that answers for the store as it is now. Safe for several threads, and processes by one folder.

    Make a new one after a fork: a backend's own locks may be held by threads that the child has not.
    """

    def __init__(self, store: Store, factory: IndexFactory, folder: Path, *, save_every: int = SAVE_EVERY) -> None:
        """Load what is saved in `folder` where it fits; the rest is replayed at the first search, or by `catch_up`.

        Parameters
        ----------
        save_every
            Changes after which it is saved in the background, besides when it is closed.
        """
        self._store = store
        self._factory = factory
        self._files = SavedIndex(store, Path(folder))
        self._save_every = save_every
        self._allowed = AllowedIds(store)
        self._lock = threading.RLock()
        self._saver: threading.Thread | None = None
        self._saved = 0
        """Watermark of what is saved."""
        self._trimmed_at_start = 0
        self._anew = False
        """Whether the index was built anew since it was saved."""
        self._closed = False
        self._index: VectorIndex | None = None
        self._open()

    @property
    def index(self) -> VectorIndex | None:
        """The index, as far as it has caught up; None while the store has no vectors."""
        return self._index

    def catch_up(self) -> int:
        """Replay what the index missed; how many changes. Looks at a single number where it missed none."""
        with self._store.read(committed=True):
            target = self._store.last_change()
        if not self._is_behind(target):
            return 0
        replayed = 0
        with self._lock:
            while self._is_behind(target):
                replayed += self._replay()
            self._save_if_due()
        return replayed

    def search(self, queries: Vectors, k: int, where: Filter | None = None) -> Hits:
        """The k most similar records in use for each (n, d) unit query, among those that pass the filter.

        Sees whatever was committed before the call, by any process. Archived records are never found.
        """
        self.catch_up()
        index = self._index
        if index is None:
            return Hits([np.empty(0, np.int64) for _ in queries], [np.empty(0, np.float32) for _ in queries])
        return index.search(queries, k, self.allowed(where))

    def allowed(self, where: Filter | None) -> Ids | None:
        """The ids that a filter lets through, ascending int64; None where it lets through all that are in use."""
        return None if where is None or where.allows_all_live else self._allowed.ids(where)

    def rebuild(self) -> int:
        """Build the index anew from the store; how many vectors it holds then.

        Saved after that, no file of it has anything of what was forgotten: a backend may keep removed vectors.
        """
        with self._lock:
            self._start_anew()
            self.catch_up()
            return 0 if self._index is None else len(self._index)

    def save(self) -> bool:
        """Save the index; False where a newer one is saved already, or there is none.

        Raises RuntimeError inside `Store.write`: what is saved must be committed.
        """
        if self._store.in_write:
            raise RuntimeError("the index cannot be saved inside a write transaction: save it after the block")
        index = self._index
        if index is None:
            return False
        saved, done = self._files.save(index, self._lock, again=self._anew)
        self._saved, self._anew = max(self._saved, saved), False
        return done

    def close(self) -> None:
        """Save what is not saved yet, and release the index; before the store is closed. Safe to call twice."""
        if self._saver is not None:
            self._saver.join()
        with self._lock:
            if self._closed:
                return
            self._closed = True
        if self._index is not None:
            if self._index.watermark > self._saved:
                self.save()
            self._index.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _is_behind(self, target: int) -> bool:
        if self._closed:
            raise StoreUnavailableError(f"the index in {self._files.folder} was closed: open it again")
        return target > (0 if self._index is None else self._index.watermark)

    def _replay(self) -> int:
        """Bring the next changes in; how many. Starts anew where the log has not all of them any more."""
        if self._index is None:
            self._open()
        index = self._index
        assert index is not None, "changes are of vectors, and those settle the dimensions"
        with self._store.read(committed=True):
            trimmed = self._store.oldest_change() - 1
            changes = self._store.changes_since(index.watermark, REPLAYED_AT_ONCE)
            last = self._store.last_change()
            live = [change.record_id for change in changes if change.live]
            vectors = self._store.vectors(live)
        if trimmed > max(index.watermark, self._trimmed_at_start):
            log.warning("the index is older than the store's log of changes, building it anew: %s", self._files.folder)
            self._start_anew()
            return 0
        if live:
            index.add(np.array(live, np.int64), vectors)
        index.remove(np.array([change.record_id for change in changes if not change.live], np.int64))
        index.advance(changes[-1].seq if len(changes) == REPLAYED_AT_ONCE else last)
        return len(changes)

    def _open(self) -> None:
        with self._store.read(committed=True):
            dimensions = self._store.dimensions
        if dimensions is None:
            return
        # Inside a write transaction a saver in another process may be waiting for it, with the folder locked.
        index = None if self._store.in_write else self._files.load(self._factory.load, dimensions)
        if index is None:
            self._start_anew()
        else:
            self._index, self._saved, self._trimmed_at_start = index, index.watermark, 0

    def _start_anew(self) -> None:
        with self._store.read(committed=True):
            dimensions = self._store.dimensions
            # An empty index does not miss what was trimmed before.
            trimmed = self._store.oldest_change() - 1
        if dimensions is None:
            return
        before, self._index = self._index, self._factory.new(dimensions)
        self._index.database = self._store.database
        self._saved, self._trimmed_at_start, self._anew = 0, trimmed, True
        if before is not None:
            before.close()

    def _save_if_due(self) -> None:
        index = self._index
        if index is None or (self._saver is not None and self._saver.is_alive()):
            return
        if index.watermark - self._saved >= max(self._save_every, SAVE_SHARE * len(index)):
            self._saver = threading.Thread(target=self._save_in_background, name="save index", daemon=True)
            self._saver.start()

    def _save_in_background(self) -> None:
        try:
            self.save()
        except Exception:
            log.warning("the index was not saved in %s; closing it tries again", self._files.folder, exc_info=True)
