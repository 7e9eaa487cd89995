"""The flat tables that a compiled replay works on, and how they are made from a workload and a scenario.

In: `Workload`, `Scenario`. Out: a `World`: the requests, the lanes and every attempt, with what is given and what the
replay writes side by side. n requests, k lanes, up to A attempts a request. Structured arrays keep a request's
fields together in memory and the number of arrays small: compiled code counts references to each array it passes on.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lean_agentic.multi_lane.beliefs import REQUEST_COLUMNS, VIEW_COLUMNS, initial_beliefs
from lean_agentic.multi_lane.cost_prediction import token_memory
from lean_agentic.multi_lane.errors import LaneError
from lean_agentic.multi_lane.event_queue import EventQueue, event_queue
from lean_agentic.multi_lane.outages import outage_intervals
from lean_agentic.multi_lane.scenario import Scenario
from lean_agentic.multi_lane.workload import Floats, Ints, Workload

AFTER_LAST_ARRIVAL_S = 3600.0
"""Outages are drawn for so long after the last arrival; later ones would meet almost nothing."""

REQUEST = np.dtype(
    [
        ("arrival_s", np.float64),
        ("target_s", np.float64),
        ("context_tokens", np.int64),
        ("generated_tokens", np.int64),
        ("priority", np.int64),
        # What the replay writes.
        ("lane", np.int64),  # that answered, or -1
        ("attempts", np.int64),
        ("cost_usd", np.float64),
        ("predicted_cost_usd", np.float64),  # for the lane last chosen
        ("expected_service_s", np.float64),  # on the lane last chosen
        ("finish_s", np.float64),
        ("quality", np.float64),
        ("missed", np.float64),
        ("tried", np.int64),  # bit set of lanes
        ("server", np.int64),  # that holds it, or -1
    ]
)

ATTEMPT = np.dtype(
    [
        ("lane", np.int64),  # -1 where there was no such attempt
        ("status", np.int64),
        ("cost_usd", np.float64),
        ("submitted_s", np.float64),
        ("started_s", np.float64),  # NaN where service never started
        ("ended_s", np.float64),
    ]
)

LANE = np.dtype(
    [
        ("price_per_1k", np.float64),
        ("failure_rate", np.float64),
        ("refill_per_s", np.float64),
        ("burst", np.float64),
        ("servers", np.int64),
        ("queue_limit", np.int64),
        ("last_outage", np.int64),  # one past this lane's rows in the table of outages
        # What the replay writes.
        ("next_outage", np.int64),  # first that is not over
        ("busy", np.int64),  # servers at work
        ("queued", np.int64),  # requests in line
        ("head", np.int64),  # where in the ring the line begins
        ("expected_work_s", np.float64),  # predicted service time of the line
        ("bucket", np.float64),  # requests that the rate limit has to give
        ("refilled_s", np.float64),  # when the bucket was last brought up to date
    ]
)

LEDGER = np.dtype(
    [
        ("budget_usd", np.float64),
        ("spent_usd", np.float64),
        ("reserved_usd", np.float64),
        ("max_generated_tokens", np.float64),
        ("retry_delay_s", np.float64),
        ("notice_s", np.float64),
        ("refusal_s", np.float64),
    ]
)

QUALITY_OF, PREDICTED_QUALITY_OF, TTFT_OF, INTER_TOKEN_OF = range(4)
"""Last index of `World.served`."""

Table = NDArray[Any]
Row = Any
"""One row of a table. Compiled code reads its fields as attributes; NumPy types know no names of fields."""


class World(NamedTuple):
    """Everything a replay reads and writes."""

    requests: Table
    """(n,) REQUEST"""
    served: Floats
    """(n, k, 4) quality, predicted quality, time to first and to each further token if the lane serves the request."""
    draws: Floats
    """(n, DRAWS_PER_REQUEST)"""
    attempts: Table
    """(n, A) ATTEMPT"""
    shown_request: Floats
    """(n, REQUEST_COLUMNS) what the policy was shown at the latest choice."""
    shown_lane: Floats
    """(n, VIEW_COLUMNS) and of the lane it took."""
    lanes: Table
    """(k,) LANE"""
    outages: Floats
    """(m, 2) start and end, all lanes one after another."""
    line: Ints
    """(k, longest line) rings of requests in line."""
    server_ends: Floats
    """(k, most servers) predicted end of what each server does, -inf while idle."""
    beliefs: Floats
    """(k, BELIEF_COLUMNS)"""
    token_memory: Floats
    ledger: Table
    """(1,) LEDGER"""
    events: EventQueue


def build_world(workload: Workload, scenario: Scenario) -> World:
    """Lay out a replay.

    Raises
    ------
    LaneError
        The workload has another number of lanes than the scenario, or longer answers than the scenario allows.
    """
    _check_fit(workload, scenario)
    n, k = workload.quality.shape
    attempts = np.zeros((n, scenario.max_attempts), dtype=ATTEMPT)
    attempts["lane"], attempts["started_s"] = -1, np.nan
    last_arrival = float(workload.arrival_s[-1]) if n else 0.0
    outages = outage_intervals(scenario, last_arrival + AFTER_LAST_ARRIVAL_S)
    lanes = _lane_table(scenario, outages)
    tables = (workload.quality, workload.predicted_quality, workload.ttft_s, workload.inter_token_s)
    return World(
        requests=_request_table(workload, scenario),
        served=np.stack(tables, axis=2),
        draws=np.ascontiguousarray(workload.draws),
        attempts=attempts,
        shown_request=np.zeros((n, REQUEST_COLUMNS)),
        shown_lane=np.zeros((n, VIEW_COLUMNS)),
        lanes=lanes,
        outages=np.concatenate(outages),
        line=np.zeros((k, max(1, int(lanes["queue_limit"].max()))), dtype=np.int64),
        server_ends=np.full((k, max(1, int(lanes["servers"].max()))), -np.inf),
        beliefs=initial_beliefs(scenario.lanes),
        token_memory=token_memory(),
        ledger=_ledger(scenario),
        # A request has at most one event pending: its attempt's end, or its next attempt. Arrivals are not queued.
        events=event_queue(n),
    )


def _check_fit(workload: Workload, scenario: Scenario) -> None:
    if workload.lanes != len(scenario.lanes):
        raise LaneError(
            f"The workload has {workload.lanes} lanes and the scenario {len(scenario.lanes)}: build both for the same."
        )
    longest = int(workload.generated_tokens.max(initial=0))
    if longest > scenario.max_generated_tokens:
        raise LaneError(
            f"The workload has an answer of {longest} tokens, above max_generated_tokens="
            f"{scenario.max_generated_tokens}: raise the cap, or clip the workload."
        )


def _request_table(workload: Workload, scenario: Scenario) -> Table:
    table = np.zeros(len(workload), dtype=REQUEST)
    for name in ("arrival_s", "context_tokens", "generated_tokens", "priority"):
        table[name] = getattr(workload, name)
    table["target_s"] = scenario.latency_targets(workload.priority)
    table["lane"], table["server"] = -1, -1
    return table


def _lane_table(scenario: Scenario, outages: list[Floats]) -> Table:
    table = np.zeros(len(scenario.lanes), dtype=LANE)
    for name in ("price_per_1k", "failure_rate", "burst", "servers", "queue_limit"):
        table[name] = [getattr(lane, name) for lane in scenario.lanes]
    table["refill_per_s"] = [lane.requests_per_minute / 60.0 for lane in scenario.lanes]
    table["bucket"] = table["burst"]
    table["last_outage"] = np.cumsum([len(intervals) for intervals in outages])
    # Outages of all lanes lie in one table: a lane's begin where those of the lane before it end.
    table["next_outage"][1:] = table["last_outage"][:-1]
    return table


def _ledger(scenario: Scenario) -> Table:
    table = np.zeros(1, dtype=LEDGER)
    for name in ("budget_usd", "max_generated_tokens", "retry_delay_s", "notice_s", "refusal_s"):
        table[name] = getattr(scenario, name)
    return table
