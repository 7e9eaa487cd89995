"""Saved folders: replaced as a whole, verified before use, safe beside other savers and readers."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lean_agentic.agentdb.errors import CorruptIndexError
from lean_agentic.agentdb.snapshot import MANIFEST, Manifest, has_snapshot, load_snapshot, peek, save_snapshot

Loaded = tuple[Manifest, dict[str, bytes]]


def save(folder: Path, watermark: int, **parts: bytes) -> None:
    manifest = Manifest("test", 8, 3, watermark, "a database", {"ef": 64})
    save_snapshot(
        folder, manifest, {name: (lambda path, data=data: path.write_bytes(data)) for name, data in parts.items()}
    )


def read(manifest: Manifest, files: Mapping[str, Path]) -> Loaded:
    return manifest, {name: path.read_bytes() for name, path in files.items()}


def data_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.data"))


def test_what_was_saved_comes_back(tmp_path: Path) -> None:
    assert not has_snapshot(tmp_path)
    save(tmp_path, 12, graph=b"abc" * 1000, ids=b"")
    manifest, parts = load_snapshot(tmp_path, read)
    assert manifest == Manifest("test", 8, 3, 12, "a database", {"ef": 64})
    assert parts == {"graph": b"abc" * 1000, "ids": b""}
    assert peek(tmp_path) == manifest
    assert has_snapshot(tmp_path)


def test_a_second_save_replaces_the_first_and_its_files(tmp_path: Path) -> None:
    save(tmp_path, 1, graph=b"old", more=b"only then")
    save(tmp_path, 2, graph=b"new")
    assert load_snapshot(tmp_path, read)[1] == {"graph": b"new"}
    assert len(data_files(tmp_path)) == 1


def test_a_save_that_fails_leaves_the_old_state_and_no_litter(tmp_path: Path) -> None:
    save(tmp_path, 1, graph=b"old")

    def fail(path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        save_snapshot(tmp_path, Manifest("test", 8, 3, 2), {"graph": fail})
    assert load_snapshot(tmp_path, read)[1] == {"graph": b"old"}
    assert len(data_files(tmp_path)) == 1


def test_a_saver_killed_at_any_file_leaves_the_old_state(tmp_path: Path) -> None:
    save(tmp_path, 1, graph=b"old")
    program = """
import os, sys
from pathlib import Path
from lean_agentic.agentdb import snapshot
calls = 0
def sync(path):
    global calls
    calls += 1
    if calls == int(sys.argv[2]):
        os._exit(9)
snapshot._sync = sync
write = lambda path: path.write_bytes(b"new")
snapshot.save_snapshot(Path(sys.argv[1]), snapshot.Manifest("test", 8, 3, 2), {"graph": write, "ids": write})
"""
    for call in range(1, 5):
        assert subprocess.run([sys.executable, "-c", program, str(tmp_path), str(call)], check=False).returncode == 9
        assert load_snapshot(tmp_path, read)[1] == {"graph": b"old"}
    save(tmp_path, 3, graph=b"later")
    assert len(data_files(tmp_path)) == 1


@given(data=st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_damaged_byte_reaches_the_reader(tmp_path: Path, data: st.DataObject) -> None:
    save(tmp_path, 7, graph=bytes(range(256)) * 3, ids=b"\0" * 40)
    path = data.draw(st.sampled_from([tmp_path / MANIFEST, *data_files(tmp_path)]))
    whole = path.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    how = data.draw(st.sampled_from(["flip", "cut", "extend", "drop", "zero"]))
    damaged = {
        "flip": whole[:place] + bytes([whole[place] ^ 1 << data.draw(st.integers(0, 7))]) + whole[place + 1 :],
        "cut": whole[:place],
        "extend": whole + b"\n",
        "drop": whole[:place] + whole[place + 1 :],
        "zero": whole[:place] + b"\0" * 16 + whole[place + 16 :],
    }[how]
    path.write_bytes(damaged)

    def never(manifest: Manifest, files: Mapping[str, Path]) -> None:
        raise AssertionError("damaged data reached the reader")

    if damaged == whole:
        assert load_snapshot(tmp_path, read)[1]["ids"] == b"\0" * 40
    else:
        with pytest.raises(CorruptIndexError):
            load_snapshot(tmp_path, never)


def test_missing_and_swapped_files_are_damage(tmp_path: Path) -> None:
    save(tmp_path, 7, one=b"1111", two=b"2222")
    one, two = data_files(tmp_path)
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)
    with pytest.raises(CorruptIndexError, match="SHA-256 differs"):
        load_snapshot(tmp_path, read)
    one.unlink()
    with pytest.raises(CorruptIndexError, match="is missing"):
        load_snapshot(tmp_path, read)
    (tmp_path / MANIFEST).unlink()
    with pytest.raises(FileNotFoundError, match="holds no saved index"):
        load_snapshot(tmp_path, read)


def test_a_newer_format_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lean_agentic.agentdb.snapshot.FORMAT_VERSION", 2)
    save(tmp_path, 1, graph=b"from the future")
    monkeypatch.undo()
    with pytest.raises(CorruptIndexError, match="has format 2, this version reads 1"):
        load_snapshot(tmp_path, read)


def test_savers_and_readers_side_by_side(tmp_path: Path) -> None:
    """Every load sees one save as a whole, however they overlap."""
    save(tmp_path, 0, graph=b"0" * 5000, ids=b"0" * 5000)
    failures: list[str] = []
    savers_left = threading.Semaphore(0)

    def saver(number: int) -> None:
        for turn in range(8):
            text = b"%d" % (number * 100 + turn) * 1000
            save(tmp_path, number * 100 + turn, graph=text, ids=text)
        savers_left.release()

    def reader() -> None:
        for _ in range(25):
            try:
                manifest, parts = load_snapshot(tmp_path, read)
            except Exception as error:
                failures.append(repr(error))
                return
            text = b"%d" % manifest.watermark
            if parts["graph"] != parts["ids"] or not parts["graph"].startswith(text):
                failures.append(f"{manifest.watermark} {parts['graph'][:9]!r} {parts['ids'][:9]!r}")

    threads = [threading.Thread(target=saver, args=(number,)) for number in (1, 2)]
    threads += [threading.Thread(target=reader) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(data_files(tmp_path)) == 2
