from __future__ import annotations

import pytest

from lean_agentic.multi_lane.study import RoutingStudy, Setting, generated_sources
from lean_agentic.workbench.explorer import Explorer
from lean_agentic.workbench.routing_explorer import routing_explorer, summary


@pytest.fixture(scope="module")
def study() -> RoutingStudy:
    return RoutingStudy(generated_sources(800, seed=5), arrivals=300, seed=5)


@pytest.fixture
def explorer(study: RoutingStudy) -> Explorer:
    return routing_explorer(study, Setting())


def cost(explorer: Explorer, policy: str) -> float:
    assert explorer.view.table is not None
    (row,) = (row for row in explorer.view.table.rows if row[0] == policy)
    return float(row[1])


def test_it_starts_at_the_given_setting_with_a_budget_that_does_not_bind(
    study: RoutingStudy, explorer: Explorer
) -> None:
    replayed = study.replay(Setting())
    assert explorer.values["quality_floor"] == 0.95
    assert explorer.values["budget"] > max(row.cost_usd for row in replayed.summaries.values())
    assert explorer.view.summary == summary(replayed)


def test_each_control_reaches_the_replay(study: RoutingStudy, explorer: Explorer) -> None:
    moves = {
        "budget": (10.0, Setting(budget_usd=10)),
        "latency_target": (5.0, Setting(latency_target_s=5)),
        "quality_floor": (0.8, Setting(quality_floor=0.8)),
        "local_throughput": (50.0, Setting(local_tokens_per_s=50)),
        "traffic": (4.0, Setting(traffic_multiplier=4)),
        "openrouter": (True, Setting(down=("openrouter",))),
    }
    for name, (value, setting) in moves.items():
        before = explorer.controls[name].value
        explorer.controls[name].value = value
        assert explorer.view.summary == summary(study.replay(setting)), name
        explorer.controls[name].value = before


def test_the_choice_changes_whose_lanes_are_shown(explorer: Explorer) -> None:
    explorer.controls["shares_of"].value = "LinUCB"
    assert explorer.view.charts[-1].title == "Who answers: LinUCB"


def test_a_lane_that_is_down_bills_nothing(explorer: Explorer) -> None:
    assert cost(explorer, "anthropic only") > 0
    assert "below anthropic only" in explorer.view.summary
    explorer.controls["anthropic"].value = True
    assert cost(explorer, "anthropic only") == 0
    assert "below anthropic only" not in explorer.view.summary
    assert "nan" not in explorer.view.summary


def test_the_summary_says_when_the_yardstick_left_requests_unanswered(study: RoutingStudy) -> None:
    assert "unanswered" not in summary(study.replay(Setting()))
    crowded = study.replay(Setting(traffic_multiplier=50.0))
    refused = crowded.summaries["anthropic only"].unanswered
    assert refused > 0.1
    assert f"anthropic only (which left {refused:.1%} unanswered)" in summary(crowded)


def test_the_summary_says_when_the_floor_is_out_of_reach(study: RoutingStudy) -> None:
    replayed = study.replay(Setting(quality_floor=1.0, down=("anthropic",)))
    assert "out of reach" in summary(replayed)


def test_all_lanes_down_is_shown_and_not_an_error(explorer: Explorer) -> None:
    for lane in ("onnx_local", "anthropic", "openrouter"):
        explorer.controls[lane].value = True
    assert cost(explorer, "dual") == 0
    assert "100.00% of targets missed" in explorer.view.summary


def test_it_starts_at_settings_beyond_its_usual_ranges(study: RoutingStudy) -> None:
    setting = Setting(latency_target_s=60, quality_floor=0.5, local_tokens_per_s=10, traffic_multiplier=10)
    values = routing_explorer(study, setting).values
    assert [values[name] for name in ("latency_target", "quality_floor", "local_throughput", "traffic")] == [
        60,
        0.5,
        10,
        10,
    ]
