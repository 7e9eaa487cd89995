from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from lean_agentic.multi_lane.bound import lower_bound
from lean_agentic.multi_lane.dual import MARGIN_ERRORS, fit_dual, quality_margin
from lean_agentic.multi_lane.errors import LaneError
from lean_agentic.multi_lane.policies import Dual, SingleLane
from lean_agentic.multi_lane.scenario import Scenario
from lean_agentic.multi_lane.simulator import replay_attempts, simulate


def frozen(dual):
    return replace(dual, steps=(0.0, 0.0, 0.0))


def test_the_fit_keeps_floor_and_miss_rate_on_the_training_workload(workload_of):
    work, scenario = workload_of(3000, seed=1), Scenario(latency_target_s=6.0)
    outcome = simulate(work, scenario, frozen(fit_dual(work, scenario)))
    assert outcome.quality.mean() >= scenario.quality_floor * work.quality.mean(axis=0).max()
    assert outcome.missed.mean() <= scenario.max_miss_rate
    assert outcome.cost_usd.sum() < 0.8 * simulate(work, scenario, SingleLane("anthropic")).cost_usd.sum()


def test_nothing_on_a_grid_is_much_cheaper_and_keeps_both(workload_of):
    """Against brute force over both multipliers."""
    work, scenario = workload_of(1500, seed=2), Scenario(latency_target_s=6.0)
    fitted = fit_dual(work, scenario)
    floor = fitted.quality_share(scenario) * work.quality.mean(axis=0).max()
    least = math.inf
    for latency in np.geomspace(1e-3, 10, 9):
        for quality in np.geomspace(0.05, 20, 13):
            outcome = simulate(work, scenario, frozen(Dual(lambda_latency=latency, lambda_quality=quality)))
            if outcome.quality.mean() >= floor and outcome.missed.mean() <= scenario.max_miss_rate:
                least = min(least, outcome.cost_usd.sum())
    assert simulate(work, scenario, frozen(fitted)).cost_usd.sum() <= 1.1 * least


def test_keeps_floor_and_miss_rate_on_traffic_it_never_saw(workload_of):
    scenario = Scenario(latency_target_s=8.0)
    dual = fit_dual(workload_of(3000, seed=3), scenario)
    kept = []
    for seed in (4, 5, 6):
        work = workload_of(3000, seed=seed)
        outcome = simulate(work, scenario, dual)
        kept.append(outcome.quality.mean() / work.quality.mean(axis=0).max())
        assert outcome.missed.mean() <= 1.2 * scenario.max_miss_rate
    assert min(kept) >= scenario.quality_floor


def test_the_margin_shrinks_with_the_prompts_seen_and_not_with_their_repetition(workload_of):
    work = workload_of(400)
    alone = replace(work, prompt=np.full(400, -1))
    repeated = replace(work, prompt=np.arange(400) % 100)
    assert quality_margin(alone, 0.9) == pytest.approx(MARGIN_ERRORS * math.sqrt(0.9 * 0.1 / 400))
    assert quality_margin(repeated, 0.9) == pytest.approx(2 * quality_margin(alone, 0.9))
    assert fit_dual(repeated, Scenario(quality_floor=0.9)).margin == quality_margin(repeated, 0.9)


def test_a_cold_start_finds_the_floor_too(workload_of):
    """Started far off, the multipliers end near the floor: the mean over the second half tells."""
    work, scenario = workload_of(8000, seed=7), Scenario()
    floor = scenario.quality_floor * work.quality.mean(axis=0).max()
    for quality in (0.0, 5.0):
        outcome = simulate(work, scenario, Dual(lambda_quality=quality))
        assert outcome.quality[4000:].mean() == pytest.approx(floor, abs=0.03)


@pytest.mark.parametrize("floor", [0.8, 0.9])
def test_scarce_server_time_goes_where_it_saves_most(floor, workload_of):
    """Three times as much work as the local server can do: quality counted in, cheaper than first come."""
    scenario = Scenario(latency_target_s=20.0, quality_floor=floor)
    train, work = (
        replace(workload_of(3000, seed=seed, per_second=4.0), generated_tokens=np.full(3000, 150)) for seed in (12, 13)
    )
    fitted = frozen(fit_dual(train, scenario))
    priced, unpriced = (simulate(work, scenario, dual) for dual in (fitted, replace(fitted, server_prices=())))

    def net_cost(outcome):
        served = outcome.lane >= 0
        quality = work.predicted_quality[served, outcome.lane[served]].sum()
        return outcome.cost_usd.sum() - fitted.lambda_quality * quality

    bound = lower_bound(work, scenario)
    alone = bound.lane_costs["anthropic"]
    assert fitted.server_prices[0] > 0
    assert net_cost(priced) < net_cost(unpriced)
    assert alone - priced.cost_usd.sum() >= 0.85 * (alone - bound.cost_usd)
    assert priced.missed.mean() <= scenario.max_miss_rate


def test_more_quality_costs_more(workload_of):
    work = workload_of(2000, seed=14)
    costs = [
        simulate(work, scenario, frozen(fit_dual(work, scenario))).cost_usd.sum()
        for scenario in (Scenario(quality_floor=floor) for floor in (0.85, 0.9, 0.95, 0.99))
    ]
    assert costs == sorted(costs)


@pytest.mark.parametrize("share", [0.0, 0.05, 0.3])
def test_never_spends_more_than_the_budget(share, workload_of):
    work = workload_of(2000, seed=8)
    budget = share * simulate(work, Scenario(), SingleLane("anthropic")).cost_usd.sum()
    scenario = Scenario(budget_usd=budget)
    dual = fit_dual(workload_of(1000, seed=9), scenario)
    replay = replay_attempts(work, scenario, dual)
    assert replay.outcome.cost_usd.sum() <= budget
    # At no instant either: bills in the order in which attempts ended.
    order = np.argsort(replay.attempts.ended_s, kind="stable")
    assert np.cumsum(replay.attempts.cost_usd[order]).max() <= budget * (1 + 1e-12)
    if share == 0:
        assert set(replay.outcome.lane.tolist()) <= {-1, 0}
    else:
        assert replay.outcome.cost_usd.sum() > 0.8 * budget


def test_what_is_left_of_a_budget_lasts_to_the_end(workload_of):
    """Paced: the last fifth of the requests still gets its share of paid answers."""
    work = workload_of(3000, seed=10)
    budget = 0.4 * simulate(work, Scenario(), SingleLane("anthropic")).cost_usd.sum()
    outcome = simulate(work, Scenario(budget_usd=budget), fit_dual(workload_of(1500, seed=11), Scenario()))
    fifths = outcome.cost_usd.reshape(5, -1).sum(axis=1) / budget
    assert (fifths > 0.1).all()


def test_the_worst_case_covers_what_is_under_way(workload_of):
    """Everything arrives at once: nothing is billed yet when later requests are chosen for."""
    work = replace(workload_of(200), arrival_s=np.zeros(200))
    outcome = simulate(work, Scenario(budget_usd=1.0), Dual(lambda_quality=10.0))
    assert 0 < outcome.cost_usd.sum() <= 1.0


def test_refuses_to_fit_on_nothing_or_on_other_lanes(workload_of):
    with pytest.raises(LaneError, match="training requests"):
        fit_dual(workload_of(0), Scenario())
    with pytest.raises(LaneError, match="2 lanes and the scenario 3"):
        fit_dual(workload_of(10, lanes=2), Scenario())
