"""The lower bound against the full linear program, brute force, and simulated policies that meet the constraints."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from lean_agentic.multi_lane.bound import TOLERANCE, BoundVerdict, frontier, lower_bound
from lean_agentic.multi_lane.errors import LaneError
from lean_agentic.multi_lane.lanes import NOMINAL_LANES, Lane, with_changes
from lean_agentic.multi_lane.latency import generated_profiles
from lean_agentic.multi_lane.policies import Dual, RandomMix, SingleLane, WeightedScore
from lean_agentic.multi_lane.quality import generate_quality, lane_qualities
from lean_agentic.multi_lane.scenario import ForcedOutage, Scenario
from lean_agentic.multi_lane.simulator import simulate
from lean_agentic.multi_lane.traffic import build_workload, generate_traffic
from lean_agentic.multi_lane.workload import DRAWS_PER_REQUEST, Workload

FREE, DEAR = Lane("free", 0.0), Lane("dear", 1.0)


@pytest.fixture(scope="module")
def table():
    return lane_qualities(generate_quality(seed=0), seed=0)[1]


def replayed(table, n=300, seed=0, speed=400.0):
    traffic = generate_traffic(n, seed)
    return build_workload(traffic, NOMINAL_LANES, generated_profiles(seed), table, local_tokens_per_s=speed, seed=seed)


def by_hand(tokens, predicted, service_s, arrival_s=None, priority=None):
    """A workload given by token totals (n,), predicted and realised quality (n, k) and service times (n, k)."""
    tokens, predicted, service_s = np.asarray(tokens), np.asarray(predicted, float), np.asarray(service_s, float)
    n = len(tokens)
    return Workload(
        arrival_s=np.zeros(n) if arrival_s is None else np.asarray(arrival_s, float),
        context_tokens=tokens - 1,
        generated_tokens=np.ones(n, dtype=np.int64),
        priority=np.ones(n, dtype=np.int64) if priority is None else np.asarray(priority),
        prompt=np.arange(n),
        quality=predicted,
        predicted_quality=predicted,
        ttft_s=service_s,
        inter_token_s=np.full_like(service_s, 0.01),
        draws=np.zeros((n, DRAWS_PER_REQUEST)),
    )


def tables(workload, scenario, quality):
    """(n, k + 1) cost, quality, misses and service seconds written out afresh; the last option is no answer."""
    n = len(workload)
    tokens = workload.context_tokens + workload.generated_tokens
    cost = np.stack([tokens * lane.price_per_1k / 1000 for lane in scenario.lanes], axis=1)
    service = workload.ttft_s + workload.inter_token_s * (workload.generated_tokens - 1)[:, None]
    late = service > scenario.latency_targets(workload.priority)[:, None]
    none = np.zeros((n, 1))
    return tuple(np.hstack(parts) for parts in ((cost, none), (quality, none), (late, none + 1), (service, none)))


def rows_of(workload, scenario, quality):
    """The coupling rows of the full program, (J, n * (k + 1)), and their limits."""
    n, k = quality.shape
    _, right, missed, service = tables(workload, scenario, quality)
    rows = [-right / n, missed / n]
    limits = [-scenario.quality_floor * quality.mean(axis=0).max(), scenario.max_miss_rate]
    horizon = np.ptp(workload.arrival_s) + scenario.latency_targets(workload.priority).max()
    for column, lane in enumerate(scenario.lanes):
        only = np.arange(k + 1) == column
        if lane.servers:
            rows.append(service * only)
            limits.append(lane.servers * horizon)
        if np.isfinite(lane.requests_per_minute):
            rows.append(np.ones((n, 1)) * only)
            limits.append(lane.burst + lane.requests_per_minute / 60 * horizon)
    return np.stack(rows).reshape(len(rows), -1), np.array(limits)


def full_program(workload, scenario, hindsight=False):
    """The whole linear program, one variable a request and option, solved at once; None when infeasible."""
    quality = workload.quality if hindsight else workload.predicted_quality
    n, k = quality.shape
    rows, limits = rows_of(workload, scenario, quality)
    cost = tables(workload, scenario, quality)[0].ravel()
    one_each = np.kron(np.eye(n), np.ones((1, k + 1)))
    result = linprog(cost, A_ub=rows, b_ub=limits, A_eq=one_each, b_eq=np.ones(n), method="highs")
    return result.fun if result.status == 0 else None


@pytest.mark.parametrize("speed", [60, 200, 1000])
@pytest.mark.parametrize("floor", [0.8, 0.95, 1.0])
@pytest.mark.parametrize("hindsight", [False, True])
def test_agrees_with_the_full_program_to_the_stated_gap(table, speed, floor, hindsight):
    workload = replayed(table, speed=speed)
    scenario = Scenario(quality_floor=floor, max_miss_rate=0.02)
    bound = lower_bound(workload, scenario, hindsight=hindsight)
    exact = full_program(workload, scenario, hindsight)
    assert bound.verdict is BoundVerdict.OPTIMAL
    assert bound.gap_usd <= TOLERANCE * bound.lane_costs["anthropic"]
    assert exact - 1e-6 <= bound.cost_usd <= exact + bound.gap_usd + 1e-6


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_agrees_with_the_full_program_on_any_small_case(data):
    n, k = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 3))
    rng = np.random.default_rng(data.draw(st.integers(0, 10_000)))
    lanes = tuple(
        Lane(
            f"lane {i}", float(rng.integers(0, 4)) / 10, servers=int(rng.integers(0, 2)), burst=1 + int(rng.integers(4))
        )
        for i in range(k)
    )
    lanes = (replace(lanes[0], requests_per_minute=3.0), *lanes[1:])
    arrival = np.sort(rng.uniform(0, 5, n))
    workload = by_hand(rng.integers(2, 99, n), rng.random((n, k)), rng.uniform(0.1, 6, (n, k)), arrival)
    shares = {"quality_floor": rng.uniform(0.3, 1), "max_miss_rate": rng.uniform(0, 1)}
    scenario = Scenario(lanes=lanes, latency_target_s=4, **shares)
    bound, exact = lower_bound(workload, scenario), full_program(workload, scenario)
    if exact is None:
        assert bound.verdict is not BoundVerdict.OPTIMAL
        assert np.isnan(bound.cost_usd)
    else:
        assert exact - 1e-7 <= bound.cost_usd <= exact + bound.gap_usd + 1e-7


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_no_whole_assignment_that_meets_the_constraints_is_cheaper(seed):
    rng = np.random.default_rng(seed)
    n, lanes = 5, (replace(FREE, servers=1), Lane("middle", 0.5), DEAR)
    workload = by_hand(rng.integers(2, 99, n), rng.random((n, 3)), rng.uniform(0.1, 3, (n, 3)))
    scenario = Scenario(lanes=lanes, latency_target_s=2, quality_floor=0.8, max_miss_rate=0.4)
    rows, limits = rows_of(workload, scenario, workload.quality)
    cost = tables(workload, scenario, workload.quality)[0]
    bound = lower_bound(workload, scenario)
    for choice in product(range(4), repeat=n):
        picked = np.zeros((n, 4))
        picked[range(n), choice] = 1
        if (rows @ picked.ravel() <= limits).all():
            assert bound.verdict is BoundVerdict.OPTIMAL
            assert bound.cost_usd - bound.gap_usd <= (cost * picked).sum() + 1e-9


def test_no_simulated_policy_that_meets_the_constraints_is_cheaper_in_hindsight(table):
    policies = (
        SingleLane("anthropic"),
        SingleLane("openrouter"),
        RandomMix(),
        WeightedScore(),
        Dual(),
        RandomMix((0, 3, 1)),
    )
    met = 0
    for seed in range(3):
        workload = replayed(table, n=500, seed=seed)
        for policy in policies:
            outcome = simulate(workload, Scenario(), policy)
            kept = outcome.quality.mean() / workload.quality.mean(axis=0).max()
            # The bound at what this policy really kept and missed.
            reached = Scenario(quality_floor=min(kept, 1.0), max_miss_rate=outcome.missed.mean())
            bound = lower_bound(workload, reached, hindsight=True)
            assert bound.verdict is BoundVerdict.OPTIMAL
            assert bound.cost_usd - bound.gap_usd <= outcome.cost_usd.sum()
            met += outcome.cost_usd.sum() > 0
    assert met >= 12


def test_by_hand_the_easy_half_goes_to_the_free_lane():
    # Free is as good on two of four requests and useless on the others; the floor is all of the dear lane's quality.
    workload = by_hand([1000] * 4, [[1, 1], [1, 1], [0, 1], [0, 1]], np.full((4, 2), 0.1))
    bound = lower_bound(workload, Scenario(lanes=(FREE, DEAR), quality_floor=1.0, max_miss_rate=0))
    assert bound.cost_usd == pytest.approx(2.0)
    assert bound.saving("dear") == pytest.approx(0.5)
    assert np.isnan(bound.saving("free"))
    assert bound.shares == pytest.approx({"unanswered": 0, "free": 0.5, "dear": 0.5})
    assert bound.quality_kept == pytest.approx(1)


def test_local_server_seconds_limit_the_free_lane():
    # 10 s of horizon (all arrive at once, target 10 s) hold two of the four answers of 5 s each.
    workload = by_hand([1000] * 4, np.ones((4, 2)), [[5, 0.1]] * 4)
    scenario = Scenario(lanes=(replace(FREE, servers=1), DEAR), latency_target_s=10, max_miss_rate=0, quality_floor=1)
    assert lower_bound(workload, scenario).cost_usd == pytest.approx(2.0)


def test_a_rate_limit_limits_a_lane():
    # One call at once and 6 a minute over the 10 s of horizon: two calls.
    cheap = Lane("cheap", 0.5, requests_per_minute=6, burst=1)
    workload = by_hand([1000] * 4, np.ones((4, 2)), np.full((4, 2), 0.1))
    scenario = Scenario(lanes=(cheap, DEAR), latency_target_s=10, max_miss_rate=0, quality_floor=1)
    assert lower_bound(workload, scenario).cost_usd == pytest.approx(2 * 0.5 + 2 * 1.0)


def test_late_answers_count_as_missed_by_priority():
    # Free takes 3 s: in time for low priority (2 x 2 s), too late for critical (half of 2 s).
    workload = by_hand([1000] * 2, np.ones((2, 2)), [[3, 0.1]] * 2, priority=[0, 3])
    scenario = Scenario(lanes=(FREE, DEAR), latency_target_s=2, max_miss_rate=0, quality_floor=1)
    bound = lower_bound(workload, scenario)
    assert bound.cost_usd == pytest.approx(1.0)
    assert lower_bound(workload, replace(scenario, max_miss_rate=0.5)).cost_usd == pytest.approx(0.0)


def test_a_forced_outage_takes_the_lane_for_its_time():
    workload = by_hand([1000] * 4, np.ones((4, 2)), np.full((4, 2), 0.1), arrival_s=[0, 1, 2, 3])
    scenario = Scenario(lanes=(FREE, DEAR), quality_floor=1, max_miss_rate=0)
    assert lower_bound(workload, scenario).cost_usd == pytest.approx(0.0)
    down = replace(scenario, forced_outages=(ForcedOutage("free", 1, 3),))
    assert lower_bound(workload, down).cost_usd == pytest.approx(2.0)
    everything = scenario.with_down("free", "dear")
    assert lower_bound(workload, everything).verdict is BoundVerdict.QUALITY_AND_MISSES


def test_says_which_constraint_is_out_of_reach():
    workload = by_hand([1000] * 4, [[0.2, 0.9]] * 4, [[0.1, 30]] * 4)
    scenario = Scenario(lanes=(FREE, DEAR), quality_floor=0.5, max_miss_rate=1)
    assert lower_bound(workload, scenario).verdict is BoundVerdict.OPTIMAL
    floor = lower_bound(workload, scenario.with_down("dear"))
    assert floor.verdict is BoundVerdict.QUALITY_FLOOR
    assert "0.2500 short of quality" in floor.detail
    assert np.isnan(floor.cost_usd)
    misses = lower_bound(workload, replace(scenario, quality_floor=0, max_miss_rate=0.1).with_down("free"))
    assert misses.verdict is BoundVerdict.MISS_RATE
    budget = lower_bound(workload, replace(scenario, budget_usd=0.5))
    assert budget.verdict is BoundVerdict.BUDGET
    assert "is needed and $0.5000 allowed" in budget.detail
    assert "budget" in repr(budget)


def test_the_frontier_is_rising_convex_and_the_bound_at_each_floor(table):
    workload, scenario = replayed(table, n=1000), Scenario(budget_usd=0.01)
    floors = np.linspace(0.75, 1.0, 9)
    curve = frontier(workload, scenario, floors)
    cost = np.array([bound.cost_usd for bound in curve])
    slack = 2 * TOLERANCE * curve[0].lane_costs["anthropic"]
    assert (np.diff(cost) >= -slack).all()
    assert (np.diff(cost, 2) >= -2 * slack).all()
    for floor, bound in zip(floors, curve, strict=True):
        alone = lower_bound(workload, replace(scenario, quality_floor=floor, budget_usd=np.inf))
        assert bound.cost_usd == pytest.approx(alone.cost_usd, abs=bound.gap_usd + alone.gap_usd + 1e-9)
        assert bound.quality_kept >= floor - 1e-6
        assert sum(bound.shares.values()) == pytest.approx(1)


def test_hindsight_is_cheaper_and_labelled_unreachable(table):
    workload, scenario = replayed(table, n=1000), Scenario()
    known, ahead = lower_bound(workload, scenario), lower_bound(workload, scenario, hindsight=True)
    assert ahead.cost_usd < known.cost_usd
    assert "hindsight, unreachable" in repr(ahead)
    assert ahead.realised_quality == pytest.approx(ahead.quality)
    assert "anthropic" in known._repr_html_()


def test_refuses_what_does_not_fit(table):
    workload = replayed(table, n=5)
    with pytest.raises(LaneError, match="the same lanes in both"):
        lower_bound(workload, Scenario(lanes=NOMINAL_LANES[:2]))
    with pytest.raises(LaneError, match="a request or more"):
        lower_bound(workload.head(0), Scenario())
    with pytest.raises(LaneError, match="at least one quality floor"):
        frontier(workload, Scenario(), [])
    with pytest.raises(LaneError, match="'elsewhere'"):
        lower_bound(workload, Scenario()).saving("elsewhere")


def test_lanes_that_all_cost_nothing_bound_at_nothing(table):
    free = {lane.name: {"price_per_1k": 0.0} for lane in NOMINAL_LANES}
    scenario = Scenario(lanes=with_changes(NOMINAL_LANES, **free))
    assert lower_bound(replayed(table, n=50), scenario).cost_usd == 0
