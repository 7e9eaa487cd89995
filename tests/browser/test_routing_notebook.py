"""Notebook 04 in JupyterLab, used by keyboard: the budget, the floor and an outage move the figures' numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(180)]

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "04_routing_costs.ipynb"
DUAL_COST = "[data-chart='Cost so far'] [data-value-of='dual']"


def number(found: Locator) -> float:
    return float(found.first.get_attribute("data-value") or "nan")


def press(page: Page, slider: str, *keys: str) -> None:
    before = page.get_by_role("status").text_content() or ""
    page.get_by_role("slider", name=slider, exact=True).focus()
    for key in keys:
        page.keyboard.press(key)
    expect(page.get_by_role("status")).not_to_have_text(before)
    settle(page)


def settle(page: Page) -> None:
    """Wait until the kernel is idle and the panel has not been redrawn for half a second."""
    page.wait_for_function(
        """async () => {
            const draws = () => document.querySelector('.la-charts').dataset.draws;
            const kernel = jupyterapp.shell.currentWidget.sessionContext.session.kernel;
            const before = draws();
            await new Promise(done => setTimeout(done, 500));
            return kernel.status === 'idle' && draws() === before;
        }""",
        timeout=30_000,
    )


def table_cost(page: Page, policy: str) -> float:
    return number(page.locator(".widget-vbox .la-table").get_by_role("row", name=policy).locator("td"))


def test_a_reader_moves_the_routing_study(run_notebook: Callable, artefacts: Path) -> None:
    opened = run_notebook(NOTEBOOK, width=1360, height=1300)
    page = opened.page
    explorer = page.locator(".widget-vbox").first
    explorer.scroll_into_view_if_needed()
    settle(page)
    for name in ("Budget", "Latency target", "Quality floor", "Local throughput", "Traffic multiplier"):
        expect(page.get_by_role("slider", name=name, exact=True)).to_be_visible()
    cost, anthropic = number(page.locator(DUAL_COST)), table_cost(page, "anthropic only")
    assert cost == pytest.approx(table_cost(page, "dual"), abs=0.01)
    page.screenshot(path=artefacts / "routing_costs.png")

    press(page, "Quality floor", *["ArrowLeft"] * 5)
    expect(page.get_by_role("slider", name="Quality floor", exact=True)).to_have_attribute("aria-valuetext", "90%")
    lower = number(page.locator(DUAL_COST))
    assert lower < cost, "a lower floor makes the dual policy cheaper"
    assert lower == pytest.approx(table_cost(page, "dual")), "the figure and the table say the same"
    assert table_cost(page, "anthropic only") == pytest.approx(anthropic), "the floor means nothing to a single lane"

    # A tenth of what anthropic-only costs, which the dual policy has to keep to.
    press(page, "Budget", "Home", "PageUp")
    budget = float(page.get_by_role("slider", name="Budget", exact=True).get_attribute("aria-valuenow") or "nan")
    assert 0 < table_cost(page, "dual") <= budget

    page.get_by_role("switch", name="Outage of anthropic", exact=True).press("Space")
    settle(page)
    expect(page.locator("[data-chart='Who answers: dual'] [data-value-of='anthropic']").first).to_have_attribute(
        "data-value", "0"
    )
    assert table_cost(page, "anthropic only") == 0, "a lane that is down bills nothing"
    opened.set_theme("JupyterLab Dark")
    page.screenshot(path=artefacts / "routing_costs_outage_dark.png")
    expect(page.get_by_role("alert")).to_have_text("")
    assert opened.errors == []
