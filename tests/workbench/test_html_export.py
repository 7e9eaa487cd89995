import re

import nbformat
import pytest
from bs4 import BeautifulSoup

from lean_agentic.workbench.html_export import export_html

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
VIEW = "application/vnd.jupyter.widget-view+json"
REMOTE = re.compile(r"\s*(https?:)?//")


def display(data):
    return nbformat.v4.new_output("display_data", data)


@pytest.fixture
def export(tmp_path):
    """Export a notebook of Markdown texts and outputs; returns the page's text."""

    def make(*outputs, markdown=("# Title",), metadata=None):
        cells = [nbformat.v4.new_markdown_cell(text) for text in markdown]
        cells.append(nbformat.v4.new_code_cell("n = 1", outputs=list(outputs), execution_count=1))
        nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=metadata or {}), tmp_path / "in.ipynb")
        export_html(tmp_path / "in.ipynb", tmp_path / "out.html", "A <title>", images=tmp_path)
        return (tmp_path / "out.html").read_text(encoding="utf-8")

    return make


def loads(page):
    """Addresses that a browser would fetch when it shows the page."""
    soup = BeautifulSoup(page, "html.parser")
    found = []
    for tag in soup.find_all(True):
        for name, value in tag.attrs.items():
            fetched = name in ("src", "srcset", "data", "poster") or (name.endswith("href") and tag.name != "a")
            if fetched and not str(value).startswith("data:"):
                found.append(value)
    styles = " ".join(tag.get_text() for tag in soup.find_all("style"))
    styles += " ".join(tag["style"] for tag in soup.find_all(style=True))
    return found + re.findall(r"@import[^;]+|url\((?!data:)[^)]*\)", styles)


HOSTILE = """
<style>@import url("https://cdn.example/x.css"); .a { background: url(https://cdn.example/a.png) }</style>
<script src="https://cdn.example/x.js"></script><script>fetch("https://cdn.example")</script>
<link rel="stylesheet" href="//cdn.example/y.css"><iframe src="https://cdn.example"></iframe>
<img src="https://cdn.example/i.png" onerror="alert(1)"><img srcset="//cdn.example/i.png 2x" src="data:,">
<video poster="https://cdn.example/p.png"></video>
<svg><image xlink:href="https://cdn.example/s.png"></image></svg>
<p style="background-image: url('https://cdn.example/b.png')">kept text</p>
<a href="https://example.org/paper">kept link</a>
"""


def test_no_request_leaves_the_page(export):
    page = export(display({"text/html": HOSTILE}), markdown=["![far](https://cdn.example/m.png) $x^2$"])
    assert loads(page) == []
    soup = BeautifulSoup(page, "html.parser")
    assert not soup.find_all(["script", "link", "iframe", "object", "embed", "base"])
    assert not [tag for tag in soup.find_all(True) if any(name.startswith("on") for name in tag.attrs)]
    assert not any(REMOTE.match(str(tag.get("src", ""))) for tag in soup.find_all(True))
    assert "kept text" in page
    assert 'href="https://example.org/paper"' in page


def test_the_policy_forbids_requests_that_were_overlooked(export):
    soup = BeautifulSoup(export(), "html.parser")
    policy = soup.find("meta", attrs={"http-equiv": "Content-Security-Policy"})["content"]
    assert "default-src 'none'" in policy
    assert "http" not in policy


def test_a_picture_on_another_host_leaves_its_address_as_text(export):
    page = export(markdown=["![far](https://cdn.example/m.png)"])
    assert "Not in this copy: https://cdn.example/m.png" in page


def test_pictures_are_inside(export, tmp_path):
    import base64

    (tmp_path / "near.png").write_bytes(base64.b64decode(PNG))
    page = export(display({"image/png": PNG, "text/plain": "<Figure>"}), markdown=["![near](near.png)"])
    assert page.count(f"data:image/png;base64,{PNG}") == 2


def test_a_widget_leaves_a_note_and_its_static_side(export):
    state = {"widgets": {"application/vnd.jupyter.widget-state+json": {"state": {"m": {}}, "version_major": 2}}}
    view = {VIEW: {"model_id": "m", "version_major": 2, "version_minor": 0}, "text/plain": "IntSlider(value=0)"}
    page = export(display(view), display(view | {"text/html": "<p>static side</p>"}), metadata=state)
    assert page.count("An interactive control stands here") == 2
    assert "static side" in page
    assert "IntSlider" not in page
    assert "widget-state" not in page
    assert "<script" not in page


def test_a_widget_inside_running_text_keeps_plain_outputs_of_others(export):
    assert "plain words" in export(display({"text/plain": "plain words"}))


def test_colour_codes_of_terminals_are_gone(export):
    red = "\x1b[31mred\x1b[0m"
    page = export(
        nbformat.v4.new_output("stream", name="stdout", text=red),
        nbformat.v4.new_output("error", ename="E", evalue="v", traceback=[red, "last line"]),
        display({"text/plain": red}),
    )
    assert "\x1b" not in page
    assert "[31m" not in page
    assert page.count("red") >= 3


def test_javascript_outputs_are_dropped(export):
    assert "alert" not in export(display({"application/javascript": "alert(1)"}))


def test_the_page_is_readable_in_light_and_dark_and_says_its_title_and_language(export):
    page = export()
    soup = BeautifulSoup(page, "html.parser")
    assert soup.title.string == "A <title>"
    assert soup.html["lang"] == "en"
    assert "color-scheme: light dark" in page
    assert "prefers-color-scheme: dark" in page
    assert soup.find("meta", attrs={"name": "viewport"})


def test_a_failing_write_leaves_the_old_page(export, tmp_path, monkeypatch):
    old = export()
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space"):
        export(markdown=["# New"])
    assert (tmp_path / "out.html").read_text(encoding="utf-8") == old
