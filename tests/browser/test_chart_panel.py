"""`explore` as a reader meets it: found by role and name, moved by keyboard, read from the page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Page, expect

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
    page.locator(".la-charts").screenshot(path=artefacts / "chart_panel_light.png")

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
