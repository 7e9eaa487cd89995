"""What is known of a function's calls in tier 0: how many, of what argument types, how long, how often loops run.

In: the hook that profiled code calls through its counter, and the sampler. Out: figures for the policy and `explain`.
The counter is an iterator that profiled code takes an item from at each call; it is made of pieces, and where one ends
the profile looks at the call that is about to begin: the 2nd, 8th, 32nd, ... and those that a threshold names.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable, Iterator, Mapping
from itertools import chain, repeat
from types import FrameType, MethodType
from typing import Any
from weakref import WeakMethod

import numpy as np

from lean_agentic.jit_runtime.sampler import sampler

MOST_SHAPES = 16


class Profile:
    """Counts and samples of one function.

    `at_sample` is called with the frame at each sampled call, `at_renewal` when there is a new counter: the old one is
    at its end once looking at a call has raised, by Ctrl-C for instance.
    """

    def __init__(
        self,
        stops: tuple[int, ...] = (),
        at_sample: Callable[[FrameType], None] | None = None,
        at_renewal: Callable[[], None] | None = None,
    ) -> None:
        self.shapes: dict[tuple[str, ...], int] = {}
        """Argument types of sampled calls, in short form."""
        self.spent_ms = 0.0
        self.trip_counts: dict[int, int] = {}
        """Most iterations that were seen, by the line of the loop."""
        self._begun = 0
        self._sampling = 0
        """1 while a call is looked at that has not yet taken its item."""
        self._piece: Iterator[None] = iter(())
        self._stops = frozenset(stops)
        # Weakly, because the counter hangs on a code object, which is not garbage collected.
        self._at_sample = WeakMethod(at_sample) if isinstance(at_sample, MethodType) else lambda: at_sample
        self._at_renewal = WeakMethod(at_renewal) if isinstance(at_renewal, MethodType) else lambda: at_renewal
        self.counter: Iterator[None] = chain.from_iterable(self)

    @property
    def calls(self) -> int:
        """Calls that have begun in tier 0."""
        return self._begun - operator.length_hint(self._piece) + self._sampling

    def __iter__(self) -> Iterator[Iterator[None]]:
        return self

    def __next__(self) -> Iterator[None]:
        """The next piece of the counter; the frame that asks is the user's."""
        number = self._begun + 1
        if number == 1:  # nothing is decided yet, and a function that is called once should not pay for it
            self._piece, self._begun = repeat(None, 1), 1
            sampler.expect_news()
            return self._piece
        self._piece = repeat(None, self._until_next(number))
        self._begun += operator.length_hint(self._piece)
        sampler.expect_news()
        frame = sys._getframe(1)
        self._sampling = 1
        try:
            self._sample(frame)
            _call(self._at_sample(), frame)
        except BaseException:
            self.counter = chain.from_iterable(self)
            self._begun, self._piece = number, iter(())
            _call(self._at_renewal())
            raise
        finally:
            self._sampling = 0
        return self._piece

    def _until_next(self, number: int) -> int:
        """Calls from this one, which is sampled, to the next that is."""
        later = 2
        while later <= number:
            later *= 4
        return min([later, *(stop for stop in self._stops if number < stop)]) - number

    def _sample(self, frame: FrameType) -> None:
        shape = tuple(map(short_type, parameters(frame).values()))
        if shape in self.shapes or len(self.shapes) < MOST_SHAPES:
            self.shapes[shape] = self.shapes.get(shape, 0) + 1

    def note_trips(self, line: int, count: int) -> None:
        """A loop was seen to run so often."""
        self.trip_counts[line] = max(count, self.trip_counts.get(line, 0))


def _call(callback: Callable[..., None] | None, *arguments: Any) -> None:
    if callback is not None:
        callback(*arguments)


def parameters(frame: FrameType) -> Mapping[str, Any]:
    """The present values of a frame's parameters."""
    code, values = frame.f_code, frame.f_locals
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    return {name: values[name] for name in names if name in values}


def short_type(value: Any) -> str:
    """A type for people, cheap to find: lists are looked at in their first element only."""
    if type(value) is list:
        return f"list[{short_type(value[0])}]" if value else "list[]"
    if type(value) is np.ndarray:
        return f"array[{value.dtype}, {value.ndim}]"
    return type(value).__name__
