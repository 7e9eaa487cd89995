from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lean_agentic.multi_lane import lane_state
from lean_agentic.multi_lane.beliefs import (
    BEST_QUALITY,
    CONTEXT,
    LATENCY,
    LOAD,
    OPEN,
    ROOM,
    SERVER_S,
    SLACK,
    TOKENS,
    VIEW_COLUMNS,
)
from lean_agentic.multi_lane.lanes import Lane
from lean_agentic.multi_lane.scenario import ForcedOutage, Scenario
from lean_agentic.multi_lane.tables import build_world

STEADY = {"price_per_1k": 0.1, "availability": 1.0}


def world_of(workload_of, lane, n=5, **scenario):
    return build_world(workload_of(n, lanes=1), Scenario(lanes=(lane,), **scenario))


def test_a_lane_is_down_in_its_intervals_only(workload_of):
    outages = tuple(ForcedOutage("one", start, start + 2) for start in (1, 5, 9))
    world = world_of(workload_of, Lane("one", **STEADY), forced_outages=outages)
    for now in np.arange(0, 14, 0.5):
        inside = any(outage.start_s <= now < outage.end_s for outage in outages)
        assert lane_state.is_down(world.lanes[0], world.outages, now) == inside


@settings(deadline=None)
@given(st.integers(1, 5), st.lists(st.floats(0, 20), max_size=60))
def test_the_bucket_never_gives_more_than_burst_and_refill(workload_of, burst, gaps):
    world = world_of(workload_of, Lane("one", **STEADY, requests_per_minute=30, burst=burst))
    lane, times = world.lanes[0], np.cumsum(gaps)
    taken = []
    for now in times:
        if lane_state.rate_allows(lane, now):
            lane["bucket"] -= 1
            taken.append(now)
    for first in range(len(taken)):
        for last in range(first, len(taken)):
            assert last - first + 1 <= burst + 0.5 * (taken[last] - taken[first]) + 1e-6


def test_the_wait_is_the_work_ahead_shared_by_the_servers(workload_of):
    world = world_of(workload_of, Lane("one", **STEADY, servers=2, queue_limit=3))
    lane, ends = world.lanes[0], world.server_ends[0]
    lane["busy"], ends[0] = 1, 14.0
    assert lane_state.expected_wait(lane, ends, 10.0) == 0
    lane["busy"], ends[1], lane["queued"], lane["expected_work_s"] = 2, 9.0, 2, 6.0
    # 4 s left on one server, the other should have ended already, 6 s in line.
    assert lane_state.expected_wait(lane, ends, 10.0) == pytest.approx((4 + 0 + 6) / 2)
    assert not lane_state.line_is_full(lane)
    lane["queued"] = 3
    assert lane_state.line_is_full(lane)


def test_a_view_closes_lanes_that_were_tried_or_do_not_fit_the_budget(workload_of):
    work = workload_of(5)
    scenario = Scenario(budget_usd=0.05, max_generated_tokens=1000)
    world, view = build_world(work, scenario), np.zeros((3, VIEW_COLUMNS))
    lane_state.describe_request(world, 0, 3.0)
    known = world.shown_request[0]
    assert known[CONTEXT] == work.context_tokens[0]
    assert known[SLACK] == pytest.approx(work.arrival_s[0] + scenario.latency_targets(work.priority)[0] - 3)
    assert known[BEST_QUALITY] == work.predicted_quality[0].max()
    lane_state.look(world, view, 0, 3.0, False)
    assert view[:, OPEN].tolist() == [1, 1, 1]
    assert view[:, ROOM].tolist() == [1, 1, 1]
    worst = [lane_state.worst_case(world, 0, lane) for lane in range(3)]
    assert worst == pytest.approx([0, 0.1 * (work.context_tokens[0] + 1000) / 1000, worst[1] / 2])
    lane_state.look(world, view, 0, 3.0, True)
    assert view[:, OPEN].tolist() == [1, float(worst[1] <= 0.05), float(worst[2] <= 0.05)]
    world.requests["tried"][0] = 0b101
    lane_state.look(world, view, 0, 3.0, False)
    assert view[:, OPEN].tolist() == [0, 1, 0]


def test_a_view_shows_what_is_asked_of_servers_and_how_much_of_them_is_taken(workload_of):
    lanes = (Lane("local", **STEADY, servers=2, queue_limit=6), Lane("other", **STEADY))
    world, view = build_world(workload_of(5, lanes=2), Scenario(lanes=lanes)), np.zeros((2, VIEW_COLUMNS))
    world.lanes["busy"][0], world.lanes["queued"][0], world.lanes["expected_work_s"][0] = 2, 1, 9.0
    lane_state.describe_request(world, 0, 0.0)
    lane_state.look(world, view, 0, 0.0, False)
    assert view[0, LOAD] == pytest.approx((2 + 1) / (2 + 6))
    tokens = world.shown_request[0, TOKENS]
    assert view[0, SERVER_S] == pytest.approx(1.0 + (tokens - 1) / 30.0)
    assert view[0, LATENCY] == pytest.approx(9.0 / 2 + view[0, SERVER_S])
    assert view[1, [SERVER_S, LOAD]].tolist() == [0, 0]


def test_no_limit_means_no_limit(workload_of):
    world = world_of(workload_of, Lane("one", **STEADY))
    assert world.lanes[0]["refill_per_s"] == math.inf
    assert all(lane_state.rate_allows(world.lanes[0], 0.0) for _ in range(1000))
