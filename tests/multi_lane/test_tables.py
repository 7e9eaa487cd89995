from __future__ import annotations

import numpy as np

from lean_agentic.multi_lane.lanes import NOMINAL_LANES, with_changes
from lean_agentic.multi_lane.outages import outage_intervals
from lean_agentic.multi_lane.scenario import Scenario
from lean_agentic.multi_lane.tables import AFTER_LAST_ARRIVAL_S, INTER_TOKEN_OF, QUALITY_OF, TTFT_OF, build_world


def test_every_lane_gets_its_own_stretch_of_the_outages(workload_of):
    lanes = with_changes(NOMINAL_LANES, onnx_local={"availability": 0.9}, openrouter={"availability": 0.5})
    scenario, work = Scenario(lanes=lanes, seed=4).with_down("anthropic"), workload_of(50)
    world = build_world(work, scenario)
    expected = outage_intervals(scenario, work.arrival_s[-1] + AFTER_LAST_ARRIVAL_S)
    for lane, intervals in zip(world.lanes, expected, strict=True):
        np.testing.assert_array_equal(world.outages[lane["next_outage"] : lane["last_outage"]], intervals)


def test_lays_the_workload_out_without_changing_it(workload_of):
    work, scenario = workload_of(50), Scenario()
    world = build_world(work, scenario)
    np.testing.assert_array_equal(world.served[:, :, QUALITY_OF], work.quality)
    np.testing.assert_array_equal(world.served[:, :, TTFT_OF], work.ttft_s)
    np.testing.assert_array_equal(world.served[:, :, INTER_TOKEN_OF], work.inter_token_s)
    np.testing.assert_array_equal(world.requests["target_s"], scenario.latency_targets(work.priority))
    np.testing.assert_array_equal(world.requests["generated_tokens"], work.generated_tokens)
    assert (world.requests["lane"] == -1).all()
    assert world.lanes["bucket"].tolist() == [lane.burst for lane in scenario.lanes]
