from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from lean_agentic.jit_runtime import JitRuntime, JitRuntimeConfig, explain
from lean_agentic.workbench.chart_figure import draw
from lean_agentic.workbench.charts import Chart, Series
from lean_agentic.workbench.jit_call_times import CallTimes
from lean_agentic.workbench.jit_charts import (
    DEOPTIMISED,
    curve_charts,
    ratio_chart,
    reasons_table,
    speed_against_compile,
    speedup_table,
    speedups_sorted,
    tier_timeline,
    time_curves,
    time_so_far,
)


def named(chart: Chart) -> dict[str, Series]:
    return {each.name: each for each in chart.series}


@pytest.fixture
def speed() -> pd.DataFrame:
    rows = [
        ("a", "lists", "CPython", False, "exact", 1.0, 0.0, 30.0, ""),
        ("a", "lists", "tier 1", True, "exact", 20.0, 1.0, 1.5, ""),
        ("a", "lists", "Numba", False, "failed", math.nan, math.nan, math.nan, "TypeError: cannot reflect"),
        ("b", "scalars", "CPython", False, "exact", 1.0, 0.0, 40.0, ""),
        ("b", "scalars", "tier 1", True, "exact", 5.0, 3.0, 8.0, ""),
        ("b", "scalars", "Numba", False, "other type", 100.0, 90.0, 0.4, ""),
    ]
    columns = ["program", "form", "contender", "ours", "verdict", "speedup", "compile_ms", "call_us", "reason"]
    return pd.DataFrame(rows, columns=columns).assign(size="small")


@pytest.fixture
def curves() -> pd.DataFrame:
    rows = [
        (program, start, ours, calls, cost + calls * each)
        for program in ("a", "b")
        for start, ours, cost, each in (("CPython", False, 0, 1.0), ("PyPy", False, 5, 0.1), ("ours", True, 1, 0.2))
        for calls in (1, 10, 100)
    ]
    frame = pd.DataFrame(rows, columns=["program", "start", "ours", "calls", "ms"])
    return frame.assign(form="lists", size="small", verdict="exact", reason="")


@pytest.fixture(scope="module")
def times() -> CallTimes:
    explanation = explain(JitRuntime(JitRuntimeConfig(max_tier=0)).tiered(lambda x: x))
    tiers = np.array([0, 0, 1, 1, 2])
    left = np.array([False, False, False, True, False])
    return CallTimes(np.array([10.0, 10.0, 2.0, 50.0, 1.0]), tiers, left, 10.0, explanation)


def test_a_contender_is_a_point_of_cost_and_gain(speed: pd.DataFrame) -> None:
    points = named(speed_against_compile(speed))
    assert set(points) == {"tier 1", "Numba"}
    assert (points["tier 1"].xs, points["tier 1"].ys) == (2.0, pytest.approx(10.0))


def test_speed_ups_are_sorted_from_worst_to_best(speed: pd.DataFrame) -> None:
    lines = named(speedups_sorted(speed, ["tier 1", "Numba", "PyPy"]))
    assert lines["tier 1"].ys.tolist() == [5, 20]
    assert lines["Numba"].ys.tolist() == [100]
    assert "PyPy" not in lines


def test_the_table_says_what_kept_a_contender_from_a_figure(speed: pd.DataFrame) -> None:
    table = speedup_table(speed, ["tier 1", "Numba"])
    assert table.texts() == (("a (lists)", "30", "20x", "failed"), ("b", "40", "5x", "100x, other type"))
    assert reasons_table(speed).rows == (("Numba", "a lists", "TypeError: cannot reflect"),)
    assert reasons_table(speed[speed.reason == ""]).rows == (("none", "", ""),)


def test_curves_are_means_and_say_of_how_many_programs(curves: pd.DataFrame) -> None:
    chart = time_curves(curves, "Lists")
    assert chart.title == "Lists (2 programs)"
    assert named(chart)["PyPy"].ys.tolist() == pytest.approx([5.1, 6, 15])


def test_the_ratio_is_to_the_best_peer(curves: pd.DataFrame) -> None:
    lines = named(ratio_chart(curves))
    assert lines["worst program"].ys.tolist() == pytest.approx([1.2 / 1, 3 / 6, 21 / 15])
    assert lines["each program"].xs.size == 6


def test_charts_are_made_of_what_was_measured(curves: pd.DataFrame) -> None:
    failed = curves.iloc[:1].assign(start="PyPy", form="arrays", calls=0, verdict="failed", ms=math.nan)
    both = pd.concat([curves, curves.assign(size="large"), failed], ignore_index=True)
    assert [chart.title for chart in curve_charts(both)] == [
        "Small calls, numbers and lists (2 programs)",
        "Small calls: ours over the best peer",
        "Large calls, numbers and lists (2 programs)",
        "Large calls: ours over the best peer",
    ]


def test_calls_are_drawn_by_tier_and_those_that_left_apart(times: CallTimes) -> None:
    marks = named(tier_timeline(times, "t"))
    assert marks["tier 0"].xs.tolist() == [1, 2]
    assert marks["tier 1"].xs.tolist() == [3]
    assert marks[DEOPTIMISED].ys.tolist() == [50]
    assert "tier 3" not in marks


def test_time_so_far_is_summed(times: CallTimes) -> None:
    lines = named(time_so_far(times))
    assert lines["ours"].ys[-1] == pytest.approx(0.073)
    assert lines["CPython"].ys.tolist() == pytest.approx([0.01, 0.02, 0.03, 0.04, 0.05])


def test_all_can_be_drawn(speed: pd.DataFrame, curves: pd.DataFrame, times: CallTimes) -> None:
    draw([
        speed_against_compile(speed), speedups_sorted(speed, ["tier 1"]), time_curves(curves), ratio_chart(curves),
        tier_timeline(times, "t"), time_so_far(times),
    ])._repr_png_()  # fmt: skip
