"""Contests of two versions: turns, verdicts, what is not counted. Times come from a clock of the test's own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lean_agentic.jit_runtime.contest import MARGIN, WARM_UP, Contest, judge


class Clock:
    """Versions move its hands."""

    def __init__(self) -> None:
        self.now = 0.0
        self.log: list[str] = []

    def __call__(self) -> float:
        return self.now

    def version(self, name: str, seconds: float) -> Callable[[Any], Any]:
        def run(value: Any) -> Any:
            self.now += seconds
            self.log.append(name)
            return value

        return run


def contest(ours: float, other: float, **more: Any) -> tuple[Contest, Clock]:
    clock = Clock()
    return Contest(clock.version("ours", ours), clock.version("Numba", other), clock=clock, **more), clock


@pytest.mark.parametrize(("ours", "other", "winner"), [(2.0, 1.0, "Numba"), (1.0, 2.0, "ours"), (1.0, 0.97, "ours")])
def test_the_faster_one_stays(ours, other, winner):
    tried, clock = contest(ours, other, calls=5)
    results = [tried(k) for k in range(40)]
    assert results == list(range(40))
    assert tried.verdict is not None
    assert tried.verdict.winner == winner
    assert set(clock.log[2 * (5 + WARM_UP) :]) == {winner}
    assert clock.log.count("ours" if winner == "Numba" else "Numba") == 5 + WARM_UP


def test_each_call_is_made_once():
    tried, clock = contest(1.0, 1.0, calls=4)
    for k in range(30):
        tried(k)
    assert len(clock.log) == 30


def test_turns_favour_neither():
    _, clock = contest(1.0, 1.0)
    tried, clock = contest(1.0, 1.0)
    for k in range(8):
        tried(k)
    assert clock.log == ["ours", "Numba", "Numba", "ours"] * 2


def test_told_once():
    told: list[Contest] = []
    tried, _ = contest(2.0, 1.0, calls=3, decided=told.append)
    for k in range(30):
        tried(k)
    assert told == [tried]
    assert tried.winner is tried.challenger


def test_exceptions_are_passed_on_and_not_counted():
    def fails(value: Any) -> Any:
        raise KeyError(value)

    tried = Contest(fails, fails, calls=1)
    for k in range(12):
        with pytest.raises(KeyError):
            tried(k)
    assert tried.times == ([], [])
    assert tried.verdict is None


def test_verdict_says_why():
    verdict = judge(([1.0, 3.0, 3.0], [0.5, 4.0, 4.0]), ("ours", "Numba"))
    assert verdict.winner == "ours"
    assert verdict.reason == "Numba is faster only in the minimum"
    assert verdict.median_ms == {"ours": 3000.0, "Numba": 4000.0}
    assert "ours stays" in str(verdict)


@given(st.lists(st.floats(0.1, 9.0), min_size=1), st.lists(st.floats(0.1, 9.0), min_size=1))
def test_verdict_is_the_same_in_any_order(ours, other):
    names = ("ours", "Numba")
    verdict = judge((ours, other), names)
    assert verdict == judge((ours[::-1], other[::-1]), names)
    if verdict.winner == "Numba":
        assert min(other) < MARGIN * min(ours)
        assert judge((other, ours), names).winner == "ours"


def test_several_threads():
    tried, clock = contest(1.0, 3.0, calls=10)
    threads = [threading.Thread(target=lambda: [tried(k) for k in range(50)]) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(clock.log) == 200
    assert tried.verdict is not None
