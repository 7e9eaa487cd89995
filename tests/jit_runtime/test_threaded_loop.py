"""The running of loops on threads: pieces, tests of memory, several callers, forks."""

from __future__ import annotations

import os
import signal
import threading
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lean_agentic.jit_runtime import threaded_loop
from lean_agentic.jit_runtime.threaded_loop import ThreadedLoop, overlaps_itself, pieces, share_memory


@pytest.fixture(autouse=True)
def _always_threads(monkeypatch):
    monkeypatch.setattr(threaded_loop, "PROBE_SECONDS", -1.0)
    monkeypatch.setattr(threaded_loop, "WORTH_SECONDS", 0.0)
    monkeypatch.setattr(threaded_loop, "LONGEST_BASELINE", 0.0)


def doubling(threads: int = 3) -> ThreadedLoop:
    """`for k in range(start, stop): rows[k] += k; total += k`."""
    loop = ThreadedLoop(1, 1, (0,), ((0, 0),), True, threads)

    def chunk(first: int, behind: int, rows: np.ndarray[Any, Any]) -> int:
        for k in range(first, behind):
            rows[k] += k
        return sum(range(first, behind))

    loop.chunk = chunk
    return loop


@given(st.integers(-5, 5), st.integers(1, 40), st.integers(1, 50))
def test_pieces_cover_the_range_in_order(first, length, count):
    parts = list(pieces(first, first + length, count))
    assert [k for part in parts for k in range(*part)] == list(range(first, first + length))
    assert 1 <= len(parts) <= count
    assert max(b - a for a, b in parts) - min(b - a for a, b in parts) <= 1


def brute_force(array: np.ndarray[Any, Any]) -> bool:
    places = [
        sum(k * stride for k, stride in zip(index, array.strides, strict=True)) + byte
        for index in product(*map(range, array.shape))
        for byte in range(array.itemsize)
    ]
    return len(set(places)) < len(places)


@given(
    st.lists(st.tuples(st.integers(0, 4), st.sampled_from([-16, -8, 0, 2, 8, 12, 16, 24, 32])), min_size=1, max_size=3)
)
def test_overlap_is_never_missed(axes):
    base = np.zeros(1000)
    shape, strides = tuple(n for n, _ in axes), tuple(s for _, s in axes)
    array = np.lib.stride_tricks.as_strided(base[500:], shape, strides)
    assert overlaps_itself(array) or not brute_force(array)


@given(st.permutations(range(3)), st.lists(st.sampled_from([1, 2, -1, -2]), min_size=3, max_size=3))
def test_ordinary_views_do_not_overlap_themselves(axes, steps):
    array = np.zeros((3, 4, 5)).transpose(axes)
    assert not overlaps_itself(array[tuple(slice(None, None, step) for step in steps)])


def test_shared_memory():
    base = np.zeros((6, 6))
    assert share_memory(base, base[5:])
    assert share_memory(base[:4], base[3:])
    assert not share_memory(base[:3], base[3:])
    assert not share_memory(base[:, ::2], base[:, 1::2])
    assert not share_memory(base, np.zeros(3))
    hard = [
        np.lib.stride_tricks.as_strided(np.zeros(10**5), (9,) * 6, (8 * 31, 8 * 37, 8 * 41, 8 * 43, 8 * 47, 8 * 53))
    ]
    assert share_memory(hard[0], hard[0][1:, :, ::2])


def test_several_callers_at_once():
    loop = doubling()
    arrays = [np.zeros(50) for _ in range(8)]
    totals: list[int] = []
    callers = [threading.Thread(target=lambda rows=rows: totals.append(loop(0, 50, rows, 1))) for rows in arrays]
    for each in callers:
        each.start()
    for each in callers:
        each.join()
    assert totals == [1 + sum(range(50))] * 8
    assert all((rows == np.arange(50.0)).all() for rows in arrays)


def test_a_loop_inside_a_piece_of_another():
    inner, outer = doubling(), ThreadedLoop(1, 1, (0,), ((0, 0),), False, 3)
    rows = np.zeros((9, 20))

    def chunk(first: int, behind: int, given: np.ndarray[Any, Any]) -> None:
        for k in range(first, behind):
            inner(0, 20, given[k], 0)

    outer.chunk = chunk
    outer(0, 9, rows)
    assert (rows == np.arange(20.0)).all()


def test_only_one_thread_is_free(monkeypatch):
    """The caller does it all when no thread of the pool begins."""
    monkeypatch.setattr(threaded_loop, "_start", lambda work, count: [])
    rows = np.zeros(50)
    assert doubling()(0, 50, rows, 0) == sum(range(50))


def test_after_a_fork():
    loop = doubling()
    loop(0, 50, np.zeros(50), 0)
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        os._exit(0 if loop(0, 50, np.zeros(50), 0) == sum(range(50)) else 1)
    assert os.waitpid(child, 0)[1] == 0


def ways(loop: ThreadedLoop, runs: int, length: int = 50) -> str:
    """For each run t for threads, o for in order."""
    found = ""
    for _ in range(runs):
        before = loop.in_threads
        loop(0, length, np.zeros(length), 0)
        found += "t" if loop.in_threads > before else "o"
    return found


def test_the_better_way_stays(monkeypatch):
    """A clock of the test's own: threads take 2 s and the loop in order 1 s, or the other way round."""
    now = [0.0]
    monkeypatch.setattr(threaded_loop.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(threaded_loop, "PROBE_SECONDS", -1.0)
    monkeypatch.setattr(threaded_loop, "LONGEST_BASELINE", 9.0)

    def takes(in_order: float, threads: float) -> ThreadedLoop:
        def chunk(first: int, behind: int, rows: np.ndarray[Any, Any]) -> int:
            now[0] += in_order
            return 0

        loop = ThreadedLoop(1, 1, (0,), ((0, 0),), True, 1)
        loop.chunk = chunk
        whole = loop._on_threads

        def on_threads(*given: Any) -> None:
            begun = now[0]
            whole(*given)
            now[0] = begun + threads

        loop._on_threads = on_threads
        return loop

    assert ways(takes(1.0, 2.0), 6) == "totooo"
    assert ways(takes(2.0, 1.0), 6) == "totttt"


def test_long_on_threads_is_not_tried_in_order(monkeypatch):
    monkeypatch.setattr(threaded_loop, "LONGEST_BASELINE", 0.0)
    assert ways(doubling(), 4) == "tttt"


def test_short_stays_in_order(monkeypatch):
    monkeypatch.setattr(threaded_loop, "WORTH_SECONDS", 100.0)
    assert ways(doubling(), 4) == "oooo"


def test_each_size_is_judged_by_itself(monkeypatch):
    monkeypatch.setattr(threaded_loop, "LONGEST_BASELINE", 0.0)
    loop = doubling()
    assert ways(loop, 2) == "tt"
    monkeypatch.setattr(threaded_loop, "WORTH_SECONDS", 100.0)
    assert ways(loop, 2, length=51) == "oo"


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 30), st.integers(0, 30))
def test_any_bounds(start, stop):
    rows = np.zeros(30)
    assert doubling()(start, stop, rows, 0) == sum(range(start, stop))
    expected = np.zeros(30)
    expected[start:stop] = np.arange(start, stop)
    assert (rows == expected).all()
