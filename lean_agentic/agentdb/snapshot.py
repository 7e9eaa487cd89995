"""Saved indexes: a folder with a small manifest and data files, replaced as a whole and verified before use.

A save writes data files under new names, syncs them, then renames a new `manifest.json` over the old one: whoever
reads sees the old state or the new one, whatever is killed when. The manifest carries the size and SHA-256 of every
data file and of itself, so that truncation, bit rot and mixed-up files are found before a native library, which
checks nothing, reads a byte. Savers take turns by a lock file; readers need none.
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock

from lean_agentic.agentdb.errors import CorruptIndexError

FORMAT_VERSION = 1
MANIFEST = "manifest.json"
LOCK = "save.lock"
DATA_SUFFIX = ".data"
REPAIR = "delete the folder and build the index again from the store"

T = TypeVar("T")


@dataclass(frozen=True)
class Manifest:
    """What a saved index says of itself."""

    backend: str
    dimensions: int
    count: int
    """Live vectors."""
    watermark: int
    """Sequence number of the last change of the store that it holds."""
    database: str = ""
    """Random id of the store that it was built from."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the backend; JSON values."""


@dataclass(frozen=True)
class _DataFile:
    file: str
    size: int
    sha256: str


def save_snapshot(folder: Path, manifest: Manifest, writers: Mapping[str, Callable[[Path], None]]) -> None:
    """Replace what `folder` holds by data files, each made by its writer at the path given to it, and the manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / LOCK):
        try:
            files = {name: _write_data(folder, name, write) for name, write in writers.items()}
            _replace_manifest(folder, manifest, files)
        finally:
            _remove_strays(folder)


def load_snapshot(folder: Path, load: Callable[[Manifest, Mapping[str, Path]], T]) -> T:
    """What `load` makes of a manifest and the paths of its verified data files.

    Raises FileNotFoundError where nothing was saved, and CorruptIndexError where anything is damaged.
    """
    while True:
        content = _read_manifest(folder)
        try:
            manifest, files = _parse_manifest(folder, content)
            paths = {name: _verified(folder, data) for name, data in files.items()}
            return load(manifest, paths)
        except Exception:
            # A save may have replaced the files between reading the manifest and reading them.
            if _read_manifest(folder) == content:
                raise


def has_snapshot(folder: Path) -> bool:
    """Whether an index was saved there."""
    return (folder / MANIFEST).exists()


def peek(folder: Path) -> Manifest:
    """The manifest alone, verified, without its data files."""
    return _parse_manifest(folder, _read_manifest(folder))[0]


def _write_data(folder: Path, name: str, write: Callable[[Path], None]) -> _DataFile:
    path = folder / f"{name}-{uuid.uuid4().hex}{DATA_SUFFIX}"
    write(path)
    _sync(path)
    return _DataFile(path.name, path.stat().st_size, _sha256(path))


def _replace_manifest(folder: Path, manifest: Manifest, files: Mapping[str, _DataFile]) -> None:
    body = {"format": FORMAT_VERSION, **asdict(manifest), "files": {name: asdict(data) for name, data in files.items()}}
    temporary = folder / f"{MANIFEST}-{uuid.uuid4().hex}{DATA_SUFFIX}"
    temporary.write_bytes(_encode(body))
    _sync(temporary)
    # The data files' names must be on disk before a manifest that needs them.
    _sync(folder)
    os.replace(temporary, folder / MANIFEST)
    _sync(folder)


def _encode(body: Mapping[str, Any]) -> bytes:
    text = json.dumps(body, sort_keys=True, indent=1)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return (json.dumps({"manifest": body, "sha256": digest}, sort_keys=True, indent=1) + "\n").encode()


def _read_manifest(folder: Path) -> bytes:
    try:
        return (folder / MANIFEST).read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(f"{folder} holds no saved index: build one, and save it there") from None


def _parse_manifest(folder: Path, content: bytes) -> tuple[Manifest, dict[str, _DataFile]]:
    try:
        body = json.loads(content)["manifest"]
        # The same bytes must come out again: that covers the digest, the layout and every digit.
        intact = _encode(body) == content
    except (ValueError, KeyError, TypeError, RecursionError):
        intact = False
    if not intact:
        raise CorruptIndexError(f"{folder / MANIFEST} is damaged: {REPAIR}")
    found = body.pop("format")
    if found != FORMAT_VERSION:
        raise CorruptIndexError(f"{folder} has format {found}, this version reads {FORMAT_VERSION}: {REPAIR}")
    files = {name: _DataFile(**data) for name, data in body.pop("files").items()}
    return Manifest(**body), files


def _verified(folder: Path, data: _DataFile) -> Path:
    path = folder / data.file
    if not path.is_file():
        raise CorruptIndexError(f"{path} is missing: {REPAIR}")
    size = path.stat().st_size
    if size != data.size:
        raise CorruptIndexError(f"{path} has {size} bytes, its manifest says {data.size}: {REPAIR}")
    if _sha256(path) != data.sha256:
        raise CorruptIndexError(f"{path} is damaged, its SHA-256 differs from the manifest's: {REPAIR}")
    return path


def _remove_strays(folder: Path) -> None:
    # Under the savers' lock: what the manifest does not name is left from a save that was killed, failed or replaced.
    try:
        kept = {data.file for data in _parse_manifest(folder, _read_manifest(folder))[1].values()}
    except (FileNotFoundError, CorruptIndexError):
        kept = set()
    for path in folder.glob(f"*{DATA_SUFFIX}"):
        if path.name not in kept:
            path.unlink(missing_ok=True)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
