"""The loop of the replay against a plain-Python simulator written on its own: the same outcome, bit for bit."""

from __future__ import annotations

import heapq
import math
from collections import deque
from dataclasses import dataclass, field, replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lean_agentic.multi_lane.lanes import Lane
from lean_agentic.multi_lane.outages import outage_intervals
from lean_agentic.multi_lane.policies import RandomMix, SingleLane
from lean_agentic.multi_lane.scenario import ForcedOutage, Scenario
from lean_agentic.multi_lane.simulator import simulate
from lean_agentic.multi_lane.workload import DRAWS_PER_REQUEST, Workload


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
    assert outcome.quality.tolist() == [work.quality[r, i] if i >= 0 else 0 for r, i in enumerate(oracle.answered_by)]
