"""What indexes share whose library keeps each vector under its record's id: which ids are live, locks, numbers.

In: a library's index and the ids that it holds. Out: the part of `VectorIndex` that needs no library.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from threading import Lock
from typing import Generic, TypeVar

import numpy as np

from lean_agentic.agentdb.graph_settings import GraphSettings
from lean_agentic.agentdb.id_slots import ABSENT, IdSlots
from lean_agentic.agentdb.readers_writer_lock import ReadersWriterLock
from lean_agentic.agentdb.vector_index import Ids, require_advance, unknown

S = TypeVar("S", bound=GraphSettings)


class KeyedIndex(Generic[S]):
    """Base of such indexes. `_lock` guards the library and `_live`; `_writing` lets one writer in at a time."""

    database: str
    _settings: S

    def _hold(self, ids: Iterable[int], dimensions: int, database: str, watermark: int) -> None:
        """Begin with the ids that the library's index holds."""
        self.database = database
        self._dimensions = dimensions
        self._watermark = watermark
        keys = np.sort(np.fromiter(ids, np.int64))
        self._live = IdSlots(keys, np.zeros(len(keys), np.int64))
        self._lock = ReadersWriterLock()
        self._writing = Lock()

    @property
    def dimensions(self) -> int:
        """Numbers in a vector."""
        return self._dimensions

    @property
    def watermark(self) -> int:
        """Sequence number of the last change of the store that the index holds."""
        return self._watermark

    def advance(self, watermark: int) -> None:
        """Note that all changes up to this sequence number are in."""
        self._watermark = require_advance(self._watermark, watermark)

    @property
    def settings(self) -> S:
        """The parameters of the graph."""
        return self._settings

    @property
    def ef_search(self) -> int:
        """Candidates kept while searching; settable at any time."""
        return self._settings.ef_search

    @ef_search.setter
    def ef_search(self, ef: int) -> None:
        self._settings = replace(self._settings, ef_search=ef)
        self._set_ef(ef)

    def _set_ef(self, ef: int) -> None:
        """Tell the library, where it keeps the number itself."""

    def __len__(self) -> int:
        return len(self._live)

    def __contains__(self, record_id: int) -> bool:
        with self._lock.reading:
            return record_id in self._live

    def ids(self) -> Ids:
        """All live ids, ascending."""
        with self._lock.reading:
            return self._live.items()[0]

    def _require_live(self, ids: Ids) -> None:
        """UnknownRecordError for ids that are not; `_lock` is held."""
        missing = ids[self._live.find(ids) == ABSENT]
        if len(missing):
            raise unknown(missing)
