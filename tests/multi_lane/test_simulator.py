"""The replay against queueing theory, conservation laws and what must not be known; the loop has its own oracle."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from lean_agentic.multi_lane.errors import LaneError
from lean_agentic.multi_lane.lanes import NOMINAL_LANES, Lane, with_changes
from lean_agentic.multi_lane.outages import outage_intervals
from lean_agentic.multi_lane.policies import (
    Dual,
    EpsilonGreedy,
    LinUCB,
    RandomMix,
    SingleLane,
    WeightedScore,
)
from lean_agentic.multi_lane.scenario import ForcedOutage, Scenario
from lean_agentic.multi_lane.simulator import AttemptStatus, replay_attempts, simulate
from lean_agentic.multi_lane.workload import DRAWS_PER_REQUEST, Workload

ALL_POLICIES = (SingleLane("anthropic"), RandomMix(), WeightedScore(), EpsilonGreedy(), LinUCB(), Dual())


def queue_of(n, seed, utilisation, exponential):
    """One server with mean service 1 s and Poisson arrivals."""
    rng = np.random.default_rng(seed)
    service = rng.exponential(size=(n, 1)) if exponential else np.ones((n, 1))
    table = np.ones((n, 1))
    ones = np.ones(n, dtype=np.int64)
    arrivals = np.cumsum(rng.exponential(1 / utilisation, n))
    draws = rng.random((n, DRAWS_PER_REQUEST))
    return Workload(arrivals, ones, ones, 0 * ones, -ones, table, table, service, 0 * table, draws)


@pytest.mark.parametrize("exponential", [False, True], ids=["M/D/1", "M/M/1"])
@pytest.mark.parametrize("utilisation", [0.3, 0.7])
def test_mean_wait_is_what_pollaczek_and_khinchine_say(exponential, utilisation):
    n, runs = 20_000, 10
    scenario = Scenario(lanes=(Lane("one", 0.0, availability=1, servers=1, queue_limit=n),))
    waits = []
    for seed in range(runs):
        replay = replay_attempts(queue_of(n, seed, utilisation, exponential), scenario, SingleLane("one"))
        waits.append((replay.attempts.started_s - replay.attempts.submitted_s).mean())
    # W = rho / (1 - rho) * E[S] * (1 + C^2) / 2, C the coefficient of variation of service.
    expected = utilisation / (1 - utilisation) * (1 + exponential) / 2
    # The runs are independent: four standard errors of their mean.
    assert abs(np.mean(waits) - expected) < 4 * np.std(waits, ddof=1) / math.sqrt(runs)


ROUGH = with_changes(
    NOMINAL_LANES,
    onnx_local={"availability": 0.9, "mean_outage_s": 5.0, "failure_rate": 0.05, "queue_limit": 4},
    anthropic={"availability": 0.9, "mean_outage_s": 10.0, "requests_per_minute": 60.0, "burst": 5},
    openrouter={"availability": 0.8, "mean_outage_s": 20.0, "failure_rate": 0.2},
)


@pytest.fixture(params=ALL_POLICIES, ids=lambda policy: policy.name)
def rough(request, workload_of):
    """A replay in which everything goes wrong now and then."""
    work, scenario = workload_of(3000, seed=1), Scenario(lanes=ROUGH, seed=2)
    return work, scenario, replay_attempts(work, scenario, request.param)


def test_costs_add_up_over_attempts(rough):
    work, scenario, replay = rough
    outcome, attempts = replay.outcome, replay.attempts
    total = np.zeros(len(work))
    np.add.at(total, attempts.request, attempts.cost_usd)
    np.testing.assert_allclose(outcome.cost_usd, total, rtol=1e-12)
    price = np.array([lane.price_per_1k for lane in scenario.lanes])[attempts.lane]
    tokens = np.where(
        attempts.status == AttemptStatus.ANSWERED,
        (work.context_tokens + work.generated_tokens)[attempts.request],
        np.where(attempts.status == AttemptStatus.FAILED, work.context_tokens[attempts.request], 0),
    )
    np.testing.assert_allclose(attempts.cost_usd, price * tokens / 1000, rtol=1e-12)


def test_every_request_ends_once_and_in_order(rough):
    work, scenario, replay = rough
    outcome, attempts = replay.outcome, replay.attempts
    assert (outcome.latency_s >= 0).all()
    assert (np.bincount(attempts.request, minlength=len(work)) == outcome.attempts).all()
    assert outcome.attempts.max() <= scenario.max_attempts
    answers = attempts.status == AttemptStatus.ANSWERED
    assert (np.bincount(attempts.request[answers], minlength=len(work)) == (outcome.lane >= 0)).all()
    assert (attempts.submitted_s <= attempts.ended_s).all()
    pairs = np.stack([attempts.request, attempts.lane], axis=1)
    assert len(np.unique(pairs, axis=0)) == len(pairs), "a lane was tried twice for one request"
    late = outcome.finish_s - work.arrival_s > scenario.latency_targets(work.priority)
    assert (outcome.missed == (late | (outcome.lane < 0))).all()


def test_lines_are_first_come_first_served_and_short(rough):
    _, scenario, replay = rough
    attempts = replay.attempts
    for index, lane in enumerate(scenario.lanes):
        if lane.servers == 0:
            continue
        served = (attempts.lane == index) & ~np.isnan(attempts.started_s)
        order = np.argsort(attempts.submitted_s[served], kind="stable")
        assert (np.diff(attempts.started_s[served][order]) >= 0).all()
        starts, ends = attempts.started_s[served], attempts.ended_s[served]
        changes = np.concatenate(
            [np.stack([ends, np.full(len(ends), -1)], 1), np.stack([starts, np.ones(len(starts))], 1)]
        )
        busy = np.cumsum(changes[np.lexsort((changes[:, 1], changes[:, 0])), 1])
        assert busy.max(initial=0) <= lane.servers


def test_no_window_holds_more_than_the_rate_limit_allows(rough):
    _, scenario, replay = rough
    attempts = replay.attempts
    refused = (AttemptStatus.DOWN, AttemptStatus.RATE_LIMITED, AttemptStatus.QUEUE_FULL)
    for index, lane in enumerate(scenario.lanes):
        taken = np.sort(attempts.submitted_s[(attempts.lane == index) & ~np.isin(attempts.status, refused)])
        # For every pair i <= j: j - i + 1 requests within taken[j] - taken[i] seconds.
        rank = np.arange(len(taken)) - taken * lane.requests_per_minute / 60
        if lane.requests_per_minute < math.inf and len(taken):
            assert (rank - np.minimum.accumulate(rank)).max() + 1 <= lane.burst + 1e-6


def test_nothing_starts_on_a_lane_that_is_down(rough):
    work, scenario, replay = rough
    attempts = replay.attempts
    for index, table in enumerate(outage_intervals(scenario, work.arrival_s[-1] + 3600)):
        started = attempts.started_s[(attempts.lane == index) & ~np.isnan(attempts.started_s)]
        assert not ((started[:, None] >= table[:, 0]) & (started[:, None] < table[:, 1])).any()
        met = attempts.submitted_s[(attempts.lane == index) & (attempts.status == AttemptStatus.DOWN)]
        assert lane_has_line(scenario, index) or all(((table[:, 0] <= t) & (t < table[:, 1])).any() for t in met)


def lane_has_line(scenario, index):
    """Whether an attempt may be submitted while the lane is up and meet an outage in line."""
    return scenario.lanes[index].servers > 0


@pytest.mark.parametrize("policy", ALL_POLICIES, ids=lambda policy: policy.name)
@pytest.mark.parametrize("name", [lane.name for lane in NOMINAL_LANES])
def test_a_lane_forced_down_answers_nothing(policy, name, workload_of):
    scenario = Scenario().with_down(name)
    outcome = simulate(workload_of(500), scenario, policy)
    assert not (outcome.lane == scenario.lane_index(name)).any()
    if policy != SingleLane(name):
        assert (outcome.lane >= 0).mean() > 0.9


@pytest.mark.parametrize("policy", ALL_POLICIES, ids=lambda policy: policy.name)
def test_the_same_replay_twice_is_the_same_bit_for_bit(policy, workload_of):
    first, second = (simulate(workload_of(1000), Scenario(lanes=ROUGH), policy) for _ in range(2))
    for name in ("lane", "attempts", "cost_usd", "predicted_cost_usd", "finish_s", "quality", "missed"):
        assert getattr(first, name).tobytes() == getattr(second, name).tobytes()


@pytest.mark.parametrize("policy", ALL_POLICIES, ids=lambda policy: policy.name)
def test_nothing_is_known_before_it_happened(policy, workload_of):
    """Whatever later requests turn out like, those that were over before are treated the same."""
    work, half = workload_of(1000), 500
    later = np.arange(1000) >= half
    changed = replace(
        work,
        generated_tokens=np.where(later, 7, work.generated_tokens),
        quality=np.where(later[:, None], 1 - work.quality, work.quality),
        ttft_s=np.where(later[:, None], 3.0, work.ttft_s),
    )
    first, second = (simulate(each, Scenario(), policy) for each in (work, changed))
    before = first.finish_s < work.arrival_s[half]
    assert (first.lane[before] == second.lane[before]).all()
    assert (first.predicted_cost_usd[before] == second.predicted_cost_usd[before]).all()
    # The request right at the change is chosen for before any of its outcome is known.
    assert first.lane[half] == second.lane[half] or first.attempts[half] > 1 or second.attempts[half] > 1


@pytest.mark.parametrize("policy", ALL_POLICIES, ids=lambda policy: policy.name)
def test_an_outage_is_not_known_before_it_is_met(policy, workload_of):
    work, begins_s = workload_of(1000), 60.0
    first, second = (
        simulate(work, Scenario(lanes=ROUGH, forced_outages=outages), policy)
        for outages in ((), (ForcedOutage("anthropic", begins_s), ForcedOutage("openrouter", begins_s)))
    )
    before = first.finish_s < begins_s
    assert 100 < before.sum() < 900
    for name in ("lane", "attempts", "predicted_cost_usd", "finish_s"):
        assert (getattr(first, name)[before] == getattr(second, name)[before]).all()
    assert (first.lane[~before] != second.lane[~before]).any()


def test_an_outage_in_an_interval_shows_only_there(workload_of):
    work = workload_of(2000)
    scenario = Scenario(forced_outages=(ForcedOutage("anthropic", 100.0, 200.0),))
    replay = replay_attempts(work, scenario, WeightedScore())
    begun = replay.attempts.started_s[replay.attempts.lane == 1]
    assert not ((begun >= 100) & (begun < 200)).any()
    assert (begun < 100).any()
    assert (begun >= 200).any()


def test_refuses_what_does_not_fit(workload_of):
    work = workload_of(10)
    with pytest.raises(LaneError, match="3 lanes and the scenario 2"):
        simulate(work, Scenario(lanes=NOMINAL_LANES[:2]), RandomMix())
    with pytest.raises(LaneError, match="raise the cap"):
        simulate(work, Scenario(max_generated_tokens=1), RandomMix())
    with pytest.raises(LaneError, match="No lane is called"):
        simulate(work, Scenario(), SingleLane("nobody"))


def test_an_empty_workload_gives_an_empty_outcome(workload_of):
    replay = replay_attempts(workload_of(0), Scenario(), Dual())
    assert len(replay.outcome) == len(replay.attempts) == 0
    assert "0 answered" in repr(replay.attempts)
