"""Which slot of an index holds the vector of a record: a map from ids to slots that looks up whole arrays.

Two parallel sorted arrays, 16 bytes an id, where a dict takes about 100. Ids of records grow, so that nearly every
insertion is at the end.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int64]

ABSENT = -1


class IdSlots:
    """Ids (any int64) to slots (0 and up). Not locked: its owner does that."""

    def __init__(self, ids: Ids | None = None, slots: Ids | None = None) -> None:
        """Start from ascending ids without repetition and their slots, or empty."""
        self._ids: Ids = np.empty(0, np.int64) if ids is None else np.array(ids, np.int64)
        self._slots: Ids = np.empty(0, np.int64) if slots is None else np.array(slots, np.int64)
        self._used = len(self._ids)
        self._live = self._used

    def __len__(self) -> int:
        return self._live

    def __contains__(self, record_id: int) -> bool:
        return bool(self.find(np.array([record_id], np.int64))[0] != ABSENT)

    def find(self, ids: Ids) -> Ids:
        """The slot of each id, ABSENT where there is none."""
        if not self._used:
            return np.full(len(ids), ABSENT, np.int64)
        places = np.searchsorted(self._ids[: self._used], ids)
        np.minimum(places, self._used - 1, out=places)
        return np.where(self._ids[places] == ids, self._slots[places], ABSENT)

    def put(self, ids: Ids, slots: Ids) -> None:
        """Set the slots of ids without repetition, new or known."""
        order = np.argsort(ids, kind="stable")
        ids, slots = ids[order], slots[order]
        places = np.searchsorted(self._ids[: self._used], ids)
        known = places < self._used
        known[known] = self._ids[places[known]] == ids[known]
        self._live += int(np.count_nonzero(self._slots[places[known]] == ABSENT)) + int(np.count_nonzero(~known))
        self._slots[places[known]] = slots[known]
        self._insert(places[~known], ids[~known], slots[~known])

    def remove(self, ids: Ids) -> Ids:
        """Forget ids, none twice; returns the slots of those that were there."""
        slots = self.find(ids)
        present = slots != ABSENT
        self._slots[np.searchsorted(self._ids[: self._used], ids[present])] = ABSENT
        self._live -= int(np.count_nonzero(present))
        if self._used > 2 * self._live + 1024:
            self._ids, self._slots = self.items()
            self._used = self._live
        found: Ids = slots[present]
        return found

    def items(self) -> tuple[Ids, Ids]:
        """All ids, ascending, and their slots."""
        kept = self._slots[: self._used] != ABSENT
        return self._ids[: self._used][kept], self._slots[: self._used][kept]

    def nbytes(self) -> int:
        """Bytes of both arrays."""
        return self._ids.nbytes + self._slots.nbytes

    def _insert(self, places: Ids, ids: Ids, slots: Ids) -> None:
        if not len(ids):
            return
        end = self._used + len(ids)
        if places[0] < self._used:
            self._ids = np.insert(self._ids[: self._used], places, ids)
            self._slots = np.insert(self._slots[: self._used], places, slots)
        else:
            self._reserve(end)
            self._ids[self._used : end], self._slots[self._used : end] = ids, slots
        self._used = end

    def _reserve(self, size: int) -> None:
        if size > len(self._ids):
            room = np.zeros(size + size // 4 - self._used, np.int64)
            self._ids = np.concatenate([self._ids[: self._used], room])
            self._slots = np.concatenate([self._slots[: self._used], room])
