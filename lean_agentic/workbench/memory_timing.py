"""Timing of single searches in CPU time, contenders taking turns on the same queries."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

import numpy as np
import numpy.typing as npt

from lean_agentic.agentdb.vector_index import Ids, Vectors

BLOCK = 50
"""Queries of one contender before the next has its turn: enough to forget the other's caches."""
WARM_UP = 20

P = ParamSpec("P")
T = TypeVar("T")

Answer = Callable[[Vectors, int], Ids]
"""A (1, d) query and its number to ids."""


@dataclass(frozen=True)
class Timed:
    """Answers of one contender and what they took."""

    answers: list[Ids]
    milliseconds: npt.NDArray[np.float64]
    """Of process CPU time, by query: what other processes do to the machine counts little."""

    @property
    def p50(self) -> float:
        """Median, ms."""
        return float(np.percentile(self.milliseconds, 50))

    @property
    def p99(self) -> float:
        """99th percentile, ms."""
        return float(np.percentile(self.milliseconds, 99))

    @property
    def qps(self) -> float:
        """Queries a second of one core, asked one by one."""
        return float(1e3 / self.milliseconds.mean())


def take_turns(contenders: Mapping[str, Answer], queries: Vectors) -> dict[str, Timed]:
    """Every contender's answers to all (n, d) queries, timed one by one, in blocks by turns."""
    answers: dict[str, list[Ids]] = {name: [] for name in contenders}
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for answer in contenders.values():
        for place in range(min(WARM_UP, len(queries))):
            answer(queries[place : place + 1], place)
    names = list(contenders)
    for start in range(0, len(queries), BLOCK):
        for name in names:
            for place in range(start, min(start + BLOCK, len(queries))):
                query = queries[place : place + 1]
                began = time.process_time_ns()
                found = contenders[name](query, place)
                times[name].append((time.process_time_ns() - began) / 1e6)
                answers[name].append(np.asarray(found, np.int64))
        # The first of a turn finds the caches as the last of the turn before left them: nobody is always first.
        names = names[1:] + names[:1]
    return {name: Timed(answers[name], np.array(times[name])) for name in contenders}


def cpu_seconds(make: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> tuple[T, float]:
    """What `make` returns, and the CPU time that it took."""
    began = time.process_time()
    made = make(*arguments, **named)
    return made, time.process_time() - began
