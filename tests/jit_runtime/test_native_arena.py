"""Small lists that a call makes in a loop: their memory is used again, and no list in use is touched."""

from __future__ import annotations

import pytest

from tests.jit_runtime.against_cpython import same

KEPT_AMONG_MANY = """
def f(n, most):
    kept = [[0] * 3]
    for k in range(n):
        made = [k] * (k % most)
        copied = made[:]
        if k % 1009 == 0:
            kept.append(copied)
    total = 0
    for one in kept:
        for value in one:
            total += value
    return total, len(kept)
"""


@pytest.mark.parametrize("tier", [1, 3])
@pytest.mark.parametrize(("n", "most"), [(50, 5), (3_000, 130), (3_000, 600)])
def test_lists_of_all_small_sizes(tier: int, n: int, most: int) -> None:
    same(KEPT_AMONG_MANY, n, most, tier=tier)


@pytest.mark.slow
def test_more_lists_than_are_kept_before_collecting() -> None:
    same(KEPT_AMONG_MANY, 700_000, 14, tier=3)


def test_small_lists_that_grow_and_are_returned() -> None:
    source = """
def f(n):
    rows = []
    for i in range(n):
        row = []
        for j in range(i % 40):
            row.append(i * j)
        rows.append(row)
    return rows
"""
    same(source, 300, tier=1)
    same(source, 300, tier=3)
