"""Errors of the routing subsystem."""

from __future__ import annotations


class LaneError(ValueError):
    """A lane, scenario or workload that cannot be: says what was wrong and what was expected."""
