"""The replay against a plain-Python simulator written on its own, queueing theory, and conservation laws."""

from __future__ import annotations

import heapq
import math
from collections import deque
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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


@dataclass
class OracleLane:
    """One lane of the oracle, with ordinary Python containers."""

    spec: Lane
    outages: list
    bucket: float
    refilled: float = 0.0
    serving: int = 0
    line: deque = field(default_factory=deque)

    def down(self, now):
        return any(start <= now < end for start, end in self.outages)

    def admit(self, now):
        """Take a token, or say that there is none."""
        rate = self.spec.requests_per_minute / 60
        if rate == math.inf:
            return True
        self.bucket = min(float(self.spec.burst), self.bucket + (now - self.refilled) * rate)
        self.refilled = now
        if self.bucket < 1:
            return False
        self.bucket -= 1
        return True


class Oracle:
    """A discrete-event simulation with heapq and callbacks; only for choices that look at nothing but draws."""

    def __init__(self, work, scenario, weights):
        horizon = (work.arrival_s[-1] if len(work) else 0.0) + 3600
        tables = outage_intervals(scenario, horizon)
        self.lanes = [
            OracleLane(lane, table.tolist(), float(lane.burst))
            for lane, table in zip(scenario.lanes, tables, strict=True)
        ]
        self.work, self.scenario, self.weights = work, scenario, weights
        self.tried = [[] for _ in range(len(work))]
        self.cost, self.finish, self.answered_by = [0.0] * len(work), [None] * len(work), [-1] * len(work)
        self.heap, self.scheduled = [], 0

    def at(self, time, action):
        heapq.heappush(self.heap, (time, self.scheduled, action))
        self.scheduled += 1

    def run(self):
        waiting = deque(range(len(self.work)))
        while waiting or self.heap:
            if self.heap and (not waiting or self.heap[0][0] <= self.work.arrival_s[waiting[0]]):
                time, _, action = heapq.heappop(self.heap)
                action(time)
            else:
                request = waiting.popleft()
                self.route(request, float(self.work.arrival_s[request]))
        return self

    def route(self, request, now):
        left = [w if i not in self.tried[request] else 0.0 for i, w in enumerate(self.weights)]
        draw = self.work.draws[request, DRAWS_PER_REQUEST // 2 + len(self.tried[request])] * sum(left)
        candidates = [i for i, w in enumerate(left) if w > 0]
        if not candidates:
            self.finish[request] = now
            return
        chosen = next((i for i in candidates if draw < sum(left[: i + 1])), candidates[-1])
        self.tried[request].append(chosen)
        lane, scenario = self.lanes[chosen], self.scenario
        full = lane.spec.servers and lane.serving == lane.spec.servers and len(lane.line) >= lane.spec.queue_limit
        if lane.down(now):
            self.at(now + scenario.notice_s, lambda t: self.failed(request, t))
        elif full:
            self.at(now, lambda t: self.failed(request, t))
        elif not lane.admit(now):
            self.at(now + scenario.refusal_s, lambda t: self.failed(request, t))
        elif lane.spec.servers and lane.serving == lane.spec.servers:
            lane.line.append(request)
        else:
            self.serve(request, chosen, now)

    def serve(self, request, chosen, now):
        lane = self.lanes[chosen]
        lane.serving += 1
        if self.work.draws[request, len(self.tried[request]) - 1] < lane.spec.failure_rate:
            self.at(now + self.scenario.notice_s, lambda t: self.served(request, chosen, t, False))
        else:
            further = max(int(self.work.generated_tokens[request]) - 1, 0)
            took = self.work.ttft_s[request, chosen] + further * self.work.inter_token_s[request, chosen]
            self.at(now + took, lambda t: self.served(request, chosen, t, True))

    def served(self, request, chosen, now, success):
        lane = self.lanes[chosen]
        tokens = int(self.work.context_tokens[request]) + success * int(self.work.generated_tokens[request])
        self.cost[request] += lane.spec.price_per_1k * tokens / 1000
        if success:
            self.finish[request], self.answered_by[request] = now, chosen
        lane.serving -= 1
        while lane.spec.servers and lane.line and lane.serving < lane.spec.servers:
            following = lane.line.popleft()
            if lane.down(now):
                self.at(now + self.scenario.notice_s, lambda t, r=following: self.failed(r, t))
            else:
                self.serve(following, chosen, now)
        if not success:
            self.failed(request, now)

    def failed(self, request, now):
        if len(self.tried[request]) == self.scenario.max_attempts:
            self.finish[request] = now
        else:
            self.at(now + self.scenario.retry_delay_s, lambda t: self.route(request, t))


lanes_strategy = st.builds(
    Lane,
    name=st.just("lane"),
    price_per_1k=st.sampled_from([0.0, 0.05, 0.1]),
    availability=st.sampled_from([1.0, 0.9, 0.5]),
    mean_outage_s=st.sampled_from([0.5, 5.0]),
    failure_rate=st.sampled_from([0.0, 0.3, 1.0]),
    requests_per_minute=st.sampled_from([math.inf, 60.0, 30.0]),
    burst=st.integers(1, 3),
    servers=st.integers(0, 2),
    queue_limit=st.integers(0, 3),
)


@st.composite
def replays(draw):
    """Small workloads whose times are multiples of a quarter, so that events often coincide."""
    k, n = draw(st.integers(1, 3)), draw(st.integers(0, 25))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    quarters = lambda high, shape: rng.integers(0, high, shape) / 4  # noqa: E731
    work = Workload(
        arrival_s=np.sort(quarters(20, n)),
        context_tokens=rng.integers(0, 2000, n),
        generated_tokens=rng.integers(0, 6, n),
        priority=rng.integers(0, 4, n),
        prompt=np.full(n, -1),
        quality=rng.integers(0, 2, (n, k)).astype(float),
        predicted_quality=rng.random((n, k)),
        ttft_s=quarters(8, (n, k)),
        inter_token_s=quarters(3, (n, k)),
        draws=rng.random((n, DRAWS_PER_REQUEST)),
    )
    scenario = Scenario(
        lanes=tuple(replace(draw(lanes_strategy), name=f"lane {i}") for i in range(k)),
        max_attempts=draw(st.integers(1, 4)),
        retry_delay_s=draw(st.sampled_from([0.0, 0.25])),
        notice_s=draw(st.sampled_from([0.0, 0.5, 1.0])),
        refusal_s=draw(st.sampled_from([0.0, 0.25])),
        forced_outages=draw(st.sampled_from([(), (ForcedOutage("lane 0", 1.0, 3.0),), (ForcedOutage("lane 0"),)])),
        seed=draw(st.integers(0, 5)),
    )
    single = draw(st.booleans())
    weights = [1.0] + [0.0] * (k - 1) if single else draw(st.lists(st.sampled_from([0.5, 1.0]), min_size=k, max_size=k))
    return work, scenario, SingleLane("lane 0") if single else RandomMix(tuple(weights)), weights


@settings(max_examples=300, deadline=None)
@given(replays())
def test_agrees_exactly_with_the_plain_python_oracle(case):
    work, scenario, policy, weights = case
    outcome = simulate(work, scenario, policy)
    oracle = Oracle(work, scenario, weights).run()
    assert outcome.lane.tolist() == oracle.answered_by
    assert outcome.finish_s.tolist() == oracle.finish
    assert outcome.cost_usd.tolist() == oracle.cost
    assert outcome.attempts.tolist() == [len(lanes) for lanes in oracle.tried]


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
