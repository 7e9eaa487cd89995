"""What can be seen of a run: the value or the exception, and what became of the arguments.

`fingerprint` makes two of them comparable by type and bits, so that 1, True, 1.0 and np.int64(1) differ, and 0.0 and
-0.0 do; NaNs are all the same, since Python promises nothing about their bits.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np


class Ending(Enum):
    """How a run ended."""

    RETURNED = "returned"
    RAISED = "raised"
    OUT_OF_STEPS = "out of steps"
    """The budget was spent; `Outcome.at` and `Outcome.locals` say where to go on."""


@dataclass(frozen=True)
class Outcome:
    """A finished, or interrupted, run of a kernel."""

    ending: Ending
    value: Any = None
    exception: Exception | None = None
    arguments: tuple[Any, ...] = ()
    """The arguments given, as the run left them."""
    steps: int = 0
    """Statements executed."""
    at: int | None = None
    """When the run stopped in the procedure it began in: the statement that was to be executed next."""
    locals: Mapping[str, Any] = field(default_factory=dict)

    @property
    def fingerprint(self) -> tuple[Any, ...]:
        """Equal exactly when two runs behaved the same: ending, value, exception type, arguments and their aliasing."""
        raised = type(self.exception).__name__ if self.exception else ""
        return (self.ending, raised, fingerprint((self.value, self.arguments)))


def fingerprint(value: Any) -> Any:
    """A hashable image of a value: types, bits, shapes, and which mutable parts are the same object."""
    return _image(value, {})


def _image(value: Any, seen: dict[int, int]) -> Any:
    if isinstance(value, list | np.ndarray):
        if id(value) in seen:
            return ("same as", seen[id(value)])
        seen[id(value)] = len(seen)
    if isinstance(value, list | tuple):
        return (type(value).__name__, tuple(_image(item, seen) for item in value))
    if isinstance(value, np.ndarray):
        return ("array", value.dtype.str, value.shape, tuple(_number(item) for item in value.ravel()))
    return _number(value)


def _number(value: Any) -> Any:
    kind = type(value).__module__ + "." + type(value).__name__
    if isinstance(value, float | np.floating):
        return (kind, "nan" if value != value else struct.pack("<d", float(value)))
    if isinstance(value, complex):
        return (kind, _number(value.real), _number(value.imag))
    return (kind, value if value is None or isinstance(value, str) else int(value))
