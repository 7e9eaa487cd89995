from __future__ import annotations

import math

import numpy as np
import pytest

from lean_agentic.multi_lane.errors import LaneError
from lean_agentic.multi_lane.lanes import ANTHROPIC, NOMINAL_LANES
from lean_agentic.multi_lane.scenario import ForcedOutage, Scenario


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lanes": ()}, "one lane or more"),
        ({"lanes": (ANTHROPIC, ANTHROPIC)}, "its own name"),
        ({"latency_target_s": 0}, "latency_target_s"),
        ({"latency_target_s": math.nan}, "latency_target_s"),
        ({"budget_usd": -1.0}, "budget_usd"),
        ({"budget_usd": math.nan}, "budget_usd"),
        ({"quality_floor": 1.2}, "quality_floor"),
        ({"max_miss_rate": -0.1}, "max_miss_rate"),
        ({"forced_outages": (ForcedOutage("nobody"),)}, "No lane is called 'nobody'"),
        ({"max_attempts": 0}, "max_attempts"),
        ({"max_attempts": 5}, "max_attempts"),
        ({"retry_delay_s": -1}, "retry_delay_s"),
        ({"notice_s": math.inf}, "notice_s"),
        ({"refusal_s": math.nan}, "refusal_s"),
        ({"max_generated_tokens": 0}, "max_generated_tokens"),
        ({"seed": -1}, "seed"),
    ],
)
def test_refuses_bad_values_by_name(change, message):
    with pytest.raises(LaneError, match=message):
        Scenario(**change)


def test_a_forced_outage_ends_after_it_starts():
    with pytest.raises(LaneError, match="start_s < end_s"):
        ForcedOutage("anthropic", 5, 5)


def test_targets_are_tighter_for_higher_priorities():
    targets = Scenario(latency_target_s=10).latency_targets(np.array([0, 1, 2, 3]))
    assert targets.tolist() == [20, 10, 7.5, 5]
    with pytest.raises(LaneError, match="priority"):
        Scenario().latency_targets(np.array([4]))


def test_lanes_are_found_by_name_and_taken_down():
    scenario = Scenario().with_down("openrouter", "onnx_local")
    assert [scenario.lane_index(lane.name) for lane in NOMINAL_LANES] == [0, 1, 2]
    assert [outage.lane for outage in scenario.forced_outages] == ["openrouter", "onnx_local"]
    assert all(outage.end_s == math.inf for outage in scenario.forced_outages)
    with pytest.raises(LaneError, match="nobody"):
        scenario.with_down("nobody")
