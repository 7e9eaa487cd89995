"""Which ids a filter allows, kept between calls and brought up to date by the change log.

A filter over a hundred thousand records costs tens of milliseconds to evaluate; after a few changes only the changed
records are looked at again, and their ids taken out of or put into the array of before.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, replace

import numpy as np

from lean_agentic.agentdb.filters import Filter
from lean_agentic.agentdb.store import Store
from lean_agentic.agentdb.vector_index import Ids

MOST_IDS = 8_000_000
"""Ids kept in all, 8 bytes each."""
MOST_CHANGES = 2000
"""Above this many changes a filter is evaluated anew."""


@dataclass(frozen=True)
class _Answer:
    seq: int
    """Last change of the store that it takes account of."""
    ids: Ids


class AllowedIds:
    """Answers of `Store.ids`, for records with vectors, remembered. Safe for several threads."""

    def __init__(self, store: Store, most_ids: int = MOST_IDS) -> None:
        self._store = store
        self._most_ids = most_ids
        self._answers: OrderedDict[str, _Answer] = OrderedDict()
        self._lock = threading.Lock()

    def ids(self, where: Filter) -> Ids:
        """The ids of the committed records with vectors that pass, ascending int64; others without may be among them.

        The array is shared: do not write to it.
        """
        with self._store.read(committed=True):
            if where.ids is not None or where.everything:
                # The key of ids would be as long as the answer.
                return self._store.ids(where)
            answer = self._current(where, self._remembered(where.key))
        self._remember(where.key, answer)
        return answer.ids

    def _current(self, where: Filter, before: _Answer | None) -> _Answer:
        last = self._store.last_change()
        if before is not None and before.seq == last:
            return before
        if before is not None and before.seq >= self._store.oldest_change() - 1:
            changes = self._store.changes_since(before.seq, MOST_CHANGES)
            if len(changes) < MOST_CHANGES:
                changed = np.sort(np.array([change.record_id for change in changes], np.int64))
                matching = self._store.ids(replace(where, ids=changed.tolist()))
                return _Answer(last, _patched(before.ids, changed, matching))
        return _Answer(last, self._store.ids(where))

    def _remembered(self, key: str) -> _Answer | None:
        with self._lock:
            if key in self._answers:
                self._answers.move_to_end(key)
            return self._answers.get(key)

    def _remember(self, key: str, answer: _Answer) -> None:
        with self._lock:
            known = self._answers.get(key)
            if known is None or known.seq < answer.seq:
                self._answers[key] = answer
            while sum(len(kept.ids) for kept in self._answers.values()) > self._most_ids:
                self._answers.popitem(last=False)


def _patched(ids: Ids, changed: Ids, matching: Ids) -> Ids:
    """The ascending ids without the changed ones, and with those of them that match."""
    places = np.searchsorted(ids, changed)
    there = places < len(ids)
    there[there] = ids[places[there]] == changed[there]
    rest = np.delete(ids, places[there])
    patched: Ids = np.insert(rest, np.searchsorted(rest, matching), matching)
    return patched
