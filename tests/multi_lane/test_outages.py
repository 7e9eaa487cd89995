from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lean_agentic.multi_lane.lanes import Lane
from lean_agentic.multi_lane.outages import outage_intervals, random_outages, union
from lean_agentic.multi_lane.scenario import ForcedOutage, Scenario


def down_share(intervals, horizon):
    return np.minimum(intervals, horizon) @ [-1, 1]


@pytest.mark.parametrize("availability", [0.5, 0.9, 0.99])
def test_the_share_of_up_time_is_the_availability(availability):
    lane, horizon, runs = Lane("x", 0, availability=availability, mean_outage_s=20.0), 100_000.0, 40
    down = [down_share(random_outages(lane, horizon, seed), horizon).sum() / horizon for seed in range(runs)]
    assert abs(np.mean(down) - (1 - availability)) < 4 * np.std(down, ddof=1) / math.sqrt(runs)


def test_outages_last_as_long_as_they_should_on_average():
    lane = Lane("x", 0, availability=0.8, mean_outage_s=12.0)
    lengths = np.diff(random_outages(lane, 500_000.0, 3)).ravel()
    assert abs(lengths.mean() - 12) < 4 * lengths.std() / math.sqrt(len(lengths))
    # Exponential: deviation and mean agree.
    assert lengths.std() == pytest.approx(12, rel=0.1)


def test_starts_in_the_stationary_state():
    lane = Lane("x", 0, availability=0.7, mean_outage_s=50.0)
    down_at_start = sum(random_outages(lane, 1.0, seed)[:1, 0].tolist() == [0.0] for seed in range(1000))
    assert abs(down_at_start - 300) < 4 * math.sqrt(1000 * 0.7 * 0.3)


@given(st.floats(0.01, 0.999), st.integers(0, 1000), st.floats(1, 1e4))
def test_sorted_disjoint_and_unmoved_by_a_longer_horizon(availability, seed, horizon):
    lane = Lane("x", 0, availability=availability, mean_outage_s=30.0)
    short, long = random_outages(lane, horizon, seed), random_outages(lane, 2 * horizon, seed)
    assert (np.diff(long.ravel()) >= 0).all()
    np.testing.assert_array_equal(long[: len(short)], short)


def test_always_and_never_up():
    assert len(random_outages(Lane("x", 0, availability=1), 1e6, 0)) == 0
    assert random_outages(Lane("x", 0, availability=0), 1e6, 0).tolist() == [[0, math.inf]]


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 10)), max_size=12))
def test_union_covers_the_same_instants(pieces):
    intervals = np.array([(start, start + length) for start, length in pieces], dtype=float).reshape(-1, 2)
    merged = union(intervals)
    for instant in np.arange(0, 45, 0.5):
        inside = [bool(((table[:, 0] <= instant) & (instant < table[:, 1])).any()) for table in (intervals, merged)]
        assert inside[0] == inside[1]
    assert (np.diff(merged.ravel()) > 0).all()


def test_forced_outages_join_the_random_ones():
    lanes = (Lane("a", 0, availability=1), Lane("b", 0, availability=0.5))
    forced = (ForcedOutage("a", 10, 20), ForcedOutage("b"))
    table_a, table_b = outage_intervals(Scenario(lanes=lanes, forced_outages=forced), 1000.0)
    assert table_a.tolist() == [[10, 20]]
    assert table_b.tolist() == [[0, math.inf]]


def test_a_lane_keeps_its_outages_when_another_is_added():
    a, b = Lane("a", 0, availability=0.5), Lane("b", 0, availability=0.5)
    alone = outage_intervals(Scenario(lanes=(b,)), 1000.0)[0]
    np.testing.assert_array_equal(outage_intervals(Scenario(lanes=(a, b)), 1000.0)[1], alone)
