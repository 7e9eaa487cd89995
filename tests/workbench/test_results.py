import json
import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lean_agentic.workbench.experiment import load_experiments
from lean_agentic.workbench.results import Metric, ResultError, RunResult, finished_runs, read_result

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
SPREADS = st.none() | st.tuples(NUMBERS, NUMBERS).map(lambda pair: tuple(sorted(pair)))
METRICS = st.builds(Metric, NUMBERS, st.text(max_size=5), st.integers(1, 10**9), SPREADS, st.text(), st.text())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(metrics=st.dictionaries(st.text(min_size=1), METRICS, max_size=3))
def test_a_result_reads_back_as_it_was_written(tmp_path, metrics):
    result = RunResult("04", "quick", "run", metrics, {"seed": 1, "git_sha": None}, [{"name": "d"}], ["t.parquet"])
    assert read_result(result.write(tmp_path)) == result


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"value": math.nan}, "finite"),
        ({"value": math.inf}, "finite"),
        ({"value": "3"}, "finite"),
        ({"n": 0}, "at least one sample"),
        ({"spread": (2, 1)}, "low, high"),
        ({"spread": (1, 2, 3)}, "low, high"),
        ({"spread": (math.nan, 1)}, "low, high"),
        ({"spread": (-math.inf, 1)}, "low, high"),
        ({"spread": ("a", "b")}, "low, high"),
        ({"unit": None}, "are texts"),
        ({"note": 3}, "are texts"),
    ],
)
def test_a_metric_that_is_no_figure_is_refused(change, said):
    with pytest.raises(ResultError, match=said):
        Metric(**({"value": 1.0, "unit": "%", "n": 1} | change))


def test_a_metric_reads_as_a_sentence():
    assert str(Metric(31.04, "%", 5, (29.5, 32), "min-max over seeds")) == (
        "31.04 % (29.5 to 32, min-max over seeds, n=5)"
    )
    assert str(Metric(3, "", 1)) == "3"


def test_the_view_escapes_what_it_shows():
    view = RunResult("<b>", "quick", "run", {"m": Metric(1, "<i>", 1)}, {})._repr_html_()
    assert "<b>" not in view
    assert "<i>" not in view
    assert "scope='row'" in view


def changed(**fields):
    return lambda text: json.dumps(json.loads(text) | fields)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "",
        lambda text: "[]",
        lambda text: text.replace('"schema": 1', '"schema": 2'),
        lambda text: text.replace('"profile"', '"profil"'),
        lambda text: text.replace('"value": 1', '"value": "1"'),
        lambda text: json.dumps({key: value for key, value in json.loads(text).items() if key != "metrics"}),
        changed(metrics=[]),
        changed(metrics={"m": {"value": 1, "unit": "%", "n": 1, "spread": [1]}}),
        changed(provenance=None),
        changed(data=None),
        changed(data=["a name"]),
        changed(profile=["quick"]),
        changed(run=3),
    ],
)
def test_a_damaged_result_is_refused_and_left_out(written_project, spoil, caplog):
    written_project.add_experiment("01_x")
    for run in ("20260101T000000Z-a", "20260102T000000Z-a"):
        written_project.add_run("01_x", run, {"m": Metric(1, "%", 1)})
    path = written_project.experiments / "01_x" / "runs" / "20260102T000000Z-a" / "result.json"
    path.write_text(spoil(path.read_text()))
    with pytest.raises(ResultError, match=r"result\.json"):
        read_result(path)
    assert [run.run for run in finished_runs(load_experiments(written_project)[0])] == ["20260101T000000Z-a"]
    assert "Left out" in caplog.text


@pytest.mark.parametrize("fields", [{"experiment": "02_y"}, {"run": "20260101T000000Z-b"}])
def test_a_result_in_another_runs_folder_is_left_out(written_project, fields, caplog):
    written_project.add_experiment("01_x")
    written_project.add_run("01_x", "20260101T000000Z-a", {"m": Metric(1, "%", 1)})
    path = written_project.experiments / "01_x" / "runs" / "20260101T000000Z-a" / "result.json"
    path.write_text(changed(**fields)(path.read_text()))
    assert finished_runs(load_experiments(written_project)[0]) == []
    assert "not of the folder it lies in" in caplog.text


def test_partial_and_failed_runs_are_not_finished_ones(written_project):
    written_project.add_experiment("01_x")
    for run in (".partial-20260101T000000Z-a", "failed-20260101T000000Z-a", "20260102T000000Z-a"):
        written_project.add_run("01_x", run, {})
    assert [run.run for run in finished_runs(load_experiments(written_project)[0])] == ["20260102T000000Z-a"]


def test_a_missing_result_is_an_error(tmp_path):
    with pytest.raises(ResultError, match="not a readable result"):
        read_result(tmp_path / "result.json")
