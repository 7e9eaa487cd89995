"""Machine code that outlives the process: a folder of blobs, named by what they were made from.

In: the text that LLVM would compile, the level, and the options. Out: a blob, or None. The name is a hash of all that
decides the machine code: the text (which holds the function's whole meaning for its types, so a changed function,
global, callee or type is another name), level and options, processor, and LLVM's version. A file is written under a
name of its own and then renamed, so that readers see all of it or nothing; what is damaged counts as absent.
"""

from __future__ import annotations

import hashlib
import os
import platform
import tempfile
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path

from platformdirs import user_cache_path

FOLDER_VARIABLE = "LEAN_AGENTIC_JIT_CACHE"
LARGEST_FOLDER = 256 * 2**20
_SUFFIX = ".code"


def default_folder() -> Path:
    """Where `FOLDER_VARIABLE` says, or the user's cache folder."""
    given = os.environ.get(FOLDER_VARIABLE)
    return Path(given) if given else user_cache_path("lean_agentic", appauthor=False) / "jit"


@cache
def _processor() -> str:
    """What the machine code depends on beside its text: the instructions of this processor."""
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        wanted = ("vendor_id", "cpu family", "model", "flags", "Features", "CPU part")
        found = dict(line.split(":", 1) for line in lines if ":" in line and line.split("\t")[0].strip() in wanted)
        return repr(sorted(found.items()))
    return platform.processor() or platform.machine()


class ObjectCache:
    """A folder of blobs.

    Parameters
    ----------
    folder : Path, optional
        Made when first written to; by default the user's cache folder, or `LEAN_AGENTIC_JIT_CACHE`.
    largest : int
        Bytes; when a new file makes the folder larger, the files used longest ago go.
    """

    def __init__(self, folder: Path | None = None, largest: int = LARGEST_FOLDER) -> None:
        self.folder = folder or default_folder()
        self._largest = largest

    def key(self, text: str, level: int, options: object) -> str:
        """The name of what LLVM makes of a text."""
        parts = (text, str(level), repr(options), _processor(), version("llvmlite"), platform.platform())
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    def get(self, key: str) -> bytes | None:
        """The blob of that name, or None. Its own checksum is for `object_code.load` to check."""
        path = self._path(key)
        try:
            blob = path.read_bytes()
        except OSError:
            return None
        with suppress(OSError):
            os.utime(path)  # used just now
        return blob

    def put(self, key: str, blob: bytes) -> None:
        """Keep a blob. A folder that cannot be written to (read-only, full) keeps nothing; compiling goes on."""
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self.folder, suffix=".part")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(blob)
                os.replace(name, self._path(key))
            except OSError:
                Path(name).unlink(missing_ok=True)
                raise
            self._shrink()

    def forget(self, key: str) -> None:
        """Remove a blob, for instance one that turned out to be damaged."""
        with suppress(OSError):
            self._path(key).unlink()

    def clear(self) -> int:
        """Remove all blobs; how many there were."""
        paths = list(self.folder.glob(f"*{_SUFFIX}"))
        for path in paths:
            self.forget(path.stem)
        return len(paths)

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}{_SUFFIX}"

    def _shrink(self) -> None:
        entries = [(entry.stat(), entry.path) for entry in os.scandir(self.folder) if entry.name.endswith(_SUFFIX)]
        size = sum(stat.st_size for stat, _ in entries)
        for stat, path in sorted(entries, key=lambda each: each[0].st_mtime):
            if size <= self._largest:
                break
            with suppress(OSError):
                os.unlink(path)
            size -= stat.st_size

    def __repr__(self) -> str:
        return f"ObjectCache({str(self.folder)!r})"
