"""How functions are compiled, and a stamp of the sources, so that numba's disk cache is never stale.

numba keys a cached function by its own file's time and bytecode and by the values it closes over; a change in
another file that it calls goes unnoticed. The compiled entry points therefore close over this stamp: they are found
again by every new process until a module with compiled code changes, and compiled anew after that. Functions
below the entry points carry no cache of their own: their code is part of the entry's. Constants that compiled code
reads belong into modules with compiled code, so that the stamp covers them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

from numba import njit

Function = TypeVar("Function", bound=Callable[..., Any])


def source_stamp(folder: Path = Path(__file__).parent) -> int:
    """A number below 2**56 that changes whenever a Python file of the folder with compiled code does."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.py")):
        source = path.read_bytes()
        if b"compiled" in source:
            digest.update(path.name.encode() + b"\0" + source + b"\0")
    return int.from_bytes(digest.digest()[:7], "big")


STAMP = source_stamp()


def compiled(function: Function) -> Function:
    """Compile when first called from compiled code; to the type checker it stays the function it was."""
    return cast(Function, njit(function))


def compiled_entry(function: Function) -> Function:
    """Compile and keep on disk: for functions that close over `STAMP`."""
    return cast(Function, njit(cache=True)(function))
