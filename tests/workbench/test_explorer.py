from __future__ import annotations

import logging

import pytest
from bs4 import BeautifulSoup

from lean_agentic.workbench.charts import Chart, Series
from lean_agentic.workbench.controls import ControlError, slider, toggle
from lean_agentic.workbench.explorer import Explorer, View, explore
from lean_agentic.workbench.tables import Table


def compute(budget: float, outage: bool) -> View:
    if budget > 0.9:
        raise ValueError("too <b>much")
    cost = 0.0 if outage else 2 * budget
    chart = Chart("Cost", "request", "dollars", (Series("adaptive", [0, 1], [0, cost]),))
    return View([chart], Table("Cost", ("policy", "cost"), (("adaptive", cost),)), f"cost <{cost}>")


@pytest.fixture
def explorer() -> Explorer:
    return explore(compute, {"budget": slider("Budget", 0.5, 0, 1), "outage": toggle("Outage")})


def shown(explorer: Explorer) -> tuple[float, str, str]:
    """Last value of the chart, table and summary as the widget holds them."""
    value = explorer.panel.charts[0].series[0].ys[-1]
    return value, BeautifulSoup(explorer._table.html, "html.parser").td.text, explorer._summary.html


def test_it_starts_with_the_view_of_its_controls(explorer: Explorer) -> None:
    assert shown(explorer) == (1.0, "1", "cost &lt;1.0&gt;")
    assert explorer.values == {"budget": 0.5, "outage": False}
    assert explorer.redraw_ms > 0
    assert repr(explorer) == "Explorer(budget=0.5, outage=False)"


def test_a_moved_control_changes_chart_table_and_summary(explorer: Explorer) -> None:
    explorer.controls["budget"].value = 0.25
    assert shown(explorer) == (0.5, "0.5", "cost &lt;0.5&gt;")
    explorer.controls["outage"].value = True
    assert shown(explorer) == (0.0, "0", "cost &lt;0.0&gt;")


def test_an_error_is_shown_logged_and_cleared(explorer: Explorer, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        explorer.controls["budget"].value = 1.0
    assert "ValueError: too &lt;b&gt;much\nwith budget=1.0, outage=False" in explorer._alert.html
    assert "Traceback" in caplog.text
    assert explorer.panel.stale
    assert explorer.panel.charts[0].series[0].ys[-1] == 1.0
    assert explorer._summary.html == explorer._table.html == ""
    explorer.controls["budget"].value = 0.25
    assert explorer._alert.html == ""
    assert shown(explorer) == (0.5, "0.5", "cost &lt;0.5&gt;")
    assert not explorer.panel.stale


def test_an_error_of_the_first_view_is_raised() -> None:
    with pytest.raises(ValueError, match="too <b>much"):
        explore(compute, {"budget": slider("Budget", 1, 0, 1), "outage": toggle("Outage")})


def test_controls_must_fit_the_function() -> None:
    with pytest.raises(ControlError, match=r"do not fit compute.*missing a required argument: 'outage'"):
        explore(compute, {"budget": slider("Budget", 0, 0, 1)})
    with pytest.raises(ControlError, match="unexpected keyword argument 'speed'"):
        explore(compute, {"budget": slider("B", 0, 0, 1), "outage": toggle("O"), "speed": toggle("S")})


def test_a_static_view_stands_behind_the_widget(explorer: Explorer) -> None:
    bundle = explorer._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    page = BeautifulSoup(bundle["text/html"], "html.parser")
    assert page.img["src"].startswith("data:image/png;base64,")
    assert "adaptive: 2 values" in page.img["alt"]
    assert page.strong.text == "cost <1.0>"
    assert page.table.td.text == "1"
    assert not page.find("script")
