from __future__ import annotations

import pytest

from lean_agentic.agentdb.consolidation_report import ConsolidationReport


def test_it_tells_what_was_saved() -> None:
    assert ConsolidationReport(live_before=10, live_after=7).saved == pytest.approx(0.3)
    assert ConsolidationReport(live_before=10, live_after=12).saved == pytest.approx(-0.2)
    assert ConsolidationReport().saved == 0


@pytest.mark.parametrize("field", ["facts", "extended", "archived", "deleted", "revived"])
def test_any_count_is_a_change(field: str) -> None:
    assert ConsolidationReport(**{field: 1}).changed  # type: ignore[arg-type]
    assert not ConsolidationReport(clusters=3, live_before=2, live_after=2).changed


def test_one_line_and_a_small_table() -> None:
    report = ConsolidationReport(3, 2, 1, 5, 0, 0, 9, 6, 1.25)
    assert repr(report) == (
        "ConsolidationReport(3 clusters, 2 facts, 5 archived, 0 deleted, 9 -> 6 live vectors, 1.2 s)"
    )
    html = report._repr_html_()
    assert html.count("<tr>") == 8
    assert "9 → 6 (-33.3%)" in html
    assert "dry run" not in html
