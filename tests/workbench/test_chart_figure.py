from __future__ import annotations

import numpy as np
import pytest
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex

from lean_agentic.workbench.chart_figure import draw
from lean_agentic.workbench.charts import Chart, ChartError, Reference, Series, axis_range
from lean_agentic.workbench.style import PALETTE


@pytest.fixture
def charts() -> list[Chart]:
    x = np.arange(1, 41)
    return [
        Chart("Line", "x", "y", (Series("a", x, x**2), Series("b", x, x * 3, "step")), y_log=True),
        Chart("Area", "x", "y", (Series("b", x, x, "area"), Series("a", x, x, "area")), y_format="{:.0%}"),
        Chart("Bars", "", "y", (Series("b", [0, 1], [2, 3], "bars"),), x_names=("one", "two")),
        Chart("Points", "x", "y", (Series("a", [2], [5], "points"),), references=(Reference(4, "floor"),)),
    ]


def test_every_chart_is_drawn_with_its_numbers(charts: list[Chart]) -> None:
    figure = draw(charts)
    assert [axes.get_title("left") for axes in figure.axes] == ["Line", "Area", "Bars", "Points"]
    line = figure.axes[0].lines[0]
    np.testing.assert_array_equal(line.get_ydata(), np.arange(1, 41) ** 2)
    assert [patch.get_height() for patch in figure.axes[2].patches] == [2, 3]
    assert [label.get_text() for label in figure.axes[2].get_xticklabels()] == ["one", "two"]
    dots = next(item for item in figure.axes[3].collections if isinstance(item, PathCollection))
    assert dots.get_offsets().tolist() == [[2, 5]]
    assert "floor" in [text.get_text() for text in figure.axes[3].texts]


def test_a_name_has_one_colour_in_all_charts(charts: list[Chart]) -> None:
    figure = draw(charts)
    colour = PALETTE.look("b").colour.lower()
    assert to_hex(figure.axes[0].lines[1].get_color()) == colour
    assert to_hex(figure.axes[1].collections[0].get_facecolor()[0]) == colour
    assert to_hex(figure.axes[2].patches[0].get_facecolor()) == colour


def test_axes_hold_the_whole_range(charts: list[Chart]) -> None:
    for axes, chart in zip(draw(charts).axes, charts, strict=True):
        low, high = axis_range(chart, "y")
        assert axes.get_ylim()[0] <= low
        assert axes.get_ylim()[1] >= high
    assert draw(charts).axes[2].get_ylim()[0] == 0


def test_it_shows_itself_as_png(charts: list[Chart]) -> None:
    assert draw(charts[:1])._repr_png_().startswith(b"\x89PNG")


def test_nothing_to_draw_is_refused(charts: list[Chart]) -> None:
    with pytest.raises(ChartError, match="at least one chart"):
        draw([])
    with pytest.raises(ChartError, match="one column"):
        draw(charts, columns=0)


def test_nothing_but_zeros_has_room_above():
    figure = draw((Chart("Nothing yet", "minute", "requests", (Series("all", [0], [0], "points"),)),))
    (axes,) = figure.axes
    assert axes.get_xlim()[0] < axes.get_xlim()[1]
    assert axes.get_ylim()[0] == 0 < axes.get_ylim()[1]
