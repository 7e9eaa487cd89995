from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lean_agentic.multi_lane.bound import lower_bound
from lean_agentic.multi_lane.fluid import FluidRelaxation, least_price
from lean_agentic.multi_lane.lanes import Lane
from lean_agentic.multi_lane.scenario import Scenario

LOCAL, DEAR = Lane("local", 0.0, servers=1), Lane("dear", 0.1)


def hand_made(workload_of, server_s):
    """Requests one second apart, each of 1,000 tokens, taking these seconds on the first lane."""
    n = len(server_s)
    work = workload_of(n, lanes=2)
    return replace(
        work,
        arrival_s=np.arange(n, dtype=float),
        context_tokens=np.full(n, 999),
        generated_tokens=np.ones(n, dtype=np.int64),
        ttft_s=np.column_stack([server_s, np.ones(n)]),
    )


def test_server_time_is_worth_the_dollars_that_the_last_second_saves(workload_of):
    # 10 s for 10 requests that save $0.1 each: the quickest five fit (1+1+2+2+4 s), the sixth would need 5 s.
    work = hand_made(workload_of, np.array([1.0, 1, 2, 2, 4, 5, 6, 7, 8, 9, 10]))
    fluid = FluidRelaxation.build(work, Scenario(lanes=(LOCAL, DEAR), latency_target_s=1000.0))
    price = fluid.server_prices(0.0, 0.0)
    assert 0.1 / 5 <= price[0] <= 0.1 / 5 * 1.02
    assert price[1] == 0
    assert fluid.best_lanes(0.0, 0.0, price)[0].tolist() == [10, 0]


def test_time_that_is_not_scarce_costs_nothing(workload_of):
    fluid = FluidRelaxation.build(hand_made(workload_of, np.full(20, 0.5)), Scenario(lanes=(LOCAL, DEAR)))
    assert fluid.server_prices(0.0, 0.0).tolist() == [0, 0]


def test_two_lanes_with_servers_are_both_kept_within_their_time(workload_of):
    lanes = (LOCAL, replace(LOCAL, name="other", price_per_1k=0.01), DEAR)
    fluid = FluidRelaxation.build(workload_of(500, per_second=20.0), Scenario(lanes=lanes))
    prices = fluid.server_prices(0.0, 0.0)
    asked_s, _ = fluid.best_lanes(0.0, 0.0, prices)
    assert (prices[:2] > 0).all()
    assert (asked_s[:2] <= 1.1 * fluid.capacity_s[:2]).all()


@pytest.mark.parametrize("floor", [0.8, 0.9, 0.97])
def test_its_mix_costs_what_the_linear_program_says(floor, workload_of):
    """Against the bound, which solves the same relaxation another way."""
    work = workload_of(1500, seed=3, per_second=20.0)
    scenario = Scenario(lanes=(LOCAL, DEAR, Lane("middle", 0.05)), latency_target_s=1000.0, quality_floor=floor)
    fluid, best = FluidRelaxation.build(work, scenario), work.predicted_quality.mean(axis=0).max()
    price = fluid.quality_price(floor * best, 0.0)
    server = fluid.server_prices(price, 0.0)
    asked_s, quality = fluid.best_lanes(price, 0.0, server)
    assert quality >= floor * best
    assert asked_s[0] <= fluid.capacity_s[0]
    priced = fluid.cost + server[:, None] * fluid.server_s - price * fluid.quality
    cost = fluid.cost[priced.argmin(axis=0), np.arange(len(work))].sum()
    bound = lower_bound(work, replace(scenario, quality_floor=quality / best))
    # The bound's horizon ends a latency target later; give it no more time than the relaxation has.
    tight = lower_bound(work, replace(scenario, quality_floor=quality / best, latency_target_s=1e-9, max_miss_rate=1.0))
    assert bound.cost_usd <= cost * (1 + 1e-9)
    assert cost <= tight.cost_usd + 0.02 * tight.lane_costs["dear"]


def test_a_least_price_is_found_to_one_per_cent():
    assert 0.37 <= least_price(lambda price: price >= 0.37, 1e-3, 10.0) <= 0.37 * 1.01
