"""The drawings: positions follow the figures, and nothing leaves the drawing."""

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lean_agentic.workbench.report_drawings import WIDTH, bound_svg, trend_svg
from lean_agentic.workbench.results import Metric
from lean_agentic.workbench.targets import TARGET_BY_ID, TARGETS

FIGURES = st.floats(-1e9, 1e9)


def part(svg: str, name: str) -> dict[str, str]:
    return next(element.attrib for element in ElementTree.fromstring(svg).iter() if element.get("class") == name)


@given(target=st.sampled_from(TARGETS), figures=st.lists(FIGURES, min_size=3, max_size=3))
def test_order_on_the_axis_is_the_order_of_the_figures(target, figures):
    low, value, high = sorted(figures)
    svg = bound_svg(Metric(value, target.unit, 3, (low, high)), target)
    spread, dot, tick = part(svg, "spread"), float(part(svg, "value")["cx"]), float(part(svg, "tick")["x1"])
    assert 0 <= float(spread["x1"]) <= dot <= float(spread["x2"]) <= WIDTH
    assert dot <= tick if value <= target.bound else dot >= tick


@pytest.mark.parametrize(
    ("name", "value", "state"),
    [("cost_savings", 29.9, "missed"), ("cost_savings", 30, "met"), ("cost_variance", 5, "missed")],
)
def test_state_is_the_targets_own(name, value, state):
    assert f'class="bound {state}"' in bound_svg(Metric(value, "%", 1), TARGET_BY_ID[name])


@given(values=st.lists(FIGURES, min_size=2, max_size=30))
def test_trend_rises_where_the_figures_rise(values):
    svg = trend_svg([Metric(value, "ms", 1) for value in values])
    points = re.findall(r"([\d.]+),([\d.]+)", ElementTree.fromstring(svg).find("polyline").get("points"))
    heights = [-float(y) for _, y in points]
    assert len(points) == len(values)
    for i in range(len(values) - 1):
        assert (heights[i + 1] - heights[i]) * (values[i + 1] - values[i]) >= 0


def test_one_run_has_no_trend():
    assert "svg" not in trend_svg([Metric(1.0, "ms", 1)])
