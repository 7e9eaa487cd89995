"""The compiled loop of the replay: arrivals, attempts, waiting lines, fall-back and delayed feedback.

In: a `World` and a policy's `Program`. Out: the world's record, filled. Nothing is drawn here: the same tables give the
same outcome, bit for bit.

Order of events: the earliest first; an event comes before an arrival of the same time; events of the same time come in
the order in which they were scheduled. When an attempt ends, first the beliefs and the policy learn from it, then its
server takes the next request in line, then the request's next attempt is scheduled. Nobody learns anything earlier.
"""

from __future__ import annotations

import math

import numpy as np

from lean_agentic.multi_lane.beliefs import COST, LATENCY, TOKENS, VIEW_COLUMNS, hear_success, hear_times, service_time
from lean_agentic.multi_lane.compiled import STAMP, compiled, compiled_entry
from lean_agentic.multi_lane.cost_prediction import observe_tokens
from lean_agentic.multi_lane.event_queue import pop, push
from lean_agentic.multi_lane.lane_state import (
    all_busy,
    describe_request,
    is_down,
    line_is_full,
    look,
    rate_allows,
    worst_case,
)
from lean_agentic.multi_lane.policies import choose, learn
from lean_agentic.multi_lane.program import Feedback, Program
from lean_agentic.multi_lane.tables import INTER_TOKEN_OF, QUALITY_OF, TTFT_OF, Row, World
from lean_agentic.multi_lane.workload import Floats

# In this order: up to DOWN an ending says whether the lane works, after it only that it was busy.
ANSWERED, FAILED, DOWN, RATE_LIMITED, QUEUE_FULL = range(5)
# An event's code is twice the request plus one of these: one whole number is all that the queue has to carry.
_END, _AGAIN = 0, 1


@compiled
def end_at(world: World, request: int, status: int, time: float) -> None:
    """Schedule the end of a request's present attempt."""
    attempt = world.attempts[request, world.requests[request].attempts - 1]
    attempt.status = status
    attempt.ended_s = time
    push(world.events, time, 2 * request + _END)


@compiled
def take_server(world: World, request: int, lane: int, now: float) -> None:
    """Occupy the first idle server of a lane that counts them."""
    ends = world.server_ends[lane]
    server = 0
    while ends[server] > -math.inf:
        server += 1
    # The predicted end: waits are told from it, and the router must not know the real one.
    ends[server] = now + world.requests[request].expected_service_s
    world.lanes[lane].busy += 1
    world.requests[request].server = server


@compiled
def start_service(world: World, request: int, lane: int, now: float) -> None:
    """Begin to serve a request on a lane that is up and has a server for it."""
    row, served = world.requests[request], world.served[request, lane]
    attempt = row.attempts - 1
    world.attempts[request, attempt].started_s = now
    if world.lanes[lane].servers > 0:
        take_server(world, request, lane, now)
    # The draw belongs to the request and not to the policy, so every policy has the same luck.
    if world.draws[request, attempt] < world.lanes[lane].failure_rate:
        end_at(world, request, FAILED, now + world.ledger[0].notice_s)
    else:
        service_s = served[TTFT_OF] + max(row.generated_tokens - 1, 0) * served[INTER_TOKEN_OF]
        end_at(world, request, ANSWERED, now + service_s)


@compiled
def submit(world: World, request: int, index: int, now: float) -> None:
    """Send a request to a lane: it meets an outage, a full line or a rate limit, waits in line, or is served."""
    lane = world.lanes[index]
    # The order matters: an attempt that meets an outage or a full line uses up nothing of the rate limit.
    if is_down(lane, world.outages, now):
        end_at(world, request, DOWN, now + world.ledger[0].notice_s)
    elif line_is_full(lane):
        end_at(world, request, QUEUE_FULL, now)
    elif not rate_allows(lane, now):
        end_at(world, request, RATE_LIMITED, now + world.ledger[0].refusal_s)
    else:
        if lane.refill_per_s < math.inf:
            lane.bucket -= 1.0
        if all_busy(lane):
            ring = world.line[index]
            ring[(lane.head + lane.queued) % len(ring)] = request
            lane.queued += 1
            lane.expected_work_s += world.requests[request].expected_service_s
        else:
            start_service(world, request, index, now)


@compiled
def give_server_back(world: World, request: int, index: int, now: float) -> None:
    """Let a server take the next in line. Those whose turn comes while the lane is down fail one after another."""
    lane, ring = world.lanes[index], world.line[index]
    world.server_ends[index, world.requests[request].server] = -math.inf
    world.requests[request].server = -1
    lane.busy -= 1
    while lane.queued > 0 and not all_busy(lane):
        following = ring[lane.head]
        lane.head = (lane.head + 1) % len(ring)
        lane.queued -= 1
        # An empty line holds exactly no work, whatever rounding has left.
        rest_s = lane.expected_work_s - world.requests[following].expected_service_s
        lane.expected_work_s = rest_s if lane.queued > 0 else 0.0
        if is_down(lane, world.outages, now):
            end_at(world, following, DOWN, now + world.ledger[0].notice_s)
        else:
            start_service(world, following, index, now)


@compiled
def close(world: World, request: int, lane: int, now: float) -> None:
    """Write down how a request ended: answered by a lane, or -1 for given up."""
    row = world.requests[request]
    row.lane = lane
    row.finish_s = now
    row.quality = world.served[request, lane, QUALITY_OF] if lane >= 0 else 0.0
    row.missed = 1.0 if lane < 0 or now - row.arrival_s > row.target_s else 0.0
    if lane < 0:
        row.predicted_cost_usd = 0.0


