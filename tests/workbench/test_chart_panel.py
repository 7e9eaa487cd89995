from __future__ import annotations

import json

import numpy as np
import pytest

from lean_agentic.workbench.chart_panel import POINTS_SHOWN, ChartPanel, chart_message
from lean_agentic.workbench.charts import Chart, Reference, Series
from lean_agentic.workbench.style import PALETTE


def floats(data: bytes) -> np.ndarray:
    return np.frombuffer(data, "<f8")


def test_numbers_travel_unchanged() -> None:
    x, y = np.array([1.0, 2.0, 1e15 + 1]), np.array([0.1, np.nan, -3.0])
    message = chart_message(Chart("Cost", "request", "dollars", (Series("adaptive", x, y),)))
    (series,) = message["series"]
    np.testing.assert_array_equal(floats(series["x"]), x)
    np.testing.assert_array_equal(floats(series["y"]), y)
    assert series["colour"] == PALETTE.look("adaptive").colour


def test_everything_but_the_numbers_is_json() -> None:
    chart = Chart("Cost", "request", "$", (Series("a", [0, 1], [1, 2], "bars"),), references=(Reference(1, "budget"),))
    message = chart_message(chart)
    for series in message["series"]:
        assert all(isinstance(series.pop(field), bytes) for field in ("x", "y", "base"))
    assert json.loads(json.dumps(message, allow_nan=False))["references"] == [
        {"value": 1, "label": "budget", "axis": "y"}
    ]
    assert message["alt"] == chart.describe()


def test_long_curves_are_thinned_with_their_peaks() -> None:
    y = np.zeros(50_000)
    y[12_345] = 1.0
    (series,) = chart_message(Chart("Latency", "request", "ms", (Series("a", np.arange(50_000), y),)))["series"]
    assert floats(series["x"]).size <= POINTS_SHOWN
    assert floats(series["y"]).max() == 1.0
    assert 12_345 in floats(series["x"])
    assert series["total"] == 50_000


def test_points_are_sorted_before_they_are_thinned() -> None:
    x = np.random.default_rng(0).permutation(5000)
    (series,) = chart_message(Chart("P", "x", "y", (Series("a", x, 2 * x, "points"),)))["series"]
    assert (np.diff(floats(series["x"])) > 0).all()
    np.testing.assert_array_equal(floats(series["y"]), 2 * floats(series["x"]))


def test_thinned_areas_still_stack() -> None:
    rng = np.random.default_rng(0)
    layers = [Series(name, np.arange(5000), rng.random(5000), "area") for name in "abc"]
    a, b, c = chart_message(Chart("Shares", "minute", "share", tuple(layers)), limit=100)["series"]
    np.testing.assert_array_equal(a["x"], c["x"])
    np.testing.assert_allclose(floats(b["base"]), floats(a["y"]))
    np.testing.assert_allclose(floats(c["base"]), floats(a["y"]) + floats(b["y"]))


def test_setting_charts_sends_one_frame() -> None:
    panel = ChartPanel([Chart("A", "x", "y", (Series("s", [1], [1]),))])
    frames = []
    panel.observe(lambda change: frames.append(change["new"]), names="frame")
    panel.charts = [Chart("B", "x", "y", (Series("s", [1], [2]),)), Chart("C", "x", "y", (Series("s", [1], [3]),))]
    panel.charts = panel.charts
    assert [[chart["title"] for chart in frame["charts"]] for frame in frames] == [["B", "C"]]
    assert [chart.title for chart in panel.charts] == ["B", "C"]
    assert repr(panel) == "ChartPanel(B, C)"
    panel.close()


def test_columns_must_be_positive() -> None:
    with pytest.raises(Exception, match="columns"):
        ChartPanel(columns=0)
