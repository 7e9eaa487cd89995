"""Fits the multipliers of the dual policy on a training workload: from its fluid relaxation, then by simulation.

In: a training `Workload` and a `Scenario` with quality floor and miss rate. Out: a `Dual` policy whose multipliers keep
both on the training workload at little cost.

The fluid relaxation says what quality and server time are worth where nothing waits or fails and predictions are
true; replays then correct the price of quality, server prices following it, until the answers that come back keep the
floor. A missed target is charged with the cost of a request on the dearest lane, which changes nothing while nothing is
late; where replays miss more targets than allowed, a higher price is searched and the price of quality corrected again.
The budget's multiplier starts at 0: how tight a budget is depends on the horizon it is spent over, and the pacing
during the replay finds out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from lean_agentic.multi_lane.errors import LaneError
from lean_agentic.multi_lane.fluid import FluidRelaxation
from lean_agentic.multi_lane.policies import Dual
from lean_agentic.multi_lane.scenario import Scenario
from lean_agentic.multi_lane.simulator import simulate
from lean_agentic.multi_lane.workload import Outcome, Workload

ROUNDS = 2
LEAST_PRICE, MOST_PRICE = 1e-2, 1e3
"""Range of a multiplier, in mean costs of a request on the dearest lane."""
FIRST_MISS_PRICE = 1.0
"""Likewise: where the search for it begins, and ends if that keeps the miss rate."""
QUALITY_FACTOR, MISS_FACTOR = 1.3, 4.0
"""First step of a search, as a factor; the price of quality is nearly right before it."""
HALVINGS = 2
"""After a price that keeps the constraint and one that does not are found: to 7% for quality."""

MARGIN_ERRORS = 1.5
"""Standard errors of the training quality that the policy aims above the floor: a fit to one set of prompts
falls short on another."""

BUDGET_STEP, LATENCY_STEP, QUALITY_STEP = 0.05, 1.0, 0.1
"""Steps of the multipliers during a replay, the last two in mean costs of a request on the dearest lane."""


def fit_dual(train_workload: Workload, scenario: Scenario) -> Dual:
    """Multipliers that keep the quality floor and the miss rate on the training workload at little cost.

    The floor counts against the lane with the best mean quality in the training workload, as if nothing failed there.
    Where a constraint cannot be kept at any price, the multiplier that comes closest is taken.

    Raises
    ------
    LaneError
        An empty training workload, or one that does not fit the scenario.
    """
    if len(train_workload) == 0:
        raise LaneError("The dual policy needs training requests; the training workload has none.")
    if train_workload.lanes != len(scenario.lanes):
        raise LaneError(
            f"The training workload has {train_workload.lanes} lanes and the scenario {len(scenario.lanes)}: build "
            "both for the same."
        )
    trial = _Trial(train_workload, replace(scenario, budget_usd=math.inf))
    miss_price = FIRST_MISS_PRICE * trial.unit
    quality_price = trial.fluid_quality_price(miss_price)
    quality_price = trial.least_quality_price(quality_price, miss_price)
    for _ in range(ROUNDS):
        if trial.excess_misses(quality_price, miss_price) <= 0:
            break
        miss_price = trial.least_miss_price(quality_price, miss_price)
        quality_price = trial.least_quality_price(quality_price, miss_price)
    return trial.dual(quality_price, miss_price)


def quality_margin(workload: Workload, floor: float) -> float:
    """`MARGIN_ERRORS` standard errors of a share of `floor`, by how many different prompts the workload holds.

    Requests that repeat a prompt say nothing new about quality, so they do not count twice.
    """
    known = workload.prompt[workload.prompt >= 0]
    different = len(np.unique(known)) + len(workload) - len(known)
    return MARGIN_ERRORS * math.sqrt(floor * (1 - floor) / different)


class _Trial:
    """Replays of the training workload at fixed multipliers."""

    def __init__(self, workload: Workload, scenario: Scenario) -> None:
        self.workload, self.scenario = workload, scenario
        self.fluid = FluidRelaxation.build(workload, scenario)
        self.unit = self.fluid.unit
        self.margin = quality_margin(workload, scenario.quality_floor)
        self.share = Dual(margin=self.margin).quality_share(scenario)
        self.floor = self.share * float(workload.quality.mean(axis=0).max())
        self._replayed: dict[tuple[float, float], Outcome] = {}

    def dual(self, quality_price: float, miss_price: float) -> Dual:
        return Dual(
            lambda_latency=miss_price,
            lambda_quality=quality_price,
            margin=self.margin,
            server_prices=tuple(self.fluid.server_prices(quality_price, miss_price).tolist()),
            steps=(BUDGET_STEP, LATENCY_STEP * self.unit, QUALITY_STEP * self.unit),
        )

    def replay(self, quality_price: float, miss_price: float) -> Outcome:
        at = quality_price, miss_price
        if at not in self._replayed:
            # Multipliers that adapt would mend a bad start during the replay, and every price would look right.
            frozen = replace(self.dual(*at), steps=(0.0, 0.0, 0.0))
            self._replayed[at] = simulate(self.workload, self.scenario, frozen)
        return self._replayed[at]

    def fluid_quality_price(self, miss_price: float) -> float:
        """Where the search begins: at the price that keeps the floor by predictions alone."""
        predicted = self.share * float(self.workload.predicted_quality.mean(axis=0).max())
        return self.fluid.quality_price(predicted, miss_price)

    def excess_misses(self, quality_price: float, miss_price: float) -> float:
        return float(self.replay(quality_price, miss_price).missed.mean()) - self.scenario.max_miss_rate

    def least_quality_price(self, start: float, miss_price: float) -> float:
        def lacking(price: float) -> float:
            return self.floor - float(self.replay(price, miss_price).quality.mean())

        return _least_price(lacking, start, QUALITY_FACTOR, self.unit)

    def least_miss_price(self, quality_price: float, start: float) -> float:
        return _least_price(lambda price: self.excess_misses(quality_price, price), start, MISS_FACTOR, self.unit)


def _least_price(excess: Callable[[float], float], start: float, factor: float, unit: float) -> float:
    """The least price found at which a constraint's excess is not positive, or that of the smallest excess seen.

    From `start` by growing factors to the other side of the constraint, then `HALVINGS` back between the two.
    """
    # A replay costs milliseconds and the range five decades: steps that grow reach the other side in few of them.
    seen = {start: excess(start)}
    low = high = start
    if seen[start] <= 0:
        while seen[low] <= 0 and low > LEAST_PRICE * unit:
            high, low, factor = low, max(low / factor, LEAST_PRICE * unit), factor**2
            seen[low] = excess(low)
    else:
        while seen[high] > 0 and high < MOST_PRICE * unit:
            low, high, factor = high, min(high * factor, MOST_PRICE * unit), factor**2
            seen[high] = excess(high)
    for _ in range(HALVINGS if seen[low] > 0 >= seen[high] else 0):
        middle = math.sqrt(low * high)
        seen[middle] = excess(middle)
        low, high = (low, middle) if seen[middle] <= 0 else (middle, high)
    # The excess is noisy in the price, so all that was seen counts and not only where the halving ended.
    kept = [price for price, value in seen.items() if value <= 0]
    return min(kept) if kept else min(seen, key=lambda price: (seen[price], price))
