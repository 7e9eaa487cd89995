"""The dual policy's compiled part: choose by Lagrangian, move the multipliers by subgradient steps.

Among the candidates it takes the lane with the least

    cost * (1 + lambda_budget) + lambda_latency * P(late) - lambda_quality * quality
        + server price * load / AIMED_LOAD * server seconds,

all of it predicted but the load, the share of a lane's servers and places in line that are taken. The last term is
nothing where servers are idle or a lane has none of its own: time that nobody else asks for costs nobody anything. A
line is the sum of the work let in less the work done, so a price in proportion to it takes the subgradient steps
of a multiplier by itself (drift plus penalty: Neely, "Stochastic network optimization", 2010), and the fitted
price is where it settles when the traffic is like the training's: at a load of AIMED_LOAD.

With delayed feedback the multipliers follow projected subgradient steps: a miss raises
lambda_latency, an answer below the target raises lambda_quality, and spending faster than what is left of the budget
allows raises lambda_budget (Balseiro and Gur, "Learning in repeated auctions with budgets", 2019, for the pacing).

The quality to keep is a share of what the best lane would have answered, which is seen only where that lane served.
It is estimated by the best predicted quality of each request plus the mean by which such answers beat their
prediction so far.

In: `settings` [step_budget, step_latency, step_quality, share of best quality, miss rate aimed at, budget_usd,
requests] and `memory` (1 + k, 8). Its first row is changed by learning: [lambda_budget, lambda_latency, lambda_quality,
dollars spent, requests over, mean surprise of the best lane's answers, its weight, dollars a request of late]. Row
1 + lane begins with the dollars charged for a second of that lane's servers.
"""

from __future__ import annotations

import math

from lean_agentic.multi_lane.beliefs import BEST_QUALITY, COST, LOAD, P_LATE, QUALITY, SERVER_S
from lean_agentic.multi_lane.candidates import candidate_rank, rank_of
from lean_agentic.multi_lane.compiled import compiled
from lean_agentic.multi_lane.program import Feedback
from lean_agentic.multi_lane.workload import Floats

BUDGET, LATENCY_PRICE, QUALITY_PRICE, SPENT, REQUESTS_OVER, SURPRISE, SURPRISE_WEIGHT, PACE = range(8)
DUAL_MEMORY = 8
SERVER_PRICE = 0
AIMED_LOAD = 0.15
"""Two or three requests on one server with 16 places: seldom idle, and the line soon done."""
HIGHEST_BUDGET_PRICE = 100.0
PACE_STEP = 0.02
"""The pace of spending runs over about the latest 50 requests."""
MISS_AIM = 0.8
"""Share of the miss rate that is aimed at: steps alone would end above it as often as below."""
PRIOR_ANSWERS = 50.0
"""Predictions are taken at their word until about so many answers of the best lane have been seen."""


@compiled
def choose_dual(memory: Floats, view: Floats) -> int:
    """The candidate with the least Lagrangian."""
    best_rank = candidate_rank(view)
    best, least = -1, math.inf
    prices = memory[0]
    for lane in range(len(view)):
        row = view[lane]
        if rank_of(row) == best_rank:
            score = row[COST] * (1.0 + prices[BUDGET]) + prices[LATENCY_PRICE] * row[P_LATE]
            score -= prices[QUALITY_PRICE] * row[QUALITY]
            score += memory[1 + lane, SERVER_PRICE] * row[LOAD] / AIMED_LOAD * row[SERVER_S]
            if score < least:
                best, least = lane, score
    return best


@compiled
def learn_dual(settings: Floats, memory: Floats, request: Floats, row: Floats, lane: int, feedback: Feedback) -> None:
    """Projected subgradient steps: once a request is over for misses and quality, with every bill for the budget."""
    prices = memory[0]
    prices[SPENT] += feedback.cost_usd
    if not feedback.over:
        return
    # Floats may be compared here: one is the maximum of numbers that the other is copied from.
    if lane >= 0 and not feedback.failed and row[QUALITY] == request[BEST_QUALITY]:
        prices[SURPRISE_WEIGHT] += 1.0
        step = 1.0 / (prices[SURPRISE_WEIGHT] + PRIOR_ANSWERS)
        prices[SURPRISE] += step * (feedback.quality - row[QUALITY] - prices[SURPRISE])
    wanted = settings[3] * min(max(request[BEST_QUALITY] + prices[SURPRISE], 0.0), 1.0)
    prices[QUALITY_PRICE] = max(0.0, prices[QUALITY_PRICE] + settings[2] * (wanted - feedback.quality))
    prices[LATENCY_PRICE] = max(0.0, prices[LATENCY_PRICE] + settings[1] * (feedback.missed - settings[4]))
    prices[REQUESTS_OVER] += 1.0
    if settings[5] < math.inf:
        pace_budget(settings, prices, feedback.cost_usd)


@compiled
def pace_budget(settings: Floats, prices: Floats, cost_usd: float) -> None:
    """Compare the pace of spending of late with what is left of the budget for the rest of the horizon."""
    # Late in the horizon both may reach 0; a budget that is gone asks for the highest price, not for a division by it.
    left = max(settings[6] - prices[REQUESTS_OVER], 1.0)
    allowance = max(settings[5] - prices[SPENT], 1e-9) / left
    prices[PACE] += max(1.0 / prices[REQUESTS_OVER], PACE_STEP) * (cost_usd - prices[PACE])
    # Cut to one step: a single long prompt can cost many times the allowance.
    step = settings[0] * min(max(prices[PACE] / allowance - 1.0, -1.0), 1.0)
    prices[BUDGET] = min(max(0.0, prices[BUDGET] + step), HIGHEST_BUDGET_PRICE)
