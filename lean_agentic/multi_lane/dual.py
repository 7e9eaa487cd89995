"""Fits the multipliers of the dual policy on a training workload, by simulation.

In: a training `Workload` and a `Scenario` with quality floor and miss rate. Out: a `Dual` policy whose multipliers keep
both on the training workload at little cost.

Cost and quality rise with lambda_quality, and misses fall with lambda_latency; so each is the least value that keeps
its constraint while the other stands still, found by bisection, in turns. The budget's multiplier starts at 0: how
tight a budget is depends on the horizon it is spent over, and the pacing during the replay finds out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from lean_agentic.multi_lane.errors import LaneError
from lean_agentic.multi_lane.policies import Dual
from lean_agentic.multi_lane.scenario import Scenario
from lean_agentic.multi_lane.simulator import simulate
from lean_agentic.multi_lane.workload import Outcome, Workload

ROUNDS = 2
HALVINGS = 7
"""Of the range below in logarithms: to about 9%."""
LEAST_PRICE, MOST_PRICE = 1e-2, 1e3
"""Range of a multiplier, in mean costs of a request on the dearest lane."""


BUDGET_STEP, LATENCY_STEP, QUALITY_STEP = 0.05, 1.0, 0.3
"""Steps of the multipliers during a replay, the last two in mean costs of a request on the dearest lane."""


def fit_dual(train_workload: Workload, scenario: Scenario) -> Dual:
    """Multipliers that keep the quality floor and the miss rate on the training workload at least cost.

    The floor counts against the lane with the best mean quality in the training workload, as if nothing failed there.
    Where a constraint cannot be kept at any price, the multiplier that comes closest is taken.

    Raises
    ------
    LaneError
        An empty training workload, or one that does not fit the scenario.
    """
    if len(train_workload) == 0:
        raise LaneError("The dual policy needs training requests; the training workload has none.")
    no_budget = replace(scenario, budget_usd=float("inf"))
    dearest = max(lane.price_per_1k for lane in scenario.lanes)
    tokens = train_workload.context_tokens + train_workload.generated_tokens
    unit = max(dearest * float(tokens.mean()) / 1000.0, 1e-9)
    dual = Dual(lambda_latency=unit, lambda_quality=unit, steps=(BUDGET_STEP, LATENCY_STEP * unit, QUALITY_STEP * unit))
    floor = dual.quality_share(scenario, len(train_workload)) * float(train_workload.quality.mean(axis=0).max())

    def replay(changed: Dual) -> Outcome:
        return simulate(train_workload, no_budget, replace(changed, steps=(0.0, 0.0, 0.0)))

    def lacking_quality(price: float, fitted: Dual) -> float:
        return floor - float(replay(replace(fitted, lambda_quality=price * unit)).quality.mean())

    def excess_misses(price: float, fitted: Dual) -> float:
        return float(replay(replace(fitted, lambda_latency=price * unit)).missed.mean()) - scenario.max_miss_rate

    for _ in range(ROUNDS):
        dual = replace(dual, lambda_quality=unit * _least_price(lacking_quality, dual))
        dual = replace(dual, lambda_latency=unit * _least_price(excess_misses, dual))
    return dual


def _least_price(excess: Callable[[float, Dual], float], dual: Dual) -> float:
    """The least price at which a constraint's excess is not positive, or the price of the smallest excess seen."""
    seen = {LEAST_PRICE: excess(LEAST_PRICE, dual)}
    if seen[LEAST_PRICE] <= 0:
        return LEAST_PRICE
    low, high = LEAST_PRICE, MOST_PRICE
    for _ in range(HALVINGS):
        middle = math.sqrt(low * high)
        seen[middle] = excess(middle, dual)
        low, high = (low, middle) if seen[middle] <= 0 else (middle, high)
    kept = [price for price, value in seen.items() if value <= 0]
    return min(kept) if kept else min(seen, key=lambda price: (seen[price], price))
