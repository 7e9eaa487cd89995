"""The page: one offline file, well formed, accessible, and true to the rows. The command around it."""

import re
from html.parser import HTMLParser

import pytest
from click.testing import CliRunner

from lean_agentic.workbench.cli import main
from lean_agentic.workbench.report import build_report
from lean_agentic.workbench.report_html import STYLE, report_page, write_report
from lean_agentic.workbench.results import Metric
from lean_agentic.workbench.targets import TARGETS

SAVING = {"metric": "saving", "unit": "%", "direction": "higher", "target": "cost_savings"}
RUN = "20260131T090507Z-1a2b3c4"
VOID = {"meta", "br", "rect", "line", "circle", "polyline"}


class Page(HTMLParser):
    """Collects tags and fails on one that is closed wrongly."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture
def project(written_project):
    folder = written_project.add_experiment("04_routing", SAVING)
    written_project.add_experiment("05_waiting")
    data = [{"name": "gsm8k", "origin": "generated", "sha256": None, "note": "seed <1>"}]
    for day in (29, 30, 31):
        metrics = {
            "saving": Metric(day - 1.04, "%", 5, (day - 3.0, day + 1.0), "min-max over 5 seeds", note="kept <95%>"),
            "misses": Metric(0.5, "%", 900),
        }
        written_project.add_run("04_routing", f"202601{day}T090507Z-1a2b3c4", metrics, dirty=True, data=data)
    (folder / "runs/failed-20260201T000000Z-1a2b3c4").mkdir()
    (folder / "runs/failed-20260201T000000Z-1a2b3c4/error.txt").write_text("boom")
    written_project.add_run("04_routing", "20260202T000000Z-1a2b3c4", {"saving": Metric(90, "%", 5)}, profile="custom")
    return written_project


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page))


def test_page_is_well_formed_and_needs_nothing_else(project):
    text = report_page(build_report(project))
    page = Page(text)
    assert not page.all("script")
    assert not page.all("link")
    assert "url(" not in text
    assert "http://" not in text
    assert "https://" not in text
    assert text.startswith("<!doctype html>")
    assert page.all("html")[0]["lang"] == "en"


def test_tables_are_captioned_headers_scoped_and_drawings_described(project):
    page = Page(report_page(build_report(project)))
    assert len(page.all("caption")) == len(page.all("table")) > 0
    assert all(attributes.get("scope") in ("row", "col") for attributes in page.all("th"))
    for attributes in page.all("svg"):
        assert attributes.get("aria-hidden") == "true" or attributes["aria-label"]
    assert len({attributes["id"] for attributes in page.all("section")}) == len(page.all("section"))


def test_page_says_what_the_rows_say(project):
    text = text_of(report_page(build_report(project)))
    assert "29.96% 28.00 to 32.00% (min-max over 5 seeds), n=5 kept &lt;95%&gt;" in text
    assert f"0 ✓ met 1 ✗ not met {len(TARGETS) - 1} ○ not measured" in text
    assert "uncommitted changes generated data" in text
    assert "2026-01-31 09:05 UTC · Test CPU 3000, 4 cores" in text
    assert "1 failed since then" in text
    assert "No finished run. lean-agentic run 05_waiting makes one." in text
    assert "seed &lt;1&gt;" in text
    assert "which do not count: 2026-02-02 00:00 UTC" in text
    assert "90.0%" not in text


def test_trend_is_told_in_words(project):
    page = Page(report_page(build_report(project)))
    labels = [attributes["aria-label"] for attributes in page.all("svg") if "aria-label" in attributes]
    assert labels == [
        "3 runs: first 0.500%, latest 0.500%, lowest 0.500%, highest 0.500%",
        "3 runs: first 28.0%, latest 30.0%, lowest 28.0%, highest 30.0%",
    ]


def test_links_lead_to_files_that_exist(project):
    page_path, table_path = write_report(project, build_report(project))
    page = Page(page_path.read_text())
    targets = [attributes["href"] for attributes in page.all("a")]
    assert any(target.endswith("notebook.html") for target in targets)
    assert any(target.endswith("error.txt") for target in targets)
    ids = {f"#{attributes['id']}" for attributes in page.all("section")}
    assert all(target in ids or (page_path.parent / target).is_file() for target in targets)
    [link] = re.findall(r"\]\((.*?)\)", table_path.read_text())
    assert (table_path.parent / link / "result.json").is_file()


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("front", "back"),
    [
        *((front, "back") for front in ("text", "soft", "accent")),
        ("soft", "panel"),
        ("good", "good-back"),
        ("bad", "bad-back"),
        ("warn", "warn-back"),
    ],
)
def test_contrast_reaches_what_small_text_needs(front, back, theme):
    colours = {
        name: pair
        for name, *pair in re.findall(
            r"--([a-z-]+): light-dark\((#\w{6}), (#\w{6})\)", STYLE.read_text(encoding="utf-8")
        )
    }
    darker, lighter = sorted((luminance(colours[front][theme]), luminance(colours[back][theme])))
    assert (lighter + 0.05) / (darker + 0.05) >= 4.5  # WCAG 2.2, 1.4.3


def test_command_prints_the_table_and_where_the_files_lie(project):
    done = CliRunner().invoke(main, ["report"])
    assert done.exit_code == 0, done.output
    assert "not met" in done.output
    assert "29.96%" in done.output
    for name in ("index.html", "targets.md"):
        assert str(project.report / name) in done.output
        assert (project.report / name).is_file()


def test_file_in_place_of_the_folder_is_a_clear_error(project):
    project.report.touch()
    done = CliRunner().invoke(main, ["report"])
    assert (done.exit_code, "The report cannot be written" in done.output) == (2, True)