@compiled
def note_choice(world: World, view: Floats, request: int, lane: int, now: float) -> None:
    """Freeze the predictions for the lane chosen and reserve its worst case."""
    row = world.requests[request]
    attempt = world.attempts[request, row.attempts]
    attempt.lane = lane
    attempt.submitted_s = now
    row.attempts += 1
    row.tried |= 1 << lane
    row.predicted_cost_usd = view[lane, COST]
    row.expected_service_s = service_time(world.beliefs[lane], world.shown_request[request, TOKENS])
    for column in range(VIEW_COLUMNS):
        world.shown_lane[request, column] = view[lane, column]
    world.ledger[0].reserved_usd += worst_case(world, request, lane)


@compiled
def dispatch(world: World, program: Program, view: Floats, request: int, now: float) -> None:
    """Choose a lane for a request and submit it there; give up where no lane is chosen."""
    known = world.shown_request[request]
    describe_request(world, request, now)
    look(world, view, request, now, program.keeps_budget)
    # The second half of the draws: the first decides failures, and exploring by it would tell which attempts fail.
    draw = world.draws[request, world.draws.shape[1] // 2 + world.requests[request].attempts]
    lane = choose(program.kind, program.settings, program.memory, known, view, draw)
    if lane >= 0:
        note_choice(world, view, request, lane, now)
        submit(world, request, lane, now)
    else:
        close(world, request, -1, now)
        # No attempt ends here, but the dual policy has to hear of the miss and the lacking quality.
        given_up = Feedback(0.0, 0.0, 1.0, True, True)
        learn(program.kind, program.settings, program.memory, known, world.shown_lane[request], -1, given_up)


@compiled
def settle(world: World, request: int, lane: int, attempt: Row) -> float:
    """Bill an attempt: all tokens of an answer, the context of a failure, nothing for outages and refusals."""
    row, tokens = world.requests[request], 0
    if attempt.status == ANSWERED:
        tokens = row.context_tokens + row.generated_tokens
    elif attempt.status == FAILED:
        tokens = row.context_tokens
    cost_usd = world.lanes[lane].price_per_1k * tokens / 1000.0
    # Budget is free again only now: from the choice on the worst case was held, so bills under way cannot overspend.
    world.ledger[0].reserved_usd -= worst_case(world, request, lane)
    world.ledger[0].spent_usd += cost_usd
    attempt.cost_usd = cost_usd
    row.cost_usd += cost_usd
    return float(cost_usd)


@compiled
def update_beliefs(world: World, request: int, lane: int, attempt: Row) -> None:
    """Learn from an ended attempt: health from answers, failures and outages, speed and tokens from answers."""
    belief, row, served = world.beliefs[lane], world.requests[request], world.served[request, lane]
    if attempt.status <= DOWN:
        hear_success(belief, attempt.ended_s, attempt.status == ANSWERED)
    if attempt.status == ANSWERED:
        observe_tokens(world.token_memory, row.context_tokens, row.generated_tokens)
        # With the wait, as the prediction shown at the choice had it: errors of both make an answer late.
        taken_s = attempt.ended_s - attempt.submitted_s
        hear_times(belief, served[TTFT_OF], served[INTER_TOKEN_OF], taken_s, world.shown_lane[request, LATENCY])


@compiled
def end_attempt(world: World, program: Program, request: int, now: float) -> None:
    """An attempt has ended: bill it, learn from it, free its server, schedule the next attempt or close the request."""
    row = world.requests[request]
    attempt = world.attempts[request, row.attempts - 1]
    lane, answered = attempt.lane, attempt.status == ANSWERED
    cost_usd = settle(world, request, lane, attempt)
    update_beliefs(world, request, lane, attempt)
    again = not answered and row.attempts < world.attempts.shape[1]
    if not again:
        close(world, request, lane if answered else -1, now)
    # A failed attempt counts as missed although another lane may still be in time: the failure is this lane's doing.
    feedback = Feedback(cost_usd, row.quality, row.missed if answered else 1.0, not answered, not again)
    known, shown = world.shown_request[request], world.shown_lane[request]
    learn(program.kind, program.settings, program.memory, known, shown, lane, feedback)
    if row.server >= 0:
        give_server_back(world, request, lane, now)
    if again:
        push(world.events, now + world.ledger[0].retry_delay_s, 2 * request + _AGAIN)


@compiled
def run(world: World, program: Program) -> None:
    """Play all events in order."""
    requests, events = world.requests, world.events
    view = np.zeros((len(world.lanes), VIEW_COLUMNS))
    arrived = 0
    while arrived < len(requests) or events.size[0] > 0:
        if events.size[0] > 0 and (arrived == len(requests) or events.heap[0].time <= requests[arrived].arrival_s):
            now, code = pop(events)
            if code % 2 == _END:
                end_attempt(world, program, code // 2, now)
            else:
                dispatch(world, program, view, code // 2, now)
        else:
            dispatch(world, program, view, arrived, requests[arrived].arrival_s)
            arrived += 1


def _entry(stamp: int):  # type: ignore[no-untyped-def]
    """The compiled entry point, cached on disk until `stamp` changes."""

    @compiled_entry
    def replay(world: World, program: Program) -> None:
        _ = stamp
        run(world, program)

    return replay


replay = _entry(STAMP)
"""`replay(world, program)`: fill the world's record; changes the program's memory."""
