"""Writes that are either whole or absent, also when the process is killed or the disk is full."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write `content` to `path` through a temporary file in the same folder and a rename.

    Raises
    ------
    OSError
        The folder is read-only, missing or full. `path` is then as it was before.
    """
    data = content.encode() if isinstance(content, str) else content
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def rename_durably(folder: Path, to: Path) -> None:
    """Flush a folder's files to the disk, then rename it: a crash leaves the old name or the whole new one.

    Raises
    ------
    OSError
        The disk is full, or `to` exists and is not empty.
    """
    for path in folder.rglob("*"):
        if path.is_file():
            _flush(path)
    _flush(folder)
    folder.rename(to)
    _flush(to.parent)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
