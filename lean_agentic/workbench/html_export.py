"""An executed notebook as one HTML file that needs no network: no script, no CDN, images inside.

Goes in: an executed `.ipynb`. Comes out: a page whose content security policy forbids every request. What
would need one is taken out: nbconvert's require.js, MathJax and widget manager (its body-only template
never writes them), scripts in outputs, and pictures on other hosts, whose address stays as text. Where a
widget view was, a note stands; the notebook shows a static figure beside it.
"""

# mypy: disable-error-code="no-untyped-call"
# nbformat and nbconvert are typed in part only.

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

import nbformat
from bs4 import BeautifulSoup, Tag
from nbconvert import HTMLExporter
from nbconvert.filters import strip_ansi
from pygments.formatters import HtmlFormatter  # type: ignore[import-untyped]

from lean_agentic.workbench.files import write_atomically

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
SCRIPTS = {"application/javascript", WIDGET_VIEW}
WIDGET_NOTE = (
    '<p class="note">An interactive control stands here in JupyterLab. This copy has no kernel; '
    "the static figure beside it shows the same.</p>"
)
CSS = Path(__file__).with_name("html_export.css")
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; font-src data:; media-src data:"
ACTIVE = ("script", "link", "iframe", "object", "embed", "base", "frame", "meta")
LOADING = ("src", "srcset", "data", "poster", "background")
CSS_REQUEST = re.compile(r"@import[^;]*;?|url\(\s*['\"]?(?!data:|#)[^)]*\)", re.IGNORECASE)


def export_html(notebook: Path, to: Path, title: str, images: Path) -> None:
    """Write an executed notebook as a page.

    Parameters
    ----------
    images
        The folder that relative addresses of pictures in Markdown start from.

    Raises
    ------
    OSError
        `to` cannot be written. It is then as it was before.
    """
    node = nbformat.read(notebook, as_version=4)
    node.metadata.pop("widgets", None)
    for cell in node.cells:
        if cell.cell_type == "code":
            cell.outputs = [shown for output in cell.outputs for shown in _static(output)]
    exporter = HTMLExporter(template_name="basic", embed_images=True)
    body, _ = exporter.from_notebook_node(node, resources={"metadata": {"name": title, "path": str(images)}})
    write_atomically(to, _page(title, _without_requests(body)))


def _static(output: Any) -> list[Any]:
    """The outputs that stand for one output: without ANSI colours, scripts and widget views."""
    if output.output_type == "stream":
        output.text = strip_ansi(output.text)
    if output.output_type == "error":
        output.traceback = [strip_ansi(line) for line in output.traceback]
    if "data" not in output:
        return [output]
    had_widget = WIDGET_VIEW in output.data
    for kind in SCRIPTS & set(output.data):
        del output.data[kind]
    if "text/plain" in output.data:
        output.data["text/plain"] = strip_ansi(output.data["text/plain"])
    notes = [nbformat.v4.new_output("display_data", {"text/html": WIDGET_NOTE})] if had_widget else []
    # Beside a widget, plain text is only its repr.
    worth_showing = set(output.data) - ({"text/plain"} if had_widget else set())
    return [*notes, output] if worth_showing else notes


def _without_requests(body: str) -> str:
    soup = BeautifulSoup(body, "html.parser")
    for tag in soup.find_all(ACTIVE):
        tag.decompose()
    for tag in soup.find_all(True):
        _stop_requests(soup, tag)
    return str(soup)


def _stop_requests(soup: BeautifulSoup, tag: Tag) -> None:
    if tag.name == "style" and tag.string:
        tag.string = CSS_REQUEST.sub("", tag.string)
    for name in list(tag.attrs):
        value = str(tag[name])
        if name.lower().startswith("on"):
            del tag[name]
        elif name == "style":
            tag[name] = CSS_REQUEST.sub("", value)
        elif _loads(tag, name) and not value.startswith(("data:", "#")):
            note = soup.new_tag("span", attrs={"class": "note"})
            note.string = f"Not in this copy: {value}"
            tag.replace_with(note)
            return


def _loads(tag: Tag, attribute: str) -> bool:
    """Whether a browser fetches the attribute's address without being asked to."""
    return attribute in LOADING or (attribute in ("href", "xlink:href") and tag.name not in ("a", "area"))


def _page(title: str, body: str) -> str:
    light = HtmlFormatter(style="default").get_style_defs(".highlight")
    dark = HtmlFormatter(style="github-dark").get_style_defs(".highlight")
    styles = f"{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}\n.highlight {{ background: none; }}"
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<title>{html.escape(title)}</title>
<style>
{styles}
{CSS.read_text(encoding="utf-8")}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""
