from __future__ import annotations

import time

import numpy as np
import pytest

from lean_agentic.multi_lane import beliefs
from lean_agentic.multi_lane.errors import LaneError
from lean_agentic.multi_lane.policies import (
    Dual,
    EpsilonGreedy,
    LinUCB,
    RandomMix,
    SingleLane,
    WeightedScore,
    choose_lane,
    learn_from,
)
from lean_agentic.multi_lane.program import Feedback
from lean_agentic.multi_lane.scenario import Scenario
from lean_agentic.multi_lane.simulator import simulate

ALL_POLICIES = (SingleLane("anthropic"), RandomMix(), WeightedScore(), EpsilonGreedy(), LinUCB(), Dual())


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (SingleLane("nobody"), "nobody"),
        (RandomMix((1.0,)), "as many weights"),
        (RandomMix((0.0, 0.0, 0.0)), "not all 0"),
        (RandomMix((-1.0, 1.0, 1.0)), r"weights\[0\]"),
        (EpsilonGreedy(epsilon=1.5), "epsilon"),
        (EpsilonGreedy(late_usd=-1), "late_usd"),
        (LinUCB(alpha=float("nan")), "alpha"),
        (LinUCB(quality_usd=-1), "quality_usd"),
        (Dual(lambda_quality=-1), "lambda_quality"),
        (Dual(margin=-1), "margin"),
        (Dual(server_prices=(0.1,)), "as many server_prices"),
        (Dual(server_prices=(0.1, -1.0, 0.0)), r"server_prices\[1\]"),
        (Dual(steps=(0.0, -1.0, 0.0)), r"steps\[1\]"),
    ],
)
def test_refuses_bad_settings(policy, message):
    with pytest.raises(LaneError, match=message):
        policy.start(Scenario(), 100)


@pytest.mark.parametrize("policy", ALL_POLICIES, ids=lambda policy: policy.name)
def test_a_live_router_gets_one_choice_at_a_time(policy):
    """The compiled entry points alone, without a replay: lanes that are open, whatever was learned before."""
    rng, program = np.random.default_rng(0), policy.start(Scenario(), 100)
    for _ in range(200):
        request, view = rng.random(beliefs.REQUEST_COLUMNS), rng.random((3, beliefs.VIEW_COLUMNS))
        request[beliefs.PRIORITY] = rng.integers(0, 4)
        view[:, beliefs.OPEN] = rng.integers(0, 2, 3)
        lane = choose_lane(program, request, view, rng.random())
        assert lane == -1 or view[lane, beliefs.OPEN] == 1
        if policy.name != "anthropic only":
            assert (lane == -1) == (view[:, beliefs.OPEN].sum() == 0)
        feedback = Feedback(rng.random(), 1.0, 0.0, False, True)
        learn_from(program, request, view[max(lane, 0)], lane, feedback)


@pytest.mark.parametrize("policy", ALL_POLICIES, ids=lambda policy: policy.name)
def test_a_program_starts_afresh_each_time(policy):
    first, second = policy.start(Scenario(), 10), policy.start(Scenario(), 10)
    first.memory[:] = 7
    assert not (second.memory == 7).any()


def test_the_dual_policy_aims_above_the_floor_by_its_margin():
    assert Dual(margin=0.02).quality_share(Scenario(quality_floor=0.9)) == pytest.approx(0.92)
    assert Dual(margin=0.02).quality_share(Scenario(quality_floor=0.99)) == 1


def test_only_the_dual_policy_keeps_the_budget(workload_of):
    work = workload_of(300)
    for policy in ALL_POLICIES:
        spent = simulate(work, Scenario(budget_usd=1.0), policy).cost_usd.sum()
        assert (spent <= 1.0) == policy.start(Scenario(), 1).keeps_budget == isinstance(policy, Dual)


def test_learning_policies_beat_a_random_mix_on_their_own_reward(workload_of):
    work = workload_of(5000, seed=3)

    def reward(policy):
        outcome = simulate(work, Scenario(), policy)
        return float((0.5 * outcome.quality - outcome.cost_usd - 0.5 * outcome.missed)[1000:].mean())

    random = reward(RandomMix())
    assert reward(EpsilonGreedy()) > random
    assert reward(LinUCB()) > reward(EpsilonGreedy())


@pytest.mark.slow
@pytest.mark.parametrize("policy", ALL_POLICIES, ids=lambda policy: policy.name)
def test_reports_requests_per_second(policy, workload_of, record_property):
    """Kept with the report; no limit decides the test."""
    work = workload_of(20_000)
    simulate(work, Scenario(), policy)
    began = time.perf_counter()
    outcome = simulate(work, Scenario(), policy)
    record_property("requests_per_second", len(outcome) / (time.perf_counter() - began))
    assert len(outcome) == len(work)
