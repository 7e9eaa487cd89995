"""Policies without memory: one lane always, a random mix, and the specification's weighted score.

Weighted score of a lane, the highest wins:

    w_cost * (1 - c) + w_latency * (1 - l) + w_availability * health,

where c and l are predicted cost and latency (waiting included), each brought to [0, 1] among the candidates by
(x - least) / (greatest - least), or 0 where all are the same. The weights depend on the request's priority and
sum to 1. It sees neither quality nor the latency target: that is the specification's, and what the dual policy adds.
"""

from __future__ import annotations

import math

from lean_agentic.multi_lane.beliefs import COST, HEALTH, LATENCY, OPEN, PRIORITY
from lean_agentic.multi_lane.candidates import candidate_rank, rank_of
from lean_agentic.multi_lane.compiled import compiled
from lean_agentic.multi_lane.workload import Floats

COST_WEIGHTS = (0.6, 0.4, 0.3, 0.2)
"""By priority: low, medium, high, critical."""
LATENCY_WEIGHTS = (0.2, 0.4, 0.5, 0.6)
AVAILABILITY_WEIGHT = 0.2


@compiled
def choose_single(settings: Floats, view: Floats) -> int:
    """Lane settings[0], or none where it has been tried."""
    lane = int(settings[0])
    return lane if view[lane, OPEN] > 0.0 else -1


@compiled
def choose_random(settings: Floats, view: Floats, draw: float) -> int:
    """An open lane at random, with probability in proportion to its weight; (k,) weights in settings."""
    total = 0.0
    for lane in range(len(view)):
        total += settings[lane] * view[lane, OPEN]
    chosen, passed = -1, 0.0
    for lane in range(len(view)):
        weight = settings[lane] * view[lane, OPEN]
        if weight > 0.0:
            chosen = lane
            passed += weight
            if draw * total < passed:
                return lane
    # Rounding of the sums can leave a draw just below 1 without a lane: the last open one then has it.
    return chosen


@compiled
def unit_range(value: float, least: float, greatest: float) -> float:
    """Place of a value between the least and the greatest, 0 where they are the same."""
    return (value - least) / (greatest - least) if greatest > least else 0.0


@compiled
def choose_weighted(request: Floats, view: Floats) -> int:
    """The candidate with the highest weighted score."""
    best_rank = candidate_rank(view)
    least_cost, most_cost, least_wait, most_wait = math.inf, -math.inf, math.inf, -math.inf
    for lane in range(len(view)):
        if rank_of(view[lane]) == best_rank:
            least_cost, most_cost = min(least_cost, view[lane, COST]), max(most_cost, view[lane, COST])
            least_wait, most_wait = min(least_wait, view[lane, LATENCY]), max(most_wait, view[lane, LATENCY])
    priority = int(request[PRIORITY])
    best, best_score = -1, -math.inf
    for lane in range(len(view)):
        row = view[lane]
        if rank_of(row) == best_rank:
            score = COST_WEIGHTS[priority] * (1.0 - unit_range(row[COST], least_cost, most_cost))
            score += LATENCY_WEIGHTS[priority] * (1.0 - unit_range(row[LATENCY], least_wait, most_wait))
            score += AVAILABILITY_WEIGHT * row[HEALTH]
            if score > best_score:
                best, best_score = lane, score
    return best
