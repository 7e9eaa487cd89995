"""`explore` as a reader meets it: found by role and name, moved by keyboard, read from the page."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import product
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Browser, Page, expect

from lean_agentic.workbench.controls import NUMBER_FORMAT_JS
from lean_agentic.workbench.style import NumberFormat

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

SET_UP = """
import numpy as np
from lean_agentic.workbench.chart_panel import ChartPanel
from lean_agentic.workbench.charts import Chart, Reference, Series
from lean_agentic.workbench.controls import choice, slider, toggle
from lean_agentic.workbench.explorer import View, explore
from lean_agentic.workbench.style import PALETTE
from lean_agentic.workbench.tables import Table

LANES = ("onnx_local", "anthropic", "openrouter")
PALETTE.reserve(*LANES)
calls = []
"""
COMPUTE = """
def compute(budget, outage, lane):
    calls.append(budget)
    if budget > 0.95:
        raise ValueError("budget <b>too high</b>")
    rng = np.random.default_rng(0)
    request = np.arange(2000)
    price = budget * np.array([0.2, 2.0, 0.0 if outage else 1.0])
    costs = [np.cumsum(rng.exponential(p, 2000)) / 2000 for p in price]
    latency = [np.sort(rng.lognormal(mean, 0.6, 2000)) for mean in (5.5, 6.0, 6.4)]
    shares = rng.dirichlet([3, 4, 5], 40).T
    quality = [0.62, 0.9, 0.8]
    charts = [
        Chart("Cumulative cost", "request", "cost, US dollars",
              [Series(n, request, c) for n, c in zip(LANES, costs)],
              y_format="${:,.2f}", references=[Reference(budget, "budget")]),
        Chart("Cost and quality", "cost of 2,000 requests, US dollars", "share of right answers",
              [Series(n, [c[-1]], [q], "points") for n, c, q in zip(LANES, costs, quality)],
              x_format="${:,.2f}", y_format="{:.0%}", references=[Reference(0.75, "quality floor")]),
        Chart("Latency distribution", "latency, ms", "share of requests",
              [Series(n, ms, np.arange(1, 2001) / 2000, "step") for n, ms in zip(LANES, latency)],
              x_log=True, x_format="{:,.0f} ms", y_format="{:.0%}", references=[Reference(1000, "target", "x")]),
        Chart("Lane shares", "minute", "share of requests",
              [Series(n, np.arange(40), s, "area") for n, s in zip(LANES, shares)], y_format="{:.0%}"),
        Chart("Misses", "", "requests",
              [Series("late", range(3), [40, 60, 20], "bars"), Series("failed", range(3), [10, 5, 25], "bars")],
              x_names=LANES, y_format="{:,.0f}"),
    ]
    rows = [(n, c[-1], q) for n, c, q in zip(LANES, costs, quality)]
    table = Table("Cost and quality by lane", ("lane", "cost", "quality"), rows, ("", "${:.4f}", "{:.0%}"))
    return View(charts, table, f"{lane} costs ${costs[LANES.index(lane)][-1]:.4f} at a budget of ${budget:.2f}.")
