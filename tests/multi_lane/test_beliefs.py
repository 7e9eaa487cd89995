from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lean_agentic.multi_lane import beliefs
from lean_agentic.multi_lane.lanes import NOMINAL_LANES, Lane

LANE = Lane("lane", 0.1, typical_ttft_s=1.0, typical_tokens_per_s=50.0)


def test_two_failures_make_a_lane_believed_down_one_does_not():
    belief = beliefs.initial_beliefs([LANE])[0]
    assert beliefs.health(belief, 0.0) == 1
    beliefs.hear_success(belief, 10.0, False)
    assert beliefs.health(belief, 10.0) == pytest.approx(0.7)
    beliefs.hear_success(belief, 10.0, False)
    assert beliefs.health(belief, 10.0) == pytest.approx(0.49)
    assert 0.49 < beliefs.BELIEVED_UP < 0.7


def test_a_lane_not_heard_of_is_believed_healthy_again():
    belief = beliefs.initial_beliefs([LANE])[0]
    for _ in range(30):
        beliefs.hear_success(belief, 5.0, False)
    now = 5 + beliefs.RECOVERY_S * math.log(2)
    assert beliefs.health(belief, now) == pytest.approx(0.5, abs=1e-4)
    assert beliefs.health(belief, 1e6) == pytest.approx(1)


def test_before_anything_was_seen_each_lane_is_as_fast_as_is_typical_of_it():
    table = beliefs.initial_beliefs(NOMINAL_LANES)
    for belief, lane in zip(table, NOMINAL_LANES, strict=True):
        expected = lane.typical_ttft_s + 100 / lane.typical_tokens_per_s
        assert beliefs.service_time(belief, 101.0) == pytest.approx(expected)


def test_what_is_typical_weighs_as_much_as_ten_attempts():
    belief = beliefs.initial_beliefs([LANE])[0]
    beliefs.hear_times(belief, 12.0, 0.02, 1.0, 1.0)
    assert beliefs.service_time(belief, 1.0) == pytest.approx((10 * 1 + 12) / 11)


def test_learns_the_speed_it_sees():
    belief = beliefs.initial_beliefs([LANE])[0]
    rng = np.random.default_rng(0)
    for ttft, inter_token in rng.gamma(25, [0.4 / 25, 0.01 / 25], (2000, 2)):
        beliefs.hear_times(belief, ttft, inter_token, 1.0, 1.0)
    assert beliefs.service_time(belief, 101.0) == pytest.approx(0.4 + 100 * 0.01, rel=0.1)
    assert beliefs.service_time(belief, 0.0) == pytest.approx(0.4, rel=0.1)


def test_the_chance_of_being_late_is_the_share_that_was():
    """Against the empirical share of log-normal ratios, up to the width of a bin and the weight of the prior."""
    belief, ratios = beliefs.initial_beliefs([LANE])[0], np.random.default_rng(1).lognormal(0.1, 0.4, 2000)
    for ratio in ratios:
        beliefs.hear_times(belief, 1.0, 0.01, 2.0 * ratio, 2.0)
    for slack in (1.0, 2.0, 3.0, 5.0):
        share = float((2.0 * ratios > slack).mean())
        assert beliefs.chance_late(belief, 2.0, slack) == pytest.approx(share, abs=0.05)


@settings(deadline=None)  # the first call compiles
@given(st.floats(0.01, 100), st.floats(-10, 1000), st.floats(0, 100))
def test_more_slack_never_makes_late_more_likely(predicted, slack, more):
    belief = beliefs.initial_beliefs([LANE])[0]
    first, second = (beliefs.chance_late(belief, predicted, s) for s in (slack, slack + more))
    assert 1 + 1e-12 >= first >= second - 1e-12 >= -1e-12
    assert beliefs.chance_late(belief, predicted, 0.0) == 1


def test_the_histogram_stays_a_distribution_whatever_comes():
    belief = beliefs.initial_beliefs([LANE])[0]
    for taken in (0.0, 1e-9, 1.0, 1e9):
        beliefs.hear_times(belief, 1.0, 0.01, taken, 1.0)
    assert belief[-48:].sum() == pytest.approx(1)
    assert (belief[-48:] >= 0).all()


def test_describes_a_lane_by_hand_calculation():
    belief, row = beliefs.initial_beliefs([LANE])[0], np.zeros(beliefs.VIEW_COLUMNS)
    request = np.zeros(beliefs.REQUEST_COLUMNS)
    request[[beliefs.CONTEXT, beliefs.TOKENS, beliefs.SLACK]] = 800, 201, 0.0
    beliefs.describe_lane(row, belief, request, 4.0, 0.1, 0.8, 0.0)
    # The lane's typical speed, as long as nothing was seen: 1 s to the first token and 20 ms a token.
    assert row[beliefs.LATENCY] == pytest.approx(4 + 1 + 200 * 0.02)
    assert row[beliefs.COST] == pytest.approx(0.1 * 1001 / 1000)
    assert (row[beliefs.HEALTH], row[beliefs.QUALITY], row[beliefs.P_LATE]) == (1, 0.8, 1)
