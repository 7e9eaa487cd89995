"""What a bank counts, and how it looks."""

import pytest
from bs4 import BeautifulSoup

from lean_agentic.agentdb.bank_stats import DistillationReport, TaskTypeChange, stats_of
from lean_agentic.agentdb.records import Pattern
from tests.agentdb.made_trajectories import made


def cells(html: str) -> list[list[str]]:
    return [
        [cell.text for cell in row.find_all(["th", "td"])] for row in BeautifulSoup(html, "html.parser").find_all("tr")
    ]


def test_counts_are_by_task_type():
    trajectories = [
        made("a", verdict=True, group="g", improvement=0.1),
        made("a", verdict=True, group="g", improvement=0.3),
        made("a", verdict=False),
        made("a"),
        made("a", task_type="<other>"),
    ]
    patterns = [Pattern("made.task", str(at), "", ("a",), avoid=at == 1, retired=at == 2) for at in range(3)]
    stats = stats_of(trajectories, patterns)
    other, task = stats.task_types
    assert (task.trajectories, task.successes, task.failures, task.unjudged, task.groups) == (4, 2, 1, 1, 1)
    assert (task.do, task.avoid, task.retired) == (1, 1, 1)
    assert task.improvement == pytest.approx(0.2)
    assert task.success_rate == pytest.approx(2 / 3)
    assert (other.success_rate, other.improvement) == (None, None)
    assert repr(stats) == "<BankStats 5 trajectories, 2 patterns, 2 task types>"
    head, first, second = cells(stats._repr_html_())
    assert len(head) == len(first) == len(second)
    assert first[0] == "<other>"
    assert second == ["made.task", "4", "2 (67%)", "1", "1", "1", "1", "1", "+20.0%"]


def test_a_report_adds_up_its_task_types():
    changes = (TaskTypeChange("a", 9, (1, 2), (3,), (3,), (), 4, 5), TaskTypeChange("b", 0, (), (7,), (), (7,), 0, 0))
    report = DistillationReport(changes)
    assert (report.added, report.changed, report.retired, report.news) == ((1, 2), (3, 7), (3,), True)
    assert repr(report) == "<DistillationReport 2 new, 2 changed, 1 retired>"
    assert cells(report._repr_html_())[1:] == [
        ["a", "9", "2", "1", "1", "0", "4", "5"],
        ["b", "0", "0", "1", "0", "1", "0", "0"],
    ]
    assert not DistillationReport(()).news
