"""The targets table: the right run in the right row, and no figure that looks better than it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lean_agentic.workbench.experiment import load_experiments
from lean_agentic.workbench.results import Metric
from lean_agentic.workbench.targets import TARGET_BY_ID, TARGETS
from lean_agentic.workbench.targets_table import (
    ReportError,
    Row,
    Verdict,
    figure_texts,
    machine_text,
    markdown_table,
    run_time,
    spread_text,
    target_rows,
    value_text,
)

SAVING = {"metric": "saving", "unit": "%", "direction": "higher", "target": "cost_savings"}
RUN = "20260131T090507Z-1a2b3c4"


def rows_of(project, **results):
    return {row.target.id: row for row in target_rows(load_experiments(project), results)}


def number(text: str) -> float:
    return float(text.replace(",", ""))


@given(target=st.sampled_from(TARGETS), share=st.floats(-0.02, 0.02))
def test_shown_figure_meets_the_target_exactly_when_the_value_does(target, share):
    value = target.bound * (1 + share)
    assert target.met_by(number(figure_texts([value], target)[0])) == target.met_by(value)


@given(target=st.sampled_from(TARGETS), values=st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=3))
def test_no_figure_or_spread_is_carried_across_the_bound(target, values):
    for value, text in zip(values, figure_texts(values, target), strict=True):
        assert target.met_by(number(text)) == target.met_by(value)


@given(value=st.floats(1e-5, 1e12))
def test_shown_figure_is_within_half_a_per_cent(value):
    assert number(figure_texts([value])[0]) == pytest.approx(value, rel=0.005)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("cost_savings", 29.96, "29.96%"),
        ("cost_savings", 29.99999, "29.99999%"),
        ("cost_savings", 31.24, "31.2%"),
        ("vector_search_qps", 999.6, "999.6 QPS"),
        ("vector_search_qps", 12345.6, "12,346 QPS"),
        ("vector_search_p99", 9.9996, "9.9996 ms"),
        ("vector_search_p99", 10.004, "10.0 ms"),
        ("vector_memory", 1.4004, "1.4004x"),
        ("cost_variance", 0.0, "0%"),
        ("cost_savings", -5.25, "-5.25%"),
    ],
)
def test_figures_as_a_reader_sees_them(name, value, text):
    target = TARGET_BY_ID[name]
    assert value_text(Metric(value, target.unit, 1), target) == text


def test_spread_has_the_decimals_of_its_value_and_says_what_it_is():
    metric = Metric(31.24, "%", 5, (29.951, 32.0), "min-max over 5 seeds")
    assert spread_text(metric) == "30.0 to 32.0% (min-max over 5 seeds), n=5"
    assert spread_text(metric, TARGET_BY_ID["cost_savings"]) == "29.95 to 32.00% (min-max over 5 seeds), n=5"
    assert spread_text(Metric(1.0, "ms", 12000)) == "n=12,000"


def test_nothing_is_measured_without_runs(written_project):
    written_project.add_experiment("04_routing", SAVING)
    rows = target_rows(load_experiments(written_project), {})
    assert [row.target for row in rows] == list(TARGETS)
    assert {row.verdict for row in rows} == {Verdict.NOT_MEASURED}


@pytest.mark.parametrize(("value", "verdict"), [(30.0, Verdict.MET), (29.999999999, Verdict.NOT_MET)])
def test_run_answers_the_row_its_experiment_claims(written_project, value, verdict):
    written_project.add_experiment("04_routing", SAVING)
    result = written_project.add_run("04_routing", RUN, {"saving": Metric(value, "%", 5), "other": Metric(1, "x", 1)})
    rows = rows_of(written_project, **{"04_routing": result})
    assert (rows["cost_savings"].verdict, rows["cost_savings"].result) == (verdict, result)
    assert sum(row.verdict is not Verdict.NOT_MEASURED for row in rows.values()) == 1


def test_run_without_the_metric_measures_nothing(written_project):
    written_project.add_experiment("04_routing", SAVING)
    result = written_project.add_run("04_routing", RUN, {"saved": Metric(31, "%", 5)})
    assert rows_of(written_project, **{"04_routing": result})["cost_savings"].verdict is Verdict.NOT_MEASURED


def test_two_experiments_may_not_claim_one_target(written_project):
    written_project.add_experiment("04_routing", SAVING)
    written_project.add_experiment("05_other", SAVING | {"metric": "gain"})
    with pytest.raises(ReportError, match="claimed twice: by saving of 04_routing and by gain of 05_other"):
        rows_of(written_project)


def test_figure_in_another_unit_is_refused(written_project):
    written_project.add_experiment("04_routing", SAVING)
    result = written_project.add_run("04_routing", RUN, {"saving": Metric(0.31, "share", 5)})
    with pytest.raises(ReportError, match="saving in 'share', but target cost_savings is in '%'"):
        rows_of(written_project, **{"04_routing": result})


def test_reservations_stand_beside_the_figure(written_project):
    written_project.add_experiment("04_routing", SAVING)
    data = [{"name": "azure", "origin": "file"}, {"name": "gsm8k", "origin": "generated"}]
    metrics = {"saving": Metric(31, "%", 5)}
    clean = written_project.add_run("04_routing", RUN, metrics)
    dirty = written_project.add_run("04_routing", "2" + RUN[1:] + "b", metrics, dirty=True, data=data)
    unknown = written_project.add_run("04_routing", RUN + "c", metrics, dirty=None)
    marks = [rows_of(written_project, **{"04_routing": run})["cost_savings"].marks for run in (clean, dirty, unknown)]
    assert marks == [(), ("uncommitted changes", "generated data"), ("revision unknown",)]


def test_markdown_has_a_line_for_each_target_and_equal_cells(written_project):
    written_project.add_experiment("04_routing", SAVING)
    metric = Metric(31.24, "%", 5, (30.5, 32.0), "min|max", note="quality kept\n<b>95%</b>")
    result = written_project.add_run("04_routing", RUN, {"saving": metric}, dirty=True)
    lines = markdown_table(rows_of(written_project, **{"04_routing": result}).values(), lambda r: f"x/{r.run}")
    lines = lines.splitlines()
    assert len(lines) == 2 + len(TARGETS)
    assert {line.replace("\\|", "").count("|") for line in lines} == {9}
    assert (
        "| Routing, cost saved against anthropic-only | 30-50% | 31.2% | 30.5 to 32.0% (min\\|max), n=5; quality kept "
        "&lt;b>95%&lt;/b> | met | 2026-01-31 09:05 | Test CPU 3000, 4 cores | "
        f"[04_routing](x/{RUN}) (quick), **uncommitted changes** |"
    ) in lines


def test_run_time_and_machine_of_incomplete_provenance():
    assert run_time("mine") == "mine"
    assert machine_text({}) == "CPU unknown"


def test_row_is_one_line():
    assert repr(Row(TARGETS[0])) == "Row(vector_search_p99: –, not measured)"
