"""A vector index as it should be for the store as it is now, whether something keeps it abreast or not."""

from __future__ import annotations

import numpy as np

from lean_agentic.agentdb.errors import CorruptIndexError
from lean_agentic.agentdb.index_sync import IndexSync
from lean_agentic.agentdb.store import Store
from lean_agentic.agentdb.vector_index import VectorIndex

AT_ONCE = 1000


def caught_up(index: IndexSync | VectorIndex, store: Store) -> VectorIndex | None:
    """The index with all committed changes in; None while the store has no vectors.

    Raises CorruptIndexError for a bare index that is older than the store's log of changes.
    """
    if isinstance(index, IndexSync):
        index.catch_up()
        return index.index
    with store.read(committed=True):
        if store.oldest_change() - 1 > index.watermark > 0:
            raise CorruptIndexError(
                "the index is older than the store's log of changes: build it anew, or by IndexSync"
            )
        last = store.last_change()
        while changes := store.changes_since(index.watermark, AT_ONCE):
            live = [change.record_id for change in changes if change.live]
            index.remove(np.array([change.record_id for change in changes if not change.live], np.int64))
            if live:
                index.add(np.array(live, np.int64), store.vectors(live))
            index.advance(changes[-1].seq)
        index.advance(max(last, index.watermark))
    return index
