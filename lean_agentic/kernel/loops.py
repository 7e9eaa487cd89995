"""Where the loops of a function are, and which hidden locals hold their state.

Recorded while lowering, so that a call that CPython is running can go on in other code in the middle of its loops:
who has the Python iterators can compute the hidden locals from them.
"""

from __future__ import annotations

from dataclasses import dataclass

from lean_agentic.kernel.ir import Atom


@dataclass(frozen=True)
class Iterated:
    """What a `for` loop runs over, as evaluated. The atoms are hidden locals or constants."""

    kind: str
    """`range`, `items` (list, tuple, array), `enumerate`, `zip` or `reversed`."""
    parts: tuple[Atom, ...]
    """range: start, stop, step, length; items: container, length; enumerate: start; reversed: last position;
    zip: the least length so far, after the second and each further one."""
    inner: tuple[Iterated, ...] = ()
    """What enumerate, zip and reversed run over."""


@dataclass(frozen=True)
class Loop:
    """A loop statement of the user's: its line and column (in the syntax tree that was lowered) and its statement."""

    line: int
    column: int
    statement: int
    test: tuple[int, int, int, int] = (0, 0, 0, 0)
    """Of a `while`: line, column, end line, end column of its test."""
    body: tuple[int, int, int, int] = (0, 0, 0, 0)
    """The same of its body."""
    counter: str = ""
    """The hidden counter; "" for `while`."""
    direct: bool = False
    """The counter takes the values of a range rather than positions."""
    source: Iterated | None = None
