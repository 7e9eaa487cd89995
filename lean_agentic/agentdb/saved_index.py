"""A vector index saved in a folder: taken back only where it was built from this store, and never replaced by an older.

What is saved carries a token, which the store notes. Another store does not know the token, and neither does a backup
of this one that was restored since, although its changes may have reached the same numbers again.
"""

from __future__ import annotations

import json
import logging
import os
import time
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from lean_agentic.agentdb import change_log
from lean_agentic.agentdb.errors import CorruptIndexError, StoreUnavailableError
from lean_agentic.agentdb.store import Store
from lean_agentic.agentdb.vector_index import VectorIndex

LOCK = "sync.lock"
NOTE = "sync.json"
WRITE_WAIT_S = 0.05
"""How long to wait at a time for other writers of the store."""
GIVE_UP_S = 60.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Note:
    """What is saved in a folder, beside it: reading it needs no backend."""

    database: str
    """Random id of the store, a colon, and the token."""
    watermark: int


class SavedIndex:
    """The index saved in `folder` for a store. Processes take turns by a lock file in it."""

    def __init__(self, store: Store, folder: Path) -> None:
        self._store = store
        self.folder = folder

    def load(self, load: Callable[[Path], VectorIndex], dimensions: int) -> VectorIndex | None:
        """What the backend's `load` makes of the folder; None where nothing is saved.

        None with a logged warning where it is damaged, of another store, or older than the store's log of changes.
        """
        if not self.folder.is_dir():
            return None
        with FileLock(self.folder / LOCK):
            index, fault = self._sound(load, dimensions)
            if index is None:
                # Or it would keep the next one from being saved.
                (self.folder / NOTE).unlink(missing_ok=True)
            else:
                self._write_note(Note(index.database, index.watermark))
        if fault is not None:
            log.warning("the index in %s is built anew from the store: %s", self.folder, fault)
        return index

    def save(
        self, index: VectorIndex, still: AbstractContextManager[object], *, again: bool = False
    ) -> tuple[int, bool]:
        """Save the index while `still`, a lock that keeps it from changing, is held; unless a newer one is saved.

        One that is as new is replaced where it is to be saved `again`.

        Returns the watermark of what is saved now, and whether that is this one. Not inside `Store.write`.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + GIVE_UP_S
        with FileLock(self.folder / LOCK):
            while True:
                with still:
                    saved = self._read_note()
                    newer = saved is not None and saved.watermark >= index.watermark + again
                    if saved is not None and newer and self._is_known(saved.database):
                        return saved.watermark, False
                    if self._note_token(token := uuid.uuid4().hex, index.watermark, time.monotonic() > deadline):
                        index.database = f"{self._store.database}:{token}"
                        index.save(self.folder)
                        self._write_note(Note(index.database, index.watermark))
                        return index.watermark, True
                time.sleep(WRITE_WAIT_S)

    def _note_token(self, token: str, watermark: int, last_try: bool) -> bool:
        """Note the token in the store, before anything is saved with it; whether that was possible soon.

        A writer may be waiting for `still`, so that waiting for it while holding that would never end.
        """
        try:
            with self._store.write(wait_s=WRITE_WAIT_S) as connection:
                change_log.note_snapshot(connection, token, watermark)
        except StoreUnavailableError:
            if last_try:
                raise
            return False
        return True

    def _sound(self, load: Callable[[Path], VectorIndex], dimensions: int) -> tuple[VectorIndex | None, str | None]:
        """The index, or what is wrong with it; neither where nothing is saved."""
        try:
            index = load(self.folder)
        except FileNotFoundError:
            return None, None
        except CorruptIndexError as error:
            return None, str(error)
        fault = self._misfit(index, dimensions)
        if fault is None:
            return index, None
        index.close()
        return None, fault

    def _misfit(self, index: VectorIndex, dimensions: int) -> str | None:
        if index.dimensions != dimensions:
            return f"it has {index.dimensions} dimensions, the store {dimensions}"
        if not self._is_known(index.database):
            return "it was built from another store, or from a later state than that of this restored one"
        with self._store.read(committed=True):
            oldest, last = self._store.oldest_change(), self._store.last_change()
        if not oldest - 1 <= index.watermark <= last:
            return f"it holds the changes up to {index.watermark}, the store has those from {oldest} to {last}"
        return None

    def _is_known(self, database: str) -> bool:
        store, _, token = database.partition(":")
        with self._store.read(committed=True) as connection:
            return store == self._store.database and change_log.knows_snapshot(connection, token)

    def _read_note(self) -> Note | None:
        try:
            values = json.loads((self.folder / NOTE).read_text(encoding="utf-8"))
            return Note(str(values["database"]), int(values["watermark"]))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            log.warning("%s is damaged and written anew: %s", self.folder / NOTE, error)
            return None

    def _write_note(self, note: Note) -> None:
        temporary = self.folder / f"{NOTE}-{uuid.uuid4().hex}"
        temporary.write_text(json.dumps({"database": note.database, "watermark": note.watermark}), encoding="utf-8")
        os.replace(temporary, self.folder / NOTE)
