"""Times of single calls with the tier that ran them, for pictures.

In: calls, through a wrapper that is only there when the configuration asks for it. Out: samples and marks.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

Target = Callable[..., Any]


class Sample(NamedTuple):
    """One call."""

    call: int
    seconds: float
    tier: int


class Mark(NamedTuple):
    """Something that happened between two calls."""

    call: int
    kind: str
    text: str


@dataclass
class Timeline:
    """Samples and marks of one function."""

    samples: list[Sample] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)

    def timed(self, target: Target, calls: Callable[[], int], tier: Callable[[], int]) -> Target:
        """The target, each call of it recorded with the numbers that there are when it ends."""

        def call(*arguments: Any) -> Any:
            start = time.perf_counter()
            try:
                return target(*arguments)
            finally:
                self.samples.append(Sample(calls(), time.perf_counter() - start, tier()))

        return call

    def mark(self, call: int, kind: str, text: str) -> None:
        """Note an event."""
        self.marks.append(Mark(call, kind, text))
