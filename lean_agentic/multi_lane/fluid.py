"""What quality and server time are worth: multipliers of the fluid relaxation of a training workload.

In: a `Workload` and a `Scenario`. Out: `FluidRelaxation`, which gives the least price of quality, and of a second of
each lane's servers, at which choosing every request's cheapest lane

    cost + miss_price * late + server_price * service time - quality_price * predicted quality

keeps a quality and asks for no more server time than there is. In the relaxation, whole requests are a fluid: nobody
waits, nothing fails, token counts are known. That leaves the program of `bound.py` without rate limits, and prices
that are right up to the noise of the replay. Each is found by bisection of its logarithm: the quality got rises with
its price, and the time asked for falls.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lean_agentic.multi_lane.scenario import Scenario
from lean_agentic.multi_lane.workload import Floats, Workload

HALVINGS = 10
"""Of a range of three or four decades in logarithms: to about 1%."""
MOST_SWEEPS = 20
"""Over the lanes with servers, where there are several: what one is asked for depends on the prices of the others."""
SETTLED = 0.01
"""A sweep that moves no price by more than this share is the last."""
SECOND_RANGE = (1e-3, 10.0)
"""Price of a second, in mean costs of a request on the dearest lane."""
QUALITY_RANGE = (1e-2, 1e2)
"""Price of a unit of quality, likewise."""


@dataclass(frozen=True, repr=False)
class FluidRelaxation:
    """n requests over k lanes, everything about them known. Lanes come first: choosing is twice as fast."""

    cost: Floats
    """(k, n) dollars."""
    late: Floats
    """(k, n) 1 where service alone takes longer than the request's target."""
    server_s: Floats
    """(k, n) seconds of a server, 0 on lanes without."""
    quality: Floats
    """(k, n) predicted."""
    capacity_s: Floats
    """(k,) server seconds from the first arrival to the last; infinite on lanes without."""
    unit: float
    """Dollars in which prices are searched: the mean cost of a request on the dearest lane."""

    @classmethod
    def build(cls, workload: Workload, scenario: Scenario) -> FluidRelaxation:
        """Lay out a workload of at least one request."""
        price = np.array([[lane.price_per_1k] for lane in scenario.lanes])
        servers = np.array([[float(lane.servers)] for lane in scenario.lanes])
        cost = price * (workload.context_tokens + workload.generated_tokens) / 1000.0
        service_s = workload.ttft_s.T + workload.inter_token_s.T * (workload.generated_tokens - 1)
        # Service alone: in a fluid nobody waits, so what waiting makes late is left to the replays.
        late = service_s > scenario.latency_targets(workload.priority)
        span_s = float(workload.arrival_s[-1] - workload.arrival_s[0])
        capacity_s = np.where(servers > 0, servers * span_s, math.inf)[:, 0]
        unit = max(float(cost.mean(axis=1).max()), 1e-9)
        used_s = np.where(servers > 0, service_s, 0.0)
        quality = np.ascontiguousarray(workload.predicted_quality.T)
        return cls(cost, late.astype(np.float64), used_s, quality, capacity_s, unit)

    def best_lanes(self, quality_price: float, miss_price: float, server_prices: Floats) -> tuple[Floats, float]:
        """Every request on its cheapest lane: seconds asked of each lane's servers, (k,), and the mean quality."""
        priced = self.cost - quality_price * self.quality
        priced += miss_price * self.late
        priced += server_prices[:, None] * self.server_s
        lane = priced.argmin(axis=0)
        request = np.arange(len(lane))
        asked_s = np.bincount(lane, self.server_s[lane, request], minlength=len(server_prices))
        return asked_s.astype(np.float64), float(self.quality[lane, request].mean())

    def server_prices(self, quality_price: float, miss_price: float) -> Floats:
        """(k,) least dollars a server second that leave no lane overloaded; 0 where time is not scarce."""
        prices = np.zeros(len(self.capacity_s))
        lanes = np.flatnonzero(np.isfinite(self.capacity_s)).tolist()
        for _ in range(MOST_SWEEPS if len(lanes) > 1 else 1):
            before = prices.copy()
            for lane in lanes:
                prices[lane] = self._second_price(lane, quality_price, miss_price, prices)
            if np.allclose(prices, before, rtol=SETTLED, atol=0.0):
                break
        return prices

    def quality_price(self, quality: float, miss_price: float) -> float:
        """Least dollars for a unit of quality that keep a mean predicted quality."""

        def keeps(price: float) -> bool:
            return self.best_lanes(price, miss_price, self.server_prices(price, miss_price))[1] >= quality

        low, high = QUALITY_RANGE
        return least_price(keeps, self.unit * low, self.unit * high)

    def _second_price(self, lane: int, quality_price: float, miss_price: float, prices: Floats) -> float:
        changed = prices.copy()

        def fits(price: float) -> bool:
            changed[lane] = price
            return bool(self.best_lanes(quality_price, miss_price, changed)[0][lane] <= self.capacity_s[lane])

        low, high = SECOND_RANGE
        return 0.0 if fits(0.0) else least_price(fits, self.unit * low, self.unit * high)


def least_price(holds: Callable[[float], bool], low: float, high: float) -> float:
    """Least price in a range, to within `HALVINGS`, at which something holds that holds from some price upwards."""
    for _ in range(HALVINGS):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if holds(middle) else (middle, high)
    # The side where it holds, or the end of the range where it never does: the nearest that there is.
    return high
