"""What the router may know when it chooses a lane, and how it learns that from completed attempts alone.

In: attempts that ended (success or not, time taken). Out: for each choice a `request` vector and a `view` of the
lanes, one row each, the only things a policy is shown: no realised quality, latency or token count of the request
at hand, and no outage table. The simulator fills them, and a live router can do so with the same functions.

Health is an exponentially weighted success rate that drifts back to 1 while nothing is heard of the lane, so that
a lane believed down is probed again (a circuit breaker's half-open state). Speed is an exponentially weighted time to
first token and time per further token. The chance of being late comes from a histogram of how far the times really
taken were from those predicted, waiting included: measured latency is too heavy-tailed for a normal curve.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from lean_agentic.multi_lane.compiled import compiled
from lean_agentic.multi_lane.lanes import Lane
from lean_agentic.multi_lane.workload import Floats

# Columns of a view: (k, VIEW_COLUMNS), one row a lane.
OPEN = 0  # 1 where the lane may be chosen: not tried yet for this request, and its worst case fits the budget
ROOM = 1  # 1 where neither the queue nor the rate limit would refuse now
HEALTH = 2  # believed share of attempts that succeed
COST = 3  # predicted dollars
LATENCY = 4  # predicted seconds from now to the last token, waiting included
P_LATE = 5  # believed chance of missing the request's target
QUALITY = 6  # predicted quality
SERVER_S = 7  # predicted seconds of a server's time; 0 on a lane without servers of its own
LOAD = 8  # share of its servers and places in line that are taken; 0 on a lane without
VIEW_COLUMNS = 9

# Entries of a request vector: (REQUEST_COLUMNS,).
CONTEXT = 0  # tokens in the prompt
TOKENS = 1  # predicted generated tokens
PRIORITY = 2  # index into lanes.PRIORITIES
SLACK = 3  # seconds left until the request is late
BEST_QUALITY = 4  # the highest quality predicted of any lane
REQUEST_COLUMNS = 5

BELIEVED_UP = 0.5
"""A lane whose health is below this is believed down."""
HEALTH_STEP = 0.3
"""Two failures in a row make a healthy lane believed down, one does not."""
RECOVERY_S = 30.0
"""Time constant with which an unheard-of lane is believed healthy again."""
PRIOR_ATTEMPTS = 10.0
"""What is believed before anything was seen weighs as much as so many attempts."""
SPEED_STEP = 0.02
SPREAD_STEP = 0.001

# Columns of the beliefs: (k, BELIEF_COLUMNS), one row a lane.
_HEALTH, _HEARD_S, _TTFT, _INTER_TOKEN, _SPEEDS_SEEN, _RATIOS_SEEN = range(6)
_HISTOGRAM = 6
_BINS = 48
_LOWEST, _HIGHEST = -3.0, 3.0
_BIN_WIDTH = (_HIGHEST - _LOWEST) / _BINS
BELIEF_COLUMNS = _HISTOGRAM + _BINS


def initial_beliefs(lanes: Sequence[Lane]) -> Floats:
    """Beliefs before anything was seen: healthy, of each lane's typical speed, times right within a factor 2.

    Returns
    -------
    (k, BELIEF_COLUMNS)
    """
    beliefs = np.zeros((len(lanes), BELIEF_COLUMNS))
    beliefs[:, _HEALTH] = 1.0
    beliefs[:, _TTFT] = [lane.typical_ttft_s for lane in lanes]
    beliefs[:, _INTER_TOKEN] = [1.0 / lane.typical_tokens_per_s for lane in lanes]
    # Ratios of times spread like a normal curve of their logarithms with deviation log 2.
    centre = _LOWEST + _BIN_WIDTH * (np.arange(_BINS) + 0.5)
    weight = np.exp(-0.5 * (centre / math.log(2)) ** 2)
    beliefs[:, _HISTOGRAM:] = weight / weight.sum()
    beliefs[:, _SPEEDS_SEEN] = beliefs[:, _RATIOS_SEEN] = PRIOR_ATTEMPTS
    return beliefs


@compiled
def health(belief: Floats, now: float) -> float:
    """Believed share of successes of a lane at a time in seconds."""
    return float(1.0 - (1.0 - belief[_HEALTH]) * math.exp(-(now - belief[_HEARD_S]) / RECOVERY_S))


@compiled
def service_time(belief: Floats, tokens: float) -> float:
    """Predicted seconds to generate this many tokens."""
    return float(belief[_TTFT] + max(tokens - 1.0, 0.0) * belief[_INTER_TOKEN])


@compiled
def chance_late(belief: Floats, predicted_s: float, slack_s: float) -> float:
    """Share of past attempts whose time over prediction would, this time, exceed the slack."""
    if slack_s <= 0.0:
        return 1.0
    place = (math.log(slack_s / max(predicted_s, 1e-6)) - _LOWEST) / _BIN_WIDTH
    if place <= 0.0:
        return 1.0
    if place >= _BINS:
        return 0.0
    first = int(place)
    # The slack falls inside a bin: its ratios are taken to lie evenly.
    late = belief[_HISTOGRAM + first] * (first + 1 - place)
    for later in range(first + 1, _BINS):
        late += belief[_HISTOGRAM + later]
    return float(late)


@compiled
def hear_success(belief: Floats, now: float, succeeded: bool) -> None:
    """Move a lane's health by one attempt that reached it, or found it down."""
    current = health(belief, now)
    belief[_HEALTH] = current + HEALTH_STEP * ((1.0 if succeeded else 0.0) - current)
    belief[_HEARD_S] = now


@compiled
def hear_times(belief: Floats, ttft_s: float, inter_token_s: float, taken_s: float, predicted_s: float) -> None:
    """Learn a lane's speed and the spread of times around predictions from one completed attempt."""
    # A mean with the prior at first, exponentially weighted once the step has fallen to its least.
    belief[_SPEEDS_SEEN] += 1.0
    step = max(1.0 / belief[_SPEEDS_SEEN], SPEED_STEP)
    belief[_TTFT] += step * (ttft_s - belief[_TTFT])
    belief[_INTER_TOKEN] += step * (inter_token_s - belief[_INTER_TOKEN])
    belief[_RATIOS_SEEN] += 1.0
    step = max(1.0 / belief[_RATIOS_SEEN], SPREAD_STEP)
    place = int((math.log(max(taken_s, 1e-6) / max(predicted_s, 1e-6)) - _LOWEST) / _BIN_WIDTH)
    for index in range(_HISTOGRAM, BELIEF_COLUMNS):
        belief[index] *= 1.0 - step
    belief[_HISTOGRAM + min(max(place, 0), _BINS - 1)] += step


@compiled
def describe_lane(
    row: Floats,
    belief: Floats,
    request: Floats,
    wait_s: float,
    price_per_1k: float,
    predicted_quality: float,
    now: float,
) -> None:
    """Fill the predictive columns of one row of a view; OPEN and ROOM are the caller's."""
    row[HEALTH] = health(belief, now)
    row[COST] = price_per_1k * (request[CONTEXT] + request[TOKENS]) / 1000.0
    row[LATENCY] = wait_s + service_time(belief, request[TOKENS])
    row[P_LATE] = chance_late(belief, row[LATENCY], request[SLACK])
    row[QUALITY] = predicted_quality
