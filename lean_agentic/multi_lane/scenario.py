"""The conditions of a replay: lanes, targets and limits, forced outages, and what a failure takes.

In: numbers from a notebook's controls. Out: a checked, frozen `Scenario` that `simulator.simulate` and
`dual.fit_dual` read. The workload says what arrives; the scenario says what it meets.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from lean_agentic.multi_lane.errors import LaneError
from lean_agentic.multi_lane.lanes import NOMINAL_LANES, PRIORITIES, Lane
from lean_agentic.multi_lane.workload import DRAWS_PER_REQUEST, Floats, Ints

TARGET_MULTIPLIERS = (2.0, 1.0, 0.75, 0.5)
"""Latency target of each priority as a multiple of the scenario's base target: low waits longest, critical least."""

MOST_ATTEMPTS = DRAWS_PER_REQUEST // 2
"""Half of a request's uniform draws decide failures, one an attempt; the other half serve policies that explore."""


@dataclass(frozen=True)
class ForcedOutage:
    """A lane taken down from outside, for the whole replay or for an interval [start_s, end_s)."""

    lane: str
    start_s: float = 0.0
    end_s: float = math.inf

    def __post_init__(self) -> None:
        if not 0 <= self.start_s < self.end_s:
            raise LaneError(
                f"A forced outage of {self.lane} needs 0 <= start_s < end_s, not {self.start_s} to {self.end_s}."
            )


@dataclass(frozen=True)
class Scenario:
    """What a workload meets. Bad values are refused with `LaneError`."""

    lanes: tuple[Lane, ...] = NOMINAL_LANES
    latency_target_s: float = 20.0
    """Target from arrival to the last token for medium priority; the others by `TARGET_MULTIPLIERS`."""
    budget_usd: float = math.inf
    """Hard limit for policies that keep a budget (`Dual`); the others ignore it, so that they stay comparable."""
    quality_floor: float = 0.95
    """Mean quality to keep, as a share of the best single lane's."""
    max_miss_rate: float = 0.01
    """Share of requests that may be late or unanswered."""
    forced_outages: tuple[ForcedOutage, ...] = ()
    max_attempts: int = 3
    """Calls made for one request before giving up; each goes to a lane not yet tried for it."""
    retry_delay_s: float = 0.1
    """Pause between a failed attempt and the next."""
    notice_s: float = 1.0
    """Time until an attempt that fails, or meets a lane that is down, is known to have failed."""
    refusal_s: float = 0.05
    """Time until a rate limit has refused an attempt; a full queue refuses at once."""
    max_generated_tokens: int = 1024
    """Cap sent with each request: the worst case that a budget reserves for."""
    seed: int = 0
    """Of the outages; everything else random is part of the workload."""

    def __post_init__(self) -> None:
        self._check_lanes()
        self._check_shares()
        self._check_times()

    def _check_lanes(self) -> None:
        names = [lane.name for lane in self.lanes]
        if not names or len(set(names)) < len(names):
            raise LaneError(f"A scenario needs one lane or more, each with its own name, not {names}.")
        for outage in self.forced_outages:
            self.lane_index(outage.lane)

    def _check_shares(self) -> None:
        for field in ("quality_floor", "max_miss_rate"):
            if not 0 <= getattr(self, field) <= 1:
                raise LaneError(f"{field} is a share between 0 and 1, not {getattr(self, field)}.")
        if not self.budget_usd >= 0:
            raise LaneError(f"budget_usd is at least 0 dollars (math.inf for none), not {self.budget_usd}.")
        if not 1 <= self.max_attempts <= MOST_ATTEMPTS:
            raise LaneError(f"max_attempts is between 1 and {MOST_ATTEMPTS}, not {self.max_attempts}.")
        if self.max_generated_tokens < 1 or self.seed < 0:
            raise LaneError("max_generated_tokens is at least 1 and seed at least 0.")

    def _check_times(self) -> None:
        if not 0 < self.latency_target_s < math.inf:
            raise LaneError(f"latency_target_s is a number of seconds above 0, not {self.latency_target_s}.")
        for field in ("retry_delay_s", "notice_s", "refusal_s"):
            if not 0 <= getattr(self, field) < math.inf:
                raise LaneError(f"{field} is a number of seconds, at least 0, not {getattr(self, field)}.")

    def lane_index(self, name: str) -> int:
        """Column of a lane in the tables of a workload.

        Raises
        ------
        LaneError
            No lane has that name.
        """
        for index, lane in enumerate(self.lanes):
            if lane.name == name:
                return index
        raise LaneError(f"No lane is called {name!r}; this scenario has {[lane.name for lane in self.lanes]}.")

    def latency_targets(self, priority: Ints) -> Floats:
        """Latency target in seconds of each request: (n,) priorities to (n,) targets.

        Raises
        ------
        LaneError
            A priority outside 0..3.
        """
        if np.any((priority < 0) | (priority >= len(PRIORITIES))):
            raise LaneError(f"A priority is an index into {PRIORITIES}; found {sorted(set(priority.tolist()))}.")
        return self.latency_target_s * np.array(TARGET_MULTIPLIERS)[priority]

    def with_down(self, *names: str) -> Scenario:
        """The same scenario with these lanes down throughout: what the outage toggles of a notebook ask for."""
        return replace(self, forced_outages=self.forced_outages + tuple(ForcedOutage(name) for name in names))
