from __future__ import annotations

import numpy as np
import pytest

from lean_agentic.multi_lane.bound import frontier
from lean_agentic.multi_lane.cost_prediction import cost_variance
from lean_agentic.multi_lane.study import Replayed, RoutingStudy, Setting, generated_sources
from lean_agentic.workbench.chart_figure import draw
from lean_agentic.workbench.charts import Chart, ChartError
from lean_agentic.workbench.routing_charts import (
    BOUND,
    POLICIES,
    cost_quality,
    cumulative_cost,
    lane_shares,
    latency_distribution,
    prediction_charts,
    routing_charts,
    routing_table,
    traffic_charts,
)
from lean_agentic.workbench.style import PALETTE


@pytest.fixture(scope="module")
def study() -> RoutingStudy:
    return RoutingStudy(generated_sources(1000, seed=3), arrivals=400, seed=3)


@pytest.fixture(scope="module")
def replayed(study: RoutingStudy) -> Replayed:
    return study.replay(Setting())


def series(chart: Chart, name: str) -> tuple[np.ndarray, np.ndarray]:
    (found,) = (one for one in chart.series if one.name == name)
    return found.xs, found.ys


def test_cost_so_far_ends_at_the_bill_and_never_falls(replayed: Replayed) -> None:
    chart = cumulative_cost(replayed)
    for name, row in replayed.summaries.items():
        _, spent = series(chart, name)
        assert spent[-1] == pytest.approx(row.cost_usd)
        assert (np.diff(spent) >= 0).all()


def test_the_budget_is_drawn_only_where_it_is_in_sight(study: RoutingStudy, replayed: Replayed) -> None:
    assert cumulative_cost(replayed).references == ()
    (line,) = cumulative_cost(study.replay(Setting(budget_usd=3))).references
    assert line.value == 3


def test_cost_against_quality_shows_each_policy_and_the_bound(replayed: Replayed) -> None:
    bounds = frontier(replayed.workload, replayed.scenario, (0.8, 0.9))
    chart = cost_quality(replayed, bounds)
    costs, qualities = series(chart, BOUND)
    assert costs.tolist() == sorted(bound.cost_usd for bound in bounds)
    assert qualities.tolist() == [bound.quality for bound in sorted(bounds, key=lambda bound: bound.cost_usd)]
    for name, row in replayed.summaries.items():
        if name not in chart.title:
            assert [column[0] for column in series(chart, name)] == [row.cost_usd, row.quality]


def test_what_lies_far_below_is_named_in_the_title(study: RoutingStudy) -> None:
    slow = study.replay(Setting(local_tokens_per_s=25, traffic_multiplier=8))
    chart = cost_quality(slow, ())
    assert "far below: " in chart.title
    assert "onnx_local only" in chart.title
    assert "onnx_local only" not in [one.name for one in chart.series]


def test_latency_ends_at_the_share_answered(replayed: Replayed) -> None:
    chart = latency_distribution(replayed)
    for name, row in replayed.summaries.items():
        assert series(chart, name)[1][-1] == pytest.approx(1 - row.unanswered)


def test_a_policy_without_answers_stays_at_zero(study: RoutingStudy) -> None:
    chart = latency_distribution(study.replay(Setting(down=("anthropic",))))
    assert series(chart, "anthropic only")[1].tolist() == [0]


def test_lane_shares_sum_to_one_and_average_to_the_summary(replayed: Replayed) -> None:
    chart = lane_shares(replayed, "dual")
    shares = np.array([one.ys for one in chart.series])
    assert np.allclose(shares.sum(axis=0)[shares.sum(axis=0) > 0], 1)
    minutes = replayed.workload.arrival_s / 60
    edges = np.linspace(minutes[0], minutes[-1], len(shares[0]) + 1)
    arrived = np.histogram(minutes, edges)[0]
    for one in chart.series[:3]:
        assert (one.ys * arrived).sum() / len(minutes) == pytest.approx(replayed.summaries["dual"].shares[one.name])


def test_a_lane_has_the_colour_of_its_policy() -> None:
    for lane in ("anthropic", "openrouter", "onnx_local"):
        assert PALETTE.look(lane).colour == PALETTE.look(f"{lane} only").colour


def test_the_table_never_shows_a_saving_without_quality_and_misses(replayed: Replayed) -> None:
    table = routing_table(replayed)
    assert [row[0] for row in table.rows] == list(POLICIES)
    assert {"saved against anthropic only", "quality kept", "targets missed"} <= set(table.columns)
    dual = dict(zip(table.columns, table.rows[0], strict=True))
    saving = replayed.savings.of("dual", "anthropic only")
    assert dual["saved against anthropic only"] == pytest.approx(saving.share)
    assert dual["quality kept"] == saving.policy.quality_kept


def test_predictions_are_summed_as_the_cost_variance_is(replayed: Replayed) -> None:
    bills, errors = prediction_charts(replayed, window=50)
    predicted, billed = (one.ys for one in bills.series)
    expected = cost_variance(replayed.outcome("dual"), 50)
    assert np.allclose(np.sort(np.abs(predicted - billed) / billed), errors.series[0].xs)
    assert errors.references[0].value == pytest.approx(expected.p95)


def test_a_bill_shorter_than_a_window_is_refused_with_what_to_do(replayed: Replayed) -> None:
    with pytest.raises(ChartError, match=r"'dual' was billed for \d+ requests.*replay more arrivals"):
        prediction_charts(replayed, window=100_000)


def test_all_of_them_can_be_drawn(study: RoutingStudy, replayed: Replayed) -> None:
    for charts in (routing_charts(replayed, "LinUCB"), traffic_charts(study), prediction_charts(replayed, window=20)):
        assert len(draw(charts).axes) == len(charts)
