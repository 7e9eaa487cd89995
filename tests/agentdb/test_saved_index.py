"""Saved indexes: which are taken back, and which are replaced."""

from __future__ import annotations

import logging
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lean_agentic.agentdb.saved_index as module
from lean_agentic.agentdb.errors import StoreUnavailableError
from lean_agentic.agentdb.saved_index import LOCK, NOTE, SavedIndex
from lean_agentic.agentdb.store import Store
from tests.agentdb.exact_index import FILE, ExactIndex
from tests.agentdb.store_records import episodes, unit_vectors


@pytest.fixture
def store(tmp_path: Path) -> Any:
    with Store(tmp_path / "memory.db") as opened:
        opened.add(episodes("abc"), unit_vectors(3))
        yield opened


def index_of(store: Store, watermark: int) -> ExactIndex:
    index = ExactIndex(4)
    ids = [change.record_id for change in store.changes_since(0) if change.seq <= watermark]
    index.add(np.array(ids), store.vectors(ids))
    index.advance(watermark)
    return index


def test_nothing_is_loaded_where_nothing_is_saved(store: Store, tmp_path: Path) -> None:
    assert SavedIndex(store, tmp_path / "none").load(ExactIndex.load, 4) is None
    assert not (tmp_path / "none").exists()


def test_what_is_saved_is_loaded(store: Store, tmp_path: Path) -> None:
    files = SavedIndex(store, tmp_path / "index")
    assert files.save(index_of(store, 3), nullcontext()) == (3, True)
    loaded = files.load(ExactIndex.load, 4)
    assert loaded is not None
    assert loaded.watermark == 3
    assert loaded.ids().tolist() == [1, 2, 3]


def test_an_older_index_is_not_saved_over_a_newer(store: Store, tmp_path: Path) -> None:
    files = SavedIndex(store, tmp_path / "index")
    files.save(index_of(store, 2), nullcontext())
    assert files.save(index_of(store, 1), nullcontext()) == (2, False)
    assert files.save(index_of(store, 3), nullcontext()) == (3, True)
    assert files.save(index_of(store, 3), nullcontext()) == (3, False)
    assert files.save(index_of(store, 3), nullcontext(), again=True) == (3, True)
    assert files.save(index_of(store, 2), nullcontext(), again=True) == (3, False)
    assert ExactIndex.load(tmp_path / "index").watermark == 3


@pytest.mark.parametrize("content", ["", "{", "[]", '{"database": "x"}', '{"database": "x", "watermark": "y"}'])
def test_a_damaged_note_is_written_anew(
    store: Store, tmp_path: Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    files = SavedIndex(store, tmp_path)
    files.save(index_of(store, 2), nullcontext())
    (tmp_path / NOTE).write_text(content)
    assert files.save(index_of(store, 3), nullcontext()) == (3, True)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_a_save_that_was_killed_before_its_note_does_no_harm(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = SavedIndex(store, tmp_path)
    files.save(index_of(store, 2), nullcontext())
    orphan = index_of(store, 3)
    orphan.database = f"{store.database}:never noted"
    orphan.save(tmp_path)
    assert files.load(ExactIndex.load, 4) is None
    assert "built anew" in caplog.text
    # The note of the replaced index is gone, or it would keep the next from being saved.
    assert files.save(index_of(store, 1), nullcontext()) == (1, True)


def test_a_store_that_cannot_be_written_keeps_the_saved_index(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = SavedIndex(store, tmp_path)
    files.save(index_of(store, 2), nullcontext())
    monkeypatch.setattr(module, "GIVE_UP_S", 0.1)
    with Store(store.path) as other, other.write(), pytest.raises(StoreUnavailableError):
        files.save(index_of(store, 3), nullcontext())
    assert ExactIndex.load(tmp_path).watermark == 2
    assert files.load(ExactIndex.load, 4) is not None


def test_an_index_from_the_future_is_not_loaded(store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = SavedIndex(store, tmp_path)
    ahead = index_of(store, 3)
    ahead.advance(9)
    files.save(ahead, nullcontext())
    assert files.load(ExactIndex.load, 4) is None
    assert "up to 9, the store has those from 1 to 3" in caplog.text


def test_files_lost_beside_the_note_do_no_harm(store: Store, tmp_path: Path) -> None:
    files = SavedIndex(store, tmp_path)
    files.save(index_of(store, 3), nullcontext())
    (tmp_path / FILE).unlink()
    assert files.load(ExactIndex.load, 4) is None
    assert files.save(index_of(store, 2), nullcontext()) == (2, True)
    assert {path.name for path in tmp_path.iterdir()} >= {FILE, NOTE, LOCK}
