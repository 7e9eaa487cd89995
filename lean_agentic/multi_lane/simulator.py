"""Replays a workload under a scenario with a policy: a discrete-event simulation.

In: `Workload`, `Scenario`, a policy. Out: an `Outcome`, or with `replay_attempts` also every attempt behind it.

What the simulation assumes:

- A lane with servers is one first-come, first-served line; when it is full one more is refused at once, without cost.
  Lanes without servers take any number at once.
- A rate limit is a token bucket. A refused attempt takes `refusal_s` and costs nothing.
- An attempt on a lane that is down fails after `notice_s` and costs nothing; so do those whose turn in line comes
  during an outage. What is being served when an outage begins is completed.
- With `failure_rate` an attempt fails although the lane is up: it takes `notice_s` of service, and its context is
  billed: failures cost time and money.
- After a failure the policy chooses again, `retry_delay_s` later, among the lanes not tried for this request; after
  `max_attempts`, or when nothing is left, the request stays unanswered: quality 0, target missed.
- Cost is price * tokens / 1000; service takes ttft + (generated - 1) * inter-token time of that request on that lane.
- Policies and predictions learn of an attempt when it ends, not before.
- A policy that keeps the budget is shown as open only lanes whose worst case (context and the cap on generated tokens)
  still fits what is neither spent nor reserved: it cannot overspend. The other policies ignore the budget.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from lean_agentic.multi_lane import replay_loop
from lean_agentic.multi_lane.policies import Policy
from lean_agentic.multi_lane.program import Program
from lean_agentic.multi_lane.scenario import Scenario
from lean_agentic.multi_lane.tables import World, build_world
from lean_agentic.multi_lane.workload import Floats, Ints, Outcome, Workload


class AttemptStatus(IntEnum):
    """How an attempt ended."""

    ANSWERED = replay_loop.ANSWERED
    FAILED = replay_loop.FAILED
    DOWN = replay_loop.DOWN
    RATE_LIMITED = replay_loop.RATE_LIMITED
    QUEUE_FULL = replay_loop.QUEUE_FULL


@dataclass(frozen=True, repr=False)
class Attempts:
    """Every attempt of a replay, (m,) columns, by request and then by attempt."""

    request: Ints
    lane: Ints
    status: Ints
    """`AttemptStatus`"""
    submitted_s: Floats
    started_s: Floats
    """When service began, NaN where it did not."""
    ended_s: Floats
    cost_usd: Floats

    def __len__(self) -> int:
        return len(self.request)

    def __repr__(self) -> str:
        counts = ", ".join(f"{(self.status == status).sum():,} {status.name.lower()}" for status in AttemptStatus)
        return f"Attempts({len(self):,}: {counts})"


@dataclass(frozen=True)
class Replay:
    """An outcome with what lies behind it."""

    outcome: Outcome
    attempts: Attempts
    program: Program
    """The policy's program as learning has left it."""


def replay_attempts(workload: Workload, scenario: Scenario, policy: Policy) -> Replay:
    """Replay a workload and keep every attempt.

    Raises
    ------
    LaneError
        The workload does not fit the scenario (number of lanes, length of answers), or the policy refuses the scenario.
    """
    world = build_world(workload, scenario)
    program = policy.start(scenario, len(workload))
    replay_loop.replay(world, program)
    return Replay(_outcome(policy.name, world), _attempts(world), program)


def simulate(workload: Workload, scenario: Scenario, policy: Policy) -> Outcome:
    """Replay a workload: what becomes of each request when the policy chooses its lanes.

    Raises
    ------
    LaneError
        The workload does not fit the scenario (number of lanes, length of answers), or the policy refuses the scenario.
    """
    world = build_world(workload, scenario)
    replay_loop.replay(world, policy.start(scenario, len(workload)))
    return _outcome(policy.name, world)


def _outcome(name: str, world: World) -> Outcome:
    table = world.requests
    copied = ("lane", "attempts", "cost_usd", "predicted_cost_usd", "finish_s", "quality")
    columns = {column: table[column].copy() for column in copied}
    return Outcome(policy=name, latency_s=table["finish_s"] - table["arrival_s"], missed=table["missed"] > 0, **columns)


def _attempts(world: World) -> Attempts:
    request, _ = np.nonzero(world.attempts["lane"] >= 0)
    made = world.attempts[world.attempts["lane"] >= 0]
    names = made.dtype.names or ()
    return Attempts(request=request, **{name: made[name].copy() for name in names})
