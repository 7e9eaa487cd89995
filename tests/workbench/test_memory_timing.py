"""Turns, answers and CPU time."""

from __future__ import annotations

import time

import numpy as np

from lean_agentic.workbench.memory_timing import BLOCK, WARM_UP, Timed, cpu_seconds, take_turns


def spin(seconds: float) -> None:
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass


def test_contenders_take_turns_by_blocks_and_none_is_always_first() -> None:
    order: list[str] = []
    queries = np.zeros((2 * BLOCK + 5, 3), np.float32)

    def answer(name: str) -> object:
        return lambda query, place: order.append(name) or np.array([place])

    timed = take_turns({"a": answer("a"), "b": answer("b")}, queries)  # type: ignore[dict-item]
    assert order[2 * WARM_UP :] == ["a"] * BLOCK + ["b"] * 2 * BLOCK + ["a"] * BLOCK + ["a"] * 5 + ["b"] * 5
    for name in "ab":
        assert [int(ids[0]) for ids in timed[name].answers] == list(range(len(queries)))
        assert len(timed[name].milliseconds) == len(queries)


def test_cpu_time_counts_work_and_not_sleep() -> None:
    def work(query: np.ndarray, place: int) -> np.ndarray:
        spin(0.002)
        return np.array([0])

    def sleep(query: np.ndarray, place: int) -> np.ndarray:
        time.sleep(0.002)
        return np.array([0])

    timed = take_turns({"work": work, "sleep": sleep}, np.zeros((10, 2), np.float32))
    assert timed["work"].milliseconds.min() >= 1.9
    assert timed["sleep"].p50 < 1.9


def test_percentiles_and_rate() -> None:
    timed = Timed([], np.array([1.0] * 98 + [10.0, 10.0]))
    assert timed.p50 == 1
    assert 1 < timed.p99 <= 10
    assert timed.qps == 1000 / 1.18


def test_cpu_seconds_passes_on_what_it_is_given() -> None:
    made, seconds = cpu_seconds(lambda wait, *, value: spin(wait) or value, 0.02, value=7)
    assert made == 7
    assert 0.02 <= seconds < 1
