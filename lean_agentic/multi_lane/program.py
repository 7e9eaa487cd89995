"""What passes between a policy and whoever runs it: the program it starts as, and the feedback it learns from."""

from __future__ import annotations

from typing import NamedTuple

from lean_agentic.multi_lane.workload import Floats


class Program(NamedTuple):
    """A policy made ready for a scenario."""

    kind: int
    settings: Floats
    """(s,) numbers that stay."""
    memory: Floats
    """(rows, columns) numbers that learning changes in place."""
    keeps_budget: bool
    """Whether a lane is closed to it when its worst case no longer fits the budget."""


class Feedback(NamedTuple):
    """What became of an attempt, known when it ended."""

    cost_usd: float
    quality: float
    """Of the answer; 0 where the attempt failed."""
    missed: float
    """1 where the request ended late or unanswered, or the attempt failed."""
    failed: bool
    over: bool
    """Whether the request is over: answered or given up."""
