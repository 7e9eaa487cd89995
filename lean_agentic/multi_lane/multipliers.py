"""The dual policy's compiled part: choose by Lagrangian, move the multipliers by subgradient steps.

Among the candidates it takes the lane with the least

    cost * (1 + lambda_budget) + lambda_latency * P(late) - lambda_quality * predicted quality,

all three predicted. With delayed feedback the multipliers follow projected subgradient steps: a miss raises
lambda_latency, an answer below the target raises lambda_quality, and spending faster than what is left of the budget
allows raises lambda_budget (Balseiro and Gur, "Learning in repeated auctions with budgets", 2019, for the pacing).

In: `settings` [step_budget, step_latency, step_quality, quality_target, max_miss_rate, budget_usd, requests] and
`memory` (1, 5) [lambda_budget, lambda_latency, lambda_quality, dollars spent, requests over].
"""

from __future__ import annotations

import math

from lean_agentic.multi_lane.beliefs import COST, P_LATE, QUALITY
from lean_agentic.multi_lane.candidates import candidate_rank, rank_of
from lean_agentic.multi_lane.compiled import compiled
from lean_agentic.multi_lane.workload import Floats

BUDGET, LATENCY_PRICE, QUALITY_PRICE, SPENT, REQUESTS_OVER = range(5)
DUAL_MEMORY = 5
HIGHEST_BUDGET_PRICE = 100.0


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
            if score < least:
                best, least = lane, score
    return best


@compiled
def learn_dual(settings: Floats, memory: Floats, cost_usd: float, over: bool, quality: float, missed: float) -> None:
    """Projected subgradient steps: once a request is over for misses and quality, with every bill for the budget."""
    prices = memory[0]
    prices[SPENT] += cost_usd
    if not over:
        return
    prices[REQUESTS_OVER] += 1.0
    prices[LATENCY_PRICE] = max(0.0, prices[LATENCY_PRICE] + settings[1] * (missed - settings[4]))
    prices[QUALITY_PRICE] = max(0.0, prices[QUALITY_PRICE] + settings[2] * (settings[3] - quality))
    if settings[5] < math.inf:
        # What the rest of the horizon may cost against what it would at the pace so far.
        left = max(settings[6] - prices[REQUESTS_OVER], 1.0)
        allowance = max(settings[5] - prices[SPENT], 1e-9) / left
        pace = prices[SPENT] / prices[REQUESTS_OVER]
        step = settings[0] * min(max(pace / allowance - 1.0, -1.0), 1.0)
        prices[BUDGET] = min(max(0.0, prices[BUDGET] + step), HIGHEST_BUDGET_PRICE)