"""
EXPLORE = """
explorer = explore(compute, {
    "budget": slider("Budget", 0.5, 0.1, 1.0, step=0.05, format="${:.2f}"),
    "outage": toggle("OpenRouter outage"),
    "lane": choice("Lane", LANES, "anthropic"),
})
explorer
"""


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    return write_notebook(tmp_path / "explore.ipynb", SET_UP + COMPUTE, EXPLORE)


def write_notebook(path: Path, *sources: str) -> Path:
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source) for source in sources],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    )
    nbformat.write(notebook, path)
    return path


def number(page: Page, selector: str) -> float:
    return float(page.locator(selector).first.get_attribute("data-value") or "nan")


COST = "[data-chart='Cumulative cost'] [data-value-of='anthropic']"


def test_keyboard_moves_the_numbers(run_notebook: Callable, notebook: Path, artefacts: Path) -> None:
    opened = run_notebook(notebook)
    page = opened.page
    budget = page.get_by_role("slider", name="Budget", exact=True)
    expect(budget).to_have_attribute("aria-valuetext", "$0.50")
    cost, curve = number(page, COST), page.locator("path[data-series='anthropic']").first.get_attribute("d")
    page.locator(".widget-vbox").first.screenshot(path=artefacts / "chart_panel_light.png")

    budget.focus()
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    expect(budget).to_have_attribute("aria-valuenow", "0.7")
    expect(budget).to_have_attribute("aria-valuetext", "$0.70")
    expect(page.get_by_role("status")).to_contain_text("budget of $0.70")
    # The cost is proportional to the budget, in the chart's read-out and in the table.
    assert number(page, COST) == pytest.approx(cost * 0.7 / 0.5)
    row = page.get_by_role("row", name="anthropic")
    assert float(row.locator("td").first.get_attribute("data-value")) == pytest.approx(cost * 1.4)
    assert page.locator("path[data-series='anthropic']").first.get_attribute("d") != curve or cost == 0
    assert float(page.locator(".la-charts").get_attribute("data-draw-ms")) < 2000
    opened.set_theme("JupyterLab Dark")
    page.screenshot(path=artefacts / "chart_panel_dark.png")
    assert opened.errors == []


def test_switch_choice_and_errors(run_notebook: Callable, notebook: Path, artefacts: Path) -> None:
    opened = run_notebook(notebook)
    page = opened.page
    page.get_by_role("combobox", name="Lane", exact=True).select_option("openrouter")
    expect(page.get_by_role("status")).to_contain_text("openrouter costs $")
    page.get_by_role("switch", name="OpenRouter outage", exact=True).press("Space")
    expect(page.get_by_role("status")).to_contain_text("openrouter costs $0.0000")

    page.get_by_role("slider", name="Budget", exact=True).press("End")
    expect(page.get_by_role("alert")).to_contain_text("ValueError: budget <b>too high</b>")
    expect(page.locator(".la-stale")).to_be_visible()
    page.screenshot(path=artefacts / "chart_panel_error.png")
    page.get_by_role("slider", name="Budget", exact=True).press("Home")
    expect(page.get_by_role("alert")).to_have_text("")
    expect(page.locator(".la-stale")).to_have_count(0)
    assert opened.errors == []


def test_charts_read_out_at_the_cursor(run_notebook: Callable, notebook: Path) -> None:
    opened = run_notebook(notebook)
    page = opened.page
    chart = page.get_by_role("img", name="Cumulative cost.")
    expect(chart).to_have_accessible_name(re.compile(r"anthropic: 2,000 values from \$0\.00 to \$1\.0\d, last"))
    section = page.locator("[data-chart='Cumulative cost']")
    last = number(page, COST)
    chart.press("Home")
    expect(section.locator(".la-spoken")).to_contain_text(re.compile(r"request 0: onnx_local \$0\.00, anthropic"))
    assert number(page, COST) < 0.01
    chart.press("ArrowRight")
    expect(section.locator(".la-at")).not_to_have_text("request 0")
    chart.press("Escape")
    assert number(page, COST) == last
    # The middle of the curve by pointer: x is linear, so the read-out is near request 1,000.
    box = chart.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 100)
    expect(section.locator(".la-at")).to_have_text(re.compile(r"request (9|1,0)\d\d"))
    assert number(page, COST) == pytest.approx(last / 2, rel=0.15)

    page.set_viewport_size({"width": 620, "height": 1600})
    expect(page.locator("[data-chart='Lane shares'] > svg")).not_to_have_attribute("width", str(int(box["width"])))
    lefts = {box["x"] for box in (item.bounding_box() for item in page.locator(".la-chart").all()) if box}
    assert len(lefts) == 1  # one column where two would be too narrow
    assert opened.errors == []


LARGE = """
import time
import numpy as np
from lean_agentic.workbench.charts import Chart, Series
from lean_agentic.workbench.controls import slider
from lean_agentic.workbench.explorer import View, explore

calls = []
noise = np.random.default_rng(0).normal(size=(4, 8, 2000)).cumsum(axis=2)

def compute(scale):
    calls.append(scale)
    time.sleep(0.05)
    charts = [Chart(f"Walk {i}", "step", "height",
                    [Series(f"walk {j}", np.arange(2000), scale * noise[i, j]) for j in range(8)]) for i in range(4)]
    return View(charts, summary=f"scale {scale:.0f}, computed {len(calls)} times")

explorer = explore(compute, {"scale": slider("Scale", 1, 1, 100, step=1)})
explorer
"""


def test_a_drag_over_much_data_draws_the_latest_value_only(
    run_notebook: Callable, tmp_path: Path, artefacts: Path
) -> None:
    opened = run_notebook(write_notebook(tmp_path / "large.ipynb", LARGE))
    page = opened.page
    # What a fast drag does: ninety values in a row, far faster than 50 ms of computing each.
    page.get_by_role("slider", name="Scale").evaluate(
        """input => { for (let value = 11; value <= 100; value += 1) {
            input.value = value;
            input.dispatchEvent(new Event('input', {bubbles: true}));
        } }"""
    )
    status = page.get_by_role("status")
    expect(status).to_contain_text("scale 100, computed")
    page.wait_for_timeout(300)
    assert int(re.search(r"computed (\d+) times", status.text_content())[1]) <= 5
    panel = page.locator(".la-charts")
    assert int(panel.get_attribute("data-draws")) <= 5
    # Not a timing test: it only keeps a redraw of 64,000 points from taking seconds.
    assert float(panel.get_attribute("data-draw-ms")) < 2000
    print(f"drawn in {panel.get_attribute('data-draw-ms')} ms, {page.locator('.la-note').text_content()}")
    panel.screenshot(path=artefacts / "chart_panel_large.png")
    assert opened.errors == []


def test_the_browser_writes_numbers_as_python_does(browser: Browser) -> None:
    templates = ("${:,.2f}", "{:.0%}", "{:.1%}", "{:.1f} ms", "{:,.4g}", "{:,.0f}")
    values = (0.0, 1.0, -2.5e-5, 0.123456, -3.14159, 99.99, 1234.567, 1e6 + 0.1, 98765432.1)
    steps = (0.005, 0.25, 1.0, 2.5, 500.0)
    asked = [*product(templates, values), *product(templates, values, steps)]
    formats = {template: NumberFormat(template) for template in templates}
    expected = [
        formats[each[0]].tick(*each[1:]) if len(each) == 3 else formats[each[0]].text(each[1]) for each in asked
    ]
    page = browser.new_page()
    script = (
        NUMBER_FORMAT_JS + "return asked.map(each => each.length === 3 ? formatTick(...each) : formatNumber(...each));"
    )
    written = page.evaluate(f"asked => {{ {script} }}", [list(each) for each in asked])
    page.close()
    assert dict(zip(asked, written, strict=True)) == dict(zip(asked, expected, strict=True))
