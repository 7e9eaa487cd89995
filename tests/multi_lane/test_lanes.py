from __future__ import annotations

import pytest

from lean_agentic.multi_lane.errors import LaneError
from lean_agentic.multi_lane.lanes import NOMINAL_LANES, Lane, with_changes


def test_the_nominal_lanes_carry_the_specified_prices():
    assert {lane.name: lane.price_per_1k for lane in NOMINAL_LANES} == {
        "onnx_local": 0.0,
        "anthropic": 0.10,
        "openrouter": 0.05,
    }


@pytest.mark.parametrize(
    "change",
    [
        {"price_per_1k": -1},
        {"price_per_1k": float("nan")},
        {"price_per_1k": float("inf")},
        {"mean_outage_s": float("nan")},
        {"requests_per_minute": float("nan")},
        {"availability": 1.1},
        {"failure_rate": -0.1},
        {"quality": 2},
        {"mean_outage_s": 0},
        {"requests_per_minute": 0},
        {"burst": 0},
        {"servers": -1},
        {"queue_limit": -1},
        {"typical_ttft_s": 0},
        {"typical_tokens_per_s": float("inf")},
    ],
)
def test_refuses_what_cannot_be(change):
    with pytest.raises(LaneError, match="lane"):
        Lane(**({"name": "lane", "price_per_1k": 0.1} | change))


def test_changes_fields_by_name_and_leaves_the_rest():
    changed = with_changes(NOMINAL_LANES, anthropic={"availability": 0.9})
    assert [lane.availability for lane in changed] == [0.9995, 0.9, 0.995]
    assert changed[0] == NOMINAL_LANES[0]
    with pytest.raises(LaneError, match="nobody"):
        with_changes(NOMINAL_LANES, nobody={"availability": 0.9})
    with pytest.raises(LaneError, match="availability"):
        with_changes(NOMINAL_LANES, anthropic={"availability": 9})
