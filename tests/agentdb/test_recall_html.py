"""HTML that is well-formed, escaped, and readable without seeing bars or colours."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from lean_agentic.agentdb.ranking import Part
from lean_agentic.agentdb.recall_html import COLOURS, LEAST_SHOWN, LONGEST_TEXT, bar
from lean_agentic.agentdb.recall_result import RecallResult
from lean_agentic.agentdb.records import Episode
from tests.agentdb.recall_memory import Memory, opened

EVIL = "<script>alert('kiwi')</script> & \"quotes\""


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Memory]:
    with opened(tmp_path_factory.mktemp("memory")) as memory:
        memory.add(
            [
                Episode(f"{EVIL} {'kiwi ' * 99}", session="<b>s</b>", entities=("<i>Ann</i>",), time=1e9),
                Episode("kiwi tea", session="<b>s</b>", time=1e9 + 1),
            ]
        )
        yield memory


@pytest.fixture(scope="module")
def result(memory: Memory) -> RecallResult:
    return memory.recall.recall("<i>Ann</i> on kiwi & tea?")


def tree(html: str) -> ElementTree.Element:
    """Parsed as XML: every element is closed, every attribute quoted, every text escaped."""
    return ElementTree.fromstring(f"<div>{html.replace('&nbsp;', ' ')}</div>")


def test_pages_are_well_formed_and_escaped(result: RecallResult) -> None:
    for html in (result._repr_html_(), *(hit.explanation._repr_html_() for hit in result)):
        assert "<script" not in html
        assert "<i>" not in html
        tree(html)


def test_a_result_is_a_table_with_heads(result: RecallResult) -> None:
    page = tree(result._repr_html_())
    [table] = page.iter("table")
    caption = table.find("caption")
    assert caption is not None
    assert caption.text == "2 recalled for “<i>Ann</i> on kiwi & tea?”"
    assert [head.text for head in table.iter("th") if head.get("scope") == "col"] == ["Rank", "Record", "Score", "Why"]
    rows = table.findall("tbody/tr")
    assert [row.findtext("th") for row in rows] == ["1", "2"]
    for row, hit in zip(rows, result, strict=True):
        text = "".join(row.itertext())
        assert f"{hit.score:.3f}" in text
        assert hit.explanation.reason in text
        assert "<b>s</b>" in text
        assert "2001-09-09 01:46" in text


def test_long_texts_are_cut(result: RecallResult) -> None:
    [cell] = [cell for cell in tree(result._repr_html_()).iter("td") if (cell.text or "").startswith("<script>")]
    assert cell.text is not None
    assert len(cell.text) == LONGEST_TEXT
    assert cell.text.endswith("…")


def test_bars_are_read_out_and_as_long_as_their_parts(result: RecallResult) -> None:
    largest = result[0].score
    bars = [each for each in tree(result._repr_html_()).iter("div") if each.get("class") == "bar"]
    for each, hit in zip(bars, result, strict=True):
        assert each.get("role") == "img"
        label = each.get("aria-label") or ""
        widths = [float((span.get("style") or "").split("width:")[1].split("%")[0]) for span in each]
        assert sum(widths) == pytest.approx(100 * hit.score / largest, abs=0.1)
        for part, value in hit.explanation.contributions.items():
            assert (f"{part} {value:.3f}" in label) == (value >= LEAST_SHOWN)


def test_an_explanation_lists_parts_that_sum_to_the_score(result: RecallResult) -> None:
    why = result[0].explanation
    rows = tree(why._repr_html_()).findall(".//tbody/tr")
    figures = {row.findtext("th"): float(row.findtext("td") or "nan") for row in rows}
    score = figures.pop("score")
    assert sum(figures.values()) == pytest.approx(score, abs=1e-3)
    assert set(figures) == {part.value for part, value in why.contributions.items() if value >= LEAST_SHOWN}


def test_nothing_recalled_is_a_table_too(memory: Memory) -> None:
    page = tree(memory.recall.recall("kiwi", tenant="nobody")._repr_html_())
    assert "0 recalled" in "".join(page.itertext())


def test_every_part_has_a_colour_of_its_own() -> None:
    assert len(set(COLOURS.values())) == len(COLOURS) == len(Part)
    assert "nothing" in bar([(Part.TEXT, 0.0)], 0.0, 0.0)


def test_html_parsers_agree(result: RecallResult) -> None:
    opened_tags: list[str] = []

    class Tags(HTMLParser):
        def handle_starttag(self, tag: str, attrs: object) -> None:
            opened_tags.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert opened_tags.pop() == tag

    Tags().feed(result._repr_html_())
    assert opened_tags == []
