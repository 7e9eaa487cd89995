"""What is proved about a kernel before selection, so that checks can be left out.

In: made by `range_analysis`. Out: read by `selection`. Without facts every check stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Condition:
    """`0 <= base + offset < len(container)` on an axis, for every iteration of a loop that neither assigns."""

    container: str
    axis: int
    base: str | None
    """A local that the loop does not assign, or None: the loop's counter."""
    offset: int


@dataclass(frozen=True)
class LoopVersion:
    """Two copies of an innermost loop: where all conditions hold at its start, the one with fewer checks runs."""

    conditions: tuple[Condition, ...]
    within: frozenset[tuple[int, int]]
    """Checks that the conditions make needless, beside those of `Facts.within`."""


@dataclass(frozen=True)
class Facts:
    """Proved for every run that passes the guards on `assumed`."""

    exact: frozenset[int] = frozenset()
    """Statements whose integer arithmetic cannot leave 64 bits."""
    nonnegative: frozenset[tuple[int, int]] = frozenset()
    """(statement, axis) of `Index` and `Store` whose index is not negative."""
    within: frozenset[tuple[int, int]] = frozenset()
    """(statement, axis) whose index is not negative and below the length."""
    versions: Mapping[int, LoopVersion] = field(default_factory=dict)
    """By id of the `ForRange`."""
    assumed: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Int parameters of the entry that must lie within bounds (inclusive); otherwise the call leaves at once."""
    unit_stride: frozenset[int] = frozenset()
    """`Index` and `Store` statements into arrays whose last axis has no gaps."""
    assumed_unit_stride: frozenset[str] = frozenset()
    """Array parameters of the entry whose last axis must have no gaps; otherwise the call leaves at once."""
    vector_width: Mapping[int, int] = field(default_factory=dict)
    """Wished vectorisation factors by id of the `ForRange`."""
    block_polls: frozenset[int] = frozenset()
    """Innermost `ForRange`s that poll once in many iterations, so that they can be vectorised."""


NOTHING = Facts()
