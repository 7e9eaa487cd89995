"""Runs a loop with independent iterations on several threads.

In: the loop as compiled code of its bounds and inputs, and what its proof leaves to be tested (`independence`). Out: a
callable with the effects of the loop run in order, exceptions included.

An iteration that raises ends a loop, so what iterations behind it have stored has to be taken back. Unless nothing can
raise (`exception_freedom`), the rows that the loop may store into are copied first. When a thread raises, they are put
back, and the loop runs in order: it raises at the right iteration with the right state.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

PROBE_SECONDS = 50e-6
"""A loop that is not known first runs in order for so long, to see how much there is to do."""
WORTH_SECONDS = 200e-6
"""Less is not given to threads: they need a quarter of it to begin and to end."""
PLAINLY_WORTH = 4
"""So many times that is given to threads at once; in between a loop first runs in order, to compare."""
LONGEST_BASELINE = 50e-3
"""A loop that threads run in less runs once in order, to compare: what waits for memory gains little on threads."""
GAIN = 0.9
"""Threads have to need less than this share of the time in order."""
PIECES_PER_THREAD = 4
LONGEST_PIECE = 50e-3
"""Seconds. Nothing stops a piece that runs on another thread, Ctrl-C neither."""
_OVERLAP_WORK = 10_000

Array = np.ndarray[Any, Any]
Chunk = Callable[..., Any]
"""Runs the iterations from one number to before another: `chunk(first, behind, *inputs)`. Returns their sum or None."""


@dataclass
class _Record:
    """Least seconds for the same numbers and shapes."""

    in_order: float = math.inf
    threads: float = math.inf
    runs: int = 0

    def choice(self) -> bool | None:
        """Whether to use threads; None if nothing is known."""
        if self.runs == 0:
            return None
        if self.in_order < WORTH_SECONDS:
            return False
        if self.in_order == math.inf:
            return self.threads > LONGEST_BASELINE
        return self.runs < 3 or self.threads < GAIN * self.in_order

    def expected(self, threads: int) -> float:
        """About how long it takes in order; 0 if nothing is known."""
        known = min(self.in_order, threads * self.threads)
        return 0.0 if known == math.inf else known

    def note(self, threads: bool, seconds: float) -> None:
        """Learn from a run."""
        self.runs += 1
        if threads:
            self.threads = min(self.threads, seconds)
        else:
            self.in_order = min(self.in_order, seconds)


@dataclass(eq=False)
class ThreadedLoop:
    """One loop. Called with `start, stop, *inputs`, and last the value of the sum so far if it has one."""

    line: int
    inputs: int
    """How many."""
    arrays: tuple[int, ...]
    """Which of the inputs are arrays."""
    written: tuple[tuple[int, int], ...]
    """Which of them are stored into, and how far their first index is from the counter."""
    has_total: bool
    threads: int
    chunk: Chunk = field(init=False)
    raises_nothing: Callable[[Sequence[Any]], bool] = lambda arguments: False
    """Whether the chunk surely raises nothing for its arguments."""
    in_threads: int = 0
    """How often it ran on threads."""
    in_order: int = 0
    copied: int = 0
    """How often the rows were copied first."""
    undone: int = 0
    """How often an iteration raised on a thread, so that stores were taken back."""
    _like: tuple[Any, ...] = ()
    """The numbers and shapes that the record is of."""
    _record: _Record = field(default_factory=_Record)

    def __call__(self, start: int, stop: int, *values: Any) -> Any:
        """Run the loop; its sum, if it has one."""
        inputs = values[: self.inputs]
        like = (start, stop, *[each.shape if isinstance(each, np.ndarray) else each for each in inputs])
        if like != self._like:
            self._like, self._record = like, _Record()
        record, begun, sums = self._record, time.perf_counter(), list[Any]()
        on_threads = self._run(start, stop, inputs, sums, record)
        record.note(on_threads, time.perf_counter() - begun)
        return values[-1] + sum(sums) if self.has_total else None

    def _run(self, start: int, stop: int, inputs: Sequence[Any], sums: list[Any], record: _Record) -> bool:
        """Run all iterations; whether on threads."""
        first, expected, threads = start, record.expected(self.threads), record.choice()
        if threads is None:
            first, expected = self._probe(start, stop, inputs, sums)
            threads = expected >= PLAINLY_WORTH * WORTH_SECONDS
        threads = threads and first < stop and not self._depends(first, inputs)
        if threads:
            self._on_threads(first, stop, inputs, sums, expected)
            self.in_threads += 1
        else:
            if first < stop:
                sums.append(self.chunk(first, stop, *inputs))
            self.in_order += 1
        return threads

    def _probe(self, start: int, stop: int, inputs: Sequence[Any], sums: list[Any]) -> tuple[int, float]:
        """Run some iterations in order; the first that has not been run, and how long the rest will take in order."""
        first, count, seconds, begun = start, 1, 0.0, time.perf_counter()
        while first < stop and seconds <= PROBE_SECONDS:
            behind = min(stop, first + count)
            sums.append(self.chunk(first, behind, *inputs))
            first, count = behind, 8 * count
            seconds = time.perf_counter() - begun
        return first, seconds / max(1, first - start) * (stop - first)

    # What the proof leaves to be tested

    def _depends(self, first: int, inputs: Sequence[Any]) -> bool:
        """Whether iterations may touch what others store."""
        for place, distance in self.written:
            array: Array = inputs[place]
            if first + distance < 0 or not array.flags.writeable or overlaps_itself(array):
                return True
            if any(share_memory(array, inputs[other]) for other in self.arrays if other != place):
                return True
        return False

    # Threads

    def _on_threads(self, first: int, stop: int, inputs: Sequence[Any], sums: list[Any], expected: float) -> None:
        takes_back = not self.raises_nothing((first, stop, *inputs))
        rows = [inputs[place][first + distance : stop + distance] for place, distance in self.written if takes_back]
        try:
            saved = [each.copy() for each in rows]
        except MemoryError:  # there is enough for the loop itself
            sums.append(self.chunk(first, stop, *inputs))
            return
        self.copied += takes_back
        count = max(self.threads * PIECES_PER_THREAD, int(expected / LONGEST_PIECE))
        team = _Team(self.chunk, inputs, pieces(first, stop, count))
        team.run(self.threads)
        if team.errors:
            for row, before in zip(rows, saved, strict=True):
                row[...] = before
            self.undone += takes_back
            if takes_back and isinstance(team.errors[0], Exception):
                self.chunk(first, stop, *inputs)
            # No iteration raises, so it came from outside: Ctrl-C, a signal's handler, memory.
            raise team.errors[0]
        sums += team.sums


def pieces(first: int, stop: int, count: int) -> Iterator[tuple[int, int]]:
    """`range(first, stop)` in at most so many parts of about the same length."""
    total = stop - first
    count = min(count, total)
    ends = [first + total * k // count for k in range(count + 1)]
    return iter(list(pairwise(ends)))


class _Team:
    """Threads that take pieces until there are none. Which thread takes which makes no difference to what they do."""

    def __init__(self, chunk: Chunk, inputs: Sequence[Any], todo: Iterator[tuple[int, int]]) -> None:
        self.sums: list[Any] = []
        self.errors: list[BaseException] = []
        self._chunk = chunk
        self._inputs = inputs
        self._todo = todo

    def run(self, threads: int) -> None:
        """Do all pieces, this thread among the others, so that it gets done even when no other one is free."""
        helpers = _start(self._work, threads - 1)
        try:
            self._work()
        finally:
            for each in helpers:
                while not each.cancel() and not each.done():
                    try:
                        wait([each])
                    except BaseException as error:  # a signal; its time comes when no thread stores any more
                        self.errors.append(error)

    def _work(self) -> None:
        try:
            while not self.errors and (piece := next(self._todo, None)) is not None:
                self.sums.append(self._chunk(*piece, *self._inputs))
        except BaseException as error:
            self.errors.append(error)


_lock = threading.Lock()
_executor: ThreadPoolExecutor | None = None


def usable_cpus() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _start(work: Callable[[], None], count: int) -> list[Future[None]]:
    """Have threads of the process's pool do something, when they are free."""
    global _executor
    with _lock:
        if _executor is None:
            _executor = ThreadPoolExecutor(max(1, usable_cpus() - 1), thread_name_prefix="parallel loop")
        executor = _executor
    try:
        return [executor.submit(work) for _ in range(count)]
    except RuntimeError:  # the interpreter is shutting down: it gets done on this thread
        return []


def _forget_threads() -> None:
    """The child of a fork has no such threads, and the lock may have been held."""
    global _lock, _executor
    _lock, _executor = threading.Lock(), None


os.register_at_fork(after_in_child=_forget_threads)


def overlaps_itself(array: Array) -> bool:
    """Whether two elements may lie in the same memory; it may say so of an array with unusual strides."""
    extent = array.itemsize
    if array.size == 0:
        return False
    for stride, length in sorted((abs(s), n) for s, n in zip(array.strides, array.shape, strict=True) if n > 1):
        if stride < extent:
            return True
        extent += stride * (length - 1)
    return False


def share_memory(one: Array, other: Array) -> bool:
    """Whether two arrays share memory; true as well where that takes long to find out."""
    if not np.may_share_memory(one, other):
        return False
    try:
        return bool(np.shares_memory(one, other, max_work=_OVERLAP_WORK))  # type: ignore[arg-type]
    except np.exceptions.TooHardError:
        return True
