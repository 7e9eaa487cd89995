"""Sees which tiered functions run, and brings frames to the point where they can be replaced.

In: the native ticker, which calls back in the main thread about once a millisecond while tiered code is on the stack.
Out: calls of `sampled` on the owner of each such frame, and `arrived` when a frame that is to be replaced stands at a
backward jump. Sampling costs the functions themselves nothing (Arnold, Fink, Grove, Hind, Sweeney, OOPSLA 2000 describe
how JIT compilers use it).
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from lean_agentic.jit_runtime.bytecode import SUPPORTED
from lean_agentic.jit_runtime.instrument import Site

if SUPPORTED:  # elsewhere no function is profiled, and the extension is not built
    from lean_agentic.jit_runtime import _sampling

DEPTH = 64
"""Frames that are looked at, from the innermost on."""
STALL_TICKS = 3
"""Ticks without a chance to look after which compiled code, or another thread, is taken to be running."""
OTHERS = 8
"""Every so many samples the other threads are looked at as well."""


class Sampler:
    """The process has one. `period_ms` is the shortest that any runtime asked for."""

    def __init__(self) -> None:
        self.period_ms = 0.0
        self.samples = 0
        self._watching = False
        self._pauses = 0
        self._open: weakref.WeakSet[object] = weakref.WeakSet()
        os.register_at_fork(after_in_child=self._after_fork)

    def follow(self, function: object, period_ms: float) -> None:
        """Look, as long as the function exists and nobody says `forget`."""
        if self.period_ms == 0.0:
            atexit.register(_sampling.stop)
        if self.period_ms == 0.0 or self.period_ms > period_ms:
            self.period_ms = period_ms
            _sampling.configure(self._look, Site, int(1e6 * period_ms))
        if not self._open:
            _sampling.activate(True)
        self._open.add(function)
        self._watch_calls()

    def expect_news(self) -> None:
        """A function is called for the first time, say, or has been promoted: look often for a while."""
        if self._open:
            _sampling.news()

    def forget(self, function: object) -> None:
        """There is nothing left to learn about a function."""
        self._open.discard(function)
        if not self._open:
            _sampling.activate(False)

    def _watch_calls(self) -> None:
        """Notice calls that stay in compiled code, and those of other threads while the main thread waits."""
        if not self._watching:
            self._watching = True
            threading.Thread(target=self._watch, name="tier watcher", daemon=True).start()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Do not count the time of the main thread: it compiles."""
        here = threading.current_thread() is threading.main_thread()
        self._pauses += here
        try:
            yield
        finally:
            self._pauses -= here

    def _look(self, frame: FrameType, chased: bool, milliseconds: float) -> None:
        if self._pauses:
            return
        if chased:
            if owner := site_of(frame).owner:
                owner.arrived(frame)
            return
        self.samples += 1
        seen, replaceable = set(), None
        for each in tiered_frames(frame):
            site = site_of(each)
            owner = site.owner
            if id(site) in seen or owner is None or not owner.config.sampling:
                continue
            seen.add(id(site))
            owner.sampled(each, site.tier, milliseconds)
            if replaceable is None and site.tier == 0 and owner.wants_replacement(each):
                replaceable = each
        if replaceable is not None:
            _sampling.chase(replaceable, site_of(replaceable).owner.looks())
        elif self.samples % OTHERS == 0:
            self._look_at_others(threading.get_ident(), OTHERS * milliseconds)

    def _watch(self) -> None:
        """Runs in a thread: when the main thread gives no chance to look, look from here."""
        while True:
            milliseconds = _sampling.wait_stalled(STALL_TICKS)
            if milliseconds < 0:
                return
            self._look_at_others(threading.get_ident(), milliseconds)

    def _look_at_others(self, this: int, milliseconds: float) -> None:
        """Tell the innermost tiered function of each thread but this one that it is running."""
        for thread, innermost in sys._current_frames().items():
            if thread == this or (self._pauses and thread == threading.main_thread().ident):
                continue
            for frame in tiered_frames(innermost):
                owner = site_of(frame).owner
                if owner is not None and owner.config.sampling:
                    owner.running(thread, site_of(frame).tier, milliseconds)
                break

    def _after_fork(self) -> None:
        if self._open:
            self._watching = False
            _sampling.activate(True)


def tiered_frames(frame: FrameType | None) -> Iterator[FrameType]:
    """The frames of tiered functions on the stack, innermost first."""
    for _ in range(DEPTH):
        if frame is None:
            return
        if isinstance(site_of(frame), Site):
            yield frame
        frame = frame.f_back


def site_of(frame: FrameType) -> Any:
    """The last constant of a frame's code: a `Site` when the code is tiered."""
    return frame.f_code.co_consts[-1] if frame.f_code.co_consts else None


sampler = Sampler()
