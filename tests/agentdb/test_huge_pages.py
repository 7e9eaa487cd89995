"""Advice on memory changes nothing that can be read."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from lean_agentic.agentdb.huge_pages import HUGE, gather_into_huge_pages, want_huge_pages


@pytest.mark.parametrize("advise", [want_huge_pages, gather_into_huge_pages])
def test_memory_holds_what_it_held(advise: object) -> None:
    block = np.arange(3 * HUGE // 8)
    advise(block.ctypes.data, block.nbytes)  # type: ignore[operator]
    np.testing.assert_array_equal(block, np.arange(3 * HUGE // 8))


@pytest.mark.parametrize("advise", [want_huge_pages, gather_into_huge_pages])
def test_blocks_too_small_for_a_large_page_and_bad_addresses_are_left_alone(advise: object) -> None:
    small = np.arange(100)
    advise(small.ctypes.data, small.nbytes)  # type: ignore[operator]
    advise(0, 4 * HUGE)  # type: ignore[operator]
    np.testing.assert_array_equal(small, np.arange(100))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="large pages are asked for on Linux alone")
def test_gathered_memory_is_in_large_pages_where_the_kernel_gives_them() -> None:
    """Where the kernel refuses (an old one, or none free) there is nothing to see, and nothing to go wrong."""

    def large() -> int:
        with open("/proc/self/smaps_rollup", encoding="ascii") as lines:
            return next(int(line.split()[1]) for line in lines if line.startswith("AnonHugePages"))

    before = large()
    block = bytearray(8 * HUGE)
    address = np.frombuffer(block, np.uint8).ctypes.data
    gather_into_huge_pages(address, len(block))
    assert large() >= before
