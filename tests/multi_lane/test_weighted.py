from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lean_agentic.multi_lane import beliefs
from lean_agentic.multi_lane.weighted import (
    AVAILABILITY_WEIGHT,
    COST_WEIGHTS,
    LATENCY_WEIGHTS,
    choose_random,
    choose_single,
    choose_weighted,
)


def view_of(cost, latency, health=(1, 1, 1), is_open=(1, 1, 1), room=(1, 1, 1)):
    view = np.zeros((3, beliefs.VIEW_COLUMNS))
    columns = (beliefs.COST, beliefs.LATENCY, beliefs.HEALTH, beliefs.OPEN, beliefs.ROOM)
    for column, values in zip(columns, (cost, latency, health, is_open, room), strict=True):
        view[:, column] = values
    return view


def request_of(priority):
    request = np.zeros(beliefs.REQUEST_COLUMNS)
    request[beliefs.PRIORITY] = priority
    return request


def test_the_weights_are_the_specified_ones_and_sum_to_one():
    assert list(zip(COST_WEIGHTS, LATENCY_WEIGHTS, strict=True)) == [(0.6, 0.2), (0.4, 0.4), (0.3, 0.5), (0.2, 0.6)]
    for cost, latency in zip(COST_WEIGHTS, LATENCY_WEIGHTS, strict=True):
        assert cost + latency + AVAILABILITY_WEIGHT == pytest.approx(1)


def test_low_priority_goes_cheap_and_critical_goes_fast():
    # By hand, priority low: free lane .6*1 + .2*0 + .2 = .8, dear lane .6*0 + .2*1 + .2 = .4, middle .3 + .1 + .2 = .6.
    view = view_of(cost=(0, 0.1, 0.05), latency=(9, 1, 5))
    assert choose_weighted(request_of(0), view) == 0
    # Critical: free .2 + 0 + .2 = .4, dear 0 + .6 + .2 = .8, middle .1 + .3 + .2 = .6.
    assert choose_weighted(request_of(3), view) == 1
    # Medium: .4*1 + 0 + .2 = 0 + .4*1 + .2: a tie, which the first lane wins.
    assert choose_weighted(request_of(1), view) == 0


@settings(deadline=None)
@given(st.integers(0, 3), st.lists(st.floats(0, 1), min_size=9, max_size=9), st.floats(0.1, 100))
def test_the_units_of_cost_and_latency_do_not_matter(priority, numbers, unit):
    cost, latency, health = np.array(numbers).reshape(3, 3)
    health = 0.5 + health / 2
    span = [np.ptp(cost), np.ptp(latency)]
    plain, scaled = view_of(cost, latency, health), view_of(cost * unit, latency * unit, health)
    chosen = choose_weighted(request_of(priority), plain)
    if min(span) > 1e-6:
        scores = COST_WEIGHTS[priority] * (1 - (cost - cost.min()) / span[0])
        scores += LATENCY_WEIGHTS[priority] * (1 - (latency - latency.min()) / span[1]) + 0.2 * health
        assert scores[chosen] == pytest.approx(scores.max(), abs=1e-9)
        assert scores[choose_weighted(request_of(priority), scaled)] == pytest.approx(scores.max(), abs=1e-9)


def test_lanes_down_full_or_closed_come_last():
    cheap_first = {"cost": (0, 0.05, 0.1), "latency": (1, 2, 3)}
    assert choose_weighted(request_of(0), view_of(**cheap_first)) == 0
    assert choose_weighted(request_of(0), view_of(**cheap_first, health=(0.2, 1, 1))) == 1
    assert choose_weighted(request_of(0), view_of(**cheap_first, room=(0, 1, 1))) == 1
    assert choose_weighted(request_of(0), view_of(**cheap_first, room=(0, 1, 0), health=(1, 0.1, 1))) == 0
    assert choose_weighted(request_of(0), view_of(**cheap_first, is_open=(0, 0, 1), health=(1, 1, 0.1))) == 2
    assert choose_weighted(request_of(0), view_of(**cheap_first, is_open=(0, 0, 0))) == -1


def test_single_never_falls_back():
    view = view_of((1, 1, 1), (1, 1, 1))
    assert choose_single(np.array([2.0]), view) == 2
    view[2, beliefs.OPEN] = 0
    assert choose_single(np.array([2.0]), view) == -1


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=3, max_size=3), st.lists(st.booleans(), min_size=3, max_size=3))
def test_random_follows_its_weights_among_open_lanes(weights, is_open):
    view = view_of((1, 1, 1), (1, 1, 1), is_open=is_open)
    left = np.array(weights) * is_open
    grid = (np.arange(2000) + 0.5) / 2000
    chosen = np.array([choose_random(np.array(weights), view, draw) for draw in grid])
    if left.sum() == 0:
        assert (chosen == -1).all()
    else:
        shares = np.array([(chosen == lane).mean() for lane in range(3)])
        np.testing.assert_allclose(shares, left / left.sum(), atol=1e-3)
