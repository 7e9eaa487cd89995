"""The causal graph as a reader meets it: walked by keyboard, filtered, zoomed, read from the page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

SOURCE = """
from lean_agentic.agentdb.records import CausalLink, Episode, LinkKind
from lean_agentic.workbench.causal_view import CausalView
names = ["cancelled flight", "<img src=x onerror=alert(1)>", "refund", "complaint"]
episodes = [Episode(name, time=60.0 * n, session="ab"[n % 2], id=n + 1) for n, name in enumerate(names)]
links = [
    CausalLink(1, 2, LinkKind.GIVEN, 0.9, 0.8, 1.0, {"said by": "Mia"}),
    CausalLink(1, 3, LinkKind.ENTITY, 0.3, 0.1, 0.5, {"seconds": 120.0}),
    CausalLink(2, 4, LinkKind.SEQUENCE, 0.6, 0.5, 0.7),
]
view = CausalView(episodes, links)
view
"""


@pytest.fixture
def page(tmp_path: Path, run_notebook: Callable) -> Page:
    path = tmp_path / "causal.ipynb"
    kernel = {"name": "python3", "display_name": "Python 3"}
    cell = nbformat.v4.new_code_cell(SOURCE)
    nbformat.write(nbformat.v4.new_notebook(cells=[cell], metadata={"kernelspec": kernel}), path)
    page: Page = run_notebook(path).page
    expect(page.locator("[data-episode]")).to_have_count(4)
    return page


def test_the_graph_is_walked_by_keyboard(page: Page, artefacts: Path) -> None:
    panel = page.get_by_role("region", name="Picked episode")
    page.locator("[data-episode='1']").focus()
    page.keyboard.press("ArrowRight")  # along the strongest link
    expect(page.locator("[data-episode='2']")).to_be_focused()
    page.keyboard.press("Enter")
    expect(panel).to_contain_text("Episode 2")
    expect(panel).to_contain_text("given, strength 90% (80% to 100%); said by Mia")
    expect(panel).to_contain_text("sequence, inferred, strength 60%")
    assert "la-chain" in (page.locator("[data-episode='4']").get_attribute("class") or "")
    assert "la-faint" in (page.locator("[data-episode='3']").get_attribute("class") or "")
    page.screenshot(path=artefacts / "causal_view.png")
    page.keyboard.press("Escape")
    expect(panel).to_contain_text("Pick an episode")


def test_weak_links_are_hidden(page: Page) -> None:
    slider = page.get_by_role("slider", name="Minimum strength")
    slider.focus()
    for _ in range(10):
        page.keyboard.press("ArrowRight")
    expect(page.locator("span[role=status]")).to_have_text("2 of 3 links")
    expect(page.locator("[data-link='1-3']")).to_be_hidden()
    page.locator("[data-episode='1']").click()
    expect(page.get_by_role("region", name="Picked episode")).to_contain_text("(2 along the chain)")


def test_the_reader_zooms(page: Page) -> None:
    graph = page.locator("svg.la-graph")
    expect(graph).to_have_attribute("data-zoom", "1.000")
    page.get_by_role("button", name="Zoom in").click()
    expect(graph).to_have_attribute("data-zoom", "1.300")
    page.locator("[data-episode='1']").focus()
    page.keyboard.press("0")
    expect(graph).to_have_attribute("data-zoom", "1.000")


def test_text_of_the_memory_is_never_markup(page: Page) -> None:
    page.locator("[data-episode='2']").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="Picked episode")).to_contain_text("<img src=x onerror=alert(1)>")
    expect(page.locator(".la-causal img")).to_have_count(0)
