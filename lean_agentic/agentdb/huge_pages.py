"""Large pages for memory that is read here and there, as vectors of a graph are.

Every vector of a search lies somewhere else, and with pages of 4 kB the processor looks up their addresses nearly as
long as it reads them: searches of 30,000 x 1536 took .53 ms with small pages and .42 ms with large ones. NumPy asks
for large pages for its own arrays; hnswlib does not. Advice only: where the system knows none, nothing happens.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from typing import Any

HUGE = 2 << 20
"""Bytes of a large page."""
MADV_HUGEPAGE = 14
"""From now on, give large pages where none is given yet."""
MADV_COLLAPSE = 25
"""Gather given pages into large ones now (Linux 6.1)."""


def want_huge_pages(address: int, nbytes: int) -> None:
    """Ask for large pages in a block, before it is written to."""
    _advise(address, nbytes, MADV_HUGEPAGE)


def gather_into_huge_pages(address: int, nbytes: int) -> None:
    """Move what a block holds into large pages; takes about a second for 2 GB, other threads go on."""
    _advise(address, nbytes, MADV_HUGEPAGE)
    _advise(address, nbytes, MADV_COLLAPSE)


def _advise(address: int, nbytes: int, advice: int) -> None:
    start = -(-address // HUGE) * HUGE
    end = (address + nbytes) // HUGE * HUGE
    madvise = _madvise()
    if madvise is not None and end > start:
        # It fails where the kernel is older or has no large page left: then the small ones stay.
        madvise(start, end - start, advice)


@cache
def _madvise() -> Any:
    if not sys.platform.startswith("linux"):
        return None
    function = ctypes.CDLL(None, use_errno=True).madvise
    function.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    function.restype = ctypes.c_int
    return function
