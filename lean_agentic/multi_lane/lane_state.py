"""How lanes behave from moment to moment, compiled: outages, rate limits, waiting lines, and the view of them.

In: a `World` and the present time, which never falls from call to call. Out: whether a lane is up and would take a
request, how long it would let it wait, and the request vector and view that a policy is shown.
"""

from __future__ import annotations

import math

from lean_agentic.multi_lane.beliefs import (
    BEST_QUALITY,
    CONTEXT,
    LATENCY,
    LOAD,
    OPEN,
    PRIORITY,
    ROOM,
    SERVER_S,
    SLACK,
    TOKENS,
    describe_lane,
)
from lean_agentic.multi_lane.compiled import compiled
from lean_agentic.multi_lane.cost_prediction import predict_tokens
from lean_agentic.multi_lane.tables import PREDICTED_QUALITY_OF, Row, World
from lean_agentic.multi_lane.workload import Floats


@compiled
def is_down(lane: Row, outages: Floats, now: float) -> bool:
    """Whether a lane, a row of the LANE table, is in an outage."""
    # Time never falls, so an outage that is over is passed once and for all.
    while lane.next_outage < lane.last_outage and outages[lane.next_outage, 1] <= now:
        lane.next_outage += 1
    return bool(lane.next_outage < lane.last_outage and outages[lane.next_outage, 0] <= now)


@compiled
def rate_allows(lane: Row, now: float) -> bool:
    """Bring a token bucket up to date; whether it holds a request."""
    if lane.refill_per_s == math.inf:
        return True
    lane.bucket = min(lane.burst, lane.bucket + (now - lane.refilled_s) * lane.refill_per_s)
    lane.refilled_s = now
    return bool(lane.bucket >= 1.0)


@compiled
def all_busy(lane: Row) -> bool:
    """Whether a request would have to wait in line."""
    return bool(lane.servers > 0 and lane.busy == lane.servers)


@compiled
def line_is_full(lane: Row) -> bool:
    """Whether a request would have to wait and finds no place in line."""
    return bool(all_busy(lane) and lane.queued >= lane.queue_limit)


@compiled
def expected_wait(lane: Row, server_ends: Floats, now: float) -> float:
    """Predicted work in line and under way, shared among the servers; 0 where one is idle."""
    if not all_busy(lane):
        return 0.0
    work = lane.expected_work_s
    for server in range(lane.servers):
        # A server that is behind its prediction is expected to be free at any moment.
        work += max(server_ends[server] - now, 0.0)
    return float(work / lane.servers)


@compiled
def worst_case(world: World, request: int, lane: int) -> float:
    """The most dollars that an attempt can cost."""
    tokens = world.requests[request].context_tokens + world.ledger[0].max_generated_tokens
    return float(world.lanes[lane].price_per_1k * tokens / 1000.0)


@compiled
def describe_request(world: World, request: int, now: float) -> None:
    """Fill the request vector for one choice."""
    known, row = world.shown_request[request], world.requests[request]
    known[CONTEXT] = row.context_tokens
    known[TOKENS] = predict_tokens(world.token_memory, known[CONTEXT])
    known[PRIORITY] = row.priority
    known[SLACK] = row.arrival_s + row.target_s - now
    known[BEST_QUALITY] = world.served[request, :, PREDICTED_QUALITY_OF].max()


@compiled
def look(world: World, view: Floats, request: int, now: float, keeps_budget: bool) -> None:
    """Fill the (k, VIEW_COLUMNS) view for one choice; the request vector must be there."""
    ledger, tried = world.ledger[0], world.requests[request].tried
    free_usd = ledger.budget_usd - ledger.spent_usd - ledger.reserved_usd
    for index in range(len(view)):
        row, lane = view[index], world.lanes[index]
        worst_usd = worst_case(world, request, index)
        # What costs nothing stays open even when rounding leaves the free budget a hair below 0.
        fits = not keeps_budget or worst_usd == 0.0 or worst_usd <= free_usd
        row[OPEN] = 1.0 if fits and not (tried >> index) & 1 else 0.0
        has_room = rate_allows(lane, now) and not line_is_full(lane)
        row[ROOM] = 1.0 if has_room else 0.0
        wait_s = expected_wait(lane, world.server_ends[index], now)
        quality = world.served[request, index, PREDICTED_QUALITY_OF]
        describe_lane(row, world.beliefs[index], world.shown_request[request], wait_s, lane.price_per_1k, quality, now)
        if lane.servers > 0:
            row[SERVER_S] = row[LATENCY] - wait_s
            row[LOAD] = (lane.busy + lane.queued) / (lane.servers + lane.queue_limit)
