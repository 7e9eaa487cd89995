"""Which of two versions of a function is faster, found out on the calls as they come.

In: two callables that give the same for every call. Out: a callable that uses one or the other, and after some calls of
each only the faster one. No call is made twice: each is timed with the version whose turn it is. Turns go A B B A, so
that arguments that grow or shrink from call to call favour neither.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Any

CALLS = 12
"""Of each, at the least: the first of each are not counted."""
WARM_UP = 2
MARGIN = 0.95
"""The challenger has to be faster than this share of the champion's time, in the minimum and in the median."""


@dataclass(frozen=True)
class Verdict:
    """How a contest ended."""

    winner: str
    loser: str
    minimum_ms: dict[str, float]
    median_ms: dict[str, float]
    reason: str

    def __str__(self) -> str:
        times = ", ".join(f"{name} {self.median_ms[name]:.4g} ms" for name in (self.winner, self.loser))
        return f"{self.winner} stays ({times} in the median): {self.reason}"


@dataclass(eq=False)
class Contest:
    """Two versions of one function. `champion` is what is used when neither is clearly faster."""

    champion: Callable[..., Any]
    challenger: Callable[..., Any]
    names: tuple[str, str] = ("ours", "Numba")
    calls: int = CALLS
    decided: Callable[[Contest], None] | None = None
    """Told once, after the verdict, in the thread of the call that led to it."""
    clock: Callable[[], float] = time.perf_counter
    verdict: Verdict | None = None
    times: tuple[list[float], list[float]] = field(default_factory=lambda: ([], []))
    """Seconds of the counted calls of each."""
    _turn: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._stays: Callable[..., Any] | None = None

    @property
    def winner(self) -> Callable[..., Any] | None:
        """The version that stays; None while that is open."""
        return self._stays

    def __call__(self, *arguments: Any) -> Any:
        """The function's result, from one of the versions."""
        if self._stays is not None:
            return self._stays(*arguments)
        turn = self._turn
        self._turn = turn + 1  # two threads may take the same turn, which does no harm
        side = (0, 1, 1, 0)[turn % 4]
        version = self.challenger if side else self.champion
        begun = self.clock()
        result = version(*arguments)
        seconds = self.clock() - begun
        # A call that raises is not counted: it says nothing about a whole one.
        if turn >= 2 * WARM_UP:
            self._count(side, seconds)
        return result

    def _count(self, side: int, seconds: float) -> None:
        with self._lock:
            self.times[side].append(seconds)
            if self.verdict is not None or min(map(len, self.times)) < self.calls:
                return
            self.verdict = judge(self.times, self.names)
            self._stays = self.challenger if self.verdict.winner == self.names[1] else self.champion
        if self.decided is not None:
            self.decided(self)

    def __repr__(self) -> str:
        state = self.verdict or f"{len(self.times[0])} and {len(self.times[1])} calls counted"
        return f"<Contest of {' and '.join(self.names)}: {state}>"


def judge(times: tuple[list[float], list[float]], names: tuple[str, str]) -> Verdict:
    """Compare seconds of calls of the champion and of the challenger."""
    least, middle = [min(each) for each in times], [median(each) for each in times]
    wins = [values[1] < MARGIN * values[0] for values in (least, middle)]
    order = (1, 0) if all(wins) else (0, 1)
    if all(wins):
        reason = f"{names[1]} is faster in the minimum and in the median"
    elif any(wins):
        reason = f"{names[1]} is faster only in the {'minimum' if wins[0] else 'median'}"
    else:
        reason = f"{names[1]} is not faster"
    return Verdict(
        names[order[0]],
        names[order[1]],
        {name: 1e3 * value for name, value in zip(names, least, strict=True)},
        {name: 1e3 * value for name, value in zip(names, middle, strict=True)},
        reason,
    )
