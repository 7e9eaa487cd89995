from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lean_agentic.multi_lane.errors import LaneError
from lean_agentic.multi_lane.workload import Outcome


def test_says_what_it_holds(workload_of):
    work = workload_of(20)
    assert len(work) == 20
    assert work.lanes == 3
    assert "20 requests" in repr(work)
    assert "3 lanes" in repr(work)
    assert "0 requests over 0 s" in repr(workload_of(0))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("context_tokens", np.ones(3, dtype=int), r"context_tokens has shape \(3,\)"),
        ("ttft_s", np.ones((20, 2)), r"ttft_s has shape \(20, 2\)"),
        ("draws", np.ones((20, 1)), r"draws has shape"),
        ("predicted_quality", np.full((20, 3), np.nan), "predicted_quality holds NaN"),
        ("arrival_s", np.arange(20.0)[::-1], "sort the requests"),
        ("arrival_s", np.arange(20.0) - 1, r"arrival_s holds -1.0; expected numbers of at least 0"),
        ("generated_tokens", np.full(20, -5), "generated_tokens holds -5"),
        ("inter_token_s", np.full((20, 3), -0.5), "inter_token_s holds -0.5"),
        ("quality", np.full((20, 3), 2.0), "quality lies between 2.0 and 2.0"),
        ("predicted_quality", np.full((20, 3), -0.1), "predicted_quality lies between -0.1"),
        ("quality", np.ones(20), r"quality has shape \(20,\)"),
    ],
)
def test_refuses_tables_that_do_not_fit(workload_of, name, value, message):
    with pytest.raises(LaneError, match=message):
        replace(workload_of(20), **{name: value})


def test_head_keeps_the_first_and_faster_moves_only_arrivals(workload_of):
    work = workload_of(20)
    np.testing.assert_array_equal(work.head(5).quality, work.quality[:5])
    fast = work.faster(4)
    np.testing.assert_allclose(fast.arrival_s * 4, work.arrival_s)
    assert fast.draws is work.draws
    for multiplier in (0, -1, float("nan")):
        with pytest.raises(LaneError, match="above 0"):
            work.faster(multiplier)


def test_an_outcome_sums_itself_up():
    ints, floats = np.zeros(4, dtype=np.int64), np.full(4, 0.5)
    outcome = Outcome("any", ints, ints, floats, floats, floats, floats, floats, np.array([True, False, False, False]))
    assert len(outcome) == 4
    assert repr(outcome) == "Outcome(any: 4 requests, $2.0000, quality 0.500, 25.00% late)"
