"""Looks at what the main thread runs (C, `native/sampling.c`); only for CPython 3.11."""

from collections.abc import Callable
from types import FrameType
from typing import Any

def configure(callback: Callable[[FrameType, bool, float], object], marker: type, period_ns: int, /) -> None:
    """Call back with the innermost frame when code whose last constant is of the marker type is on the stack.

    The flag says that the frame was chased, the number is milliseconds since the last look. What the callback raises is
    raised in the frame.
    """

def activate(flag: bool, /) -> None:
    """Tick, or rest."""

def stop() -> None:
    """End the thread that ticks."""

def look_soon() -> None:
    """Call back as soon as marked code runs, without waiting for a tick."""

def chase(frame: FrameType, looks: int, /) -> None:
    """Call back once a frame is the innermost one and at a backward jump; given up after so many looks."""

def stack(frame: FrameType, count: int, /) -> list[object]:
    """The lowest values on the stack of a frame that runs. There have to be so many."""

def classes(values: list[Any], /) -> set[type]:
    """The classes of a list's elements."""

def is_at_backward_jump(frame: FrameType, /) -> bool:
    """Whether a frame has just jumped backward."""

def news() -> None:
    """Look often again: something may have to be decided soon."""

def wait_stalled(ticks: int, /) -> float:
    """Wait until so many ticks were missed; milliseconds since the last look, negative at the end of the process."""
