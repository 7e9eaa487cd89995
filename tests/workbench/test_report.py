"""The report: the latest finished run counts; failed, unfinished and damaged ones are told apart from it."""

from lean_agentic.workbench.report import build_report
from lean_agentic.workbench.results import Metric

SAVING = {"metric": "saving", "unit": "%", "direction": "higher", "target": "cost_savings"}


def saving(value: float, unit: str = "%") -> dict[str, Metric]:
    return {"saving": Metric(value, unit, 5)}


def run(day: int) -> str:
    return f"202601{day:02}T090507Z-1a2b3c4"


def row_of(project, name="cost_savings"):
    return next(row for row in build_report(project).rows if row.target.id == name)


def test_latest_finished_run_counts_whatever_its_profile(written_project):
    written_project.add_experiment("04_routing", SAVING)
    written_project.add_run("04_routing", run(2), saving(40), profile="full")
    written_project.add_run("04_routing", run(10), saving(35))
    written_project.add_run("04_routing", run(3), saving(20))
    assert (row_of(written_project).metric.value, row_of(written_project).result.profile) == (35, "quick")


def test_run_with_parameters_of_its_own_does_not_count(written_project):
    written_project.add_experiment("04_routing", SAVING)
    written_project.add_run("04_routing", run(1), saving(90), profile="custom")
    written_project.add_run("04_routing", run(2), saving(35))
    written_project.add_run("04_routing", run(3), saving(90), profile="custom")
    [history] = build_report(written_project).histories
    assert row_of(written_project).metric.value == 35
    assert [result.run for result in history.explored] == [run(3)]
    assert len(history.trend("saving")) == 1


def test_unfinished_and_damaged_runs_do_not_count(written_project):
    folder = written_project.add_experiment("04_routing", SAVING)
    written_project.add_run("04_routing", run(1), saving(35))
    for name, text in ((run(2), '{"schema": 1, "metr'), (f".partial-{run(3)}", "{}"), (run(4), None)):
        (folder / "runs" / name).mkdir()
        if text is not None:
            (folder / "runs" / name / "result.json").write_text(text)
    assert row_of(written_project).result.run == run(1)


def test_only_failures_after_the_last_success_are_told(written_project):
    folder = written_project.add_experiment("04_routing", SAVING)
    for day in (1, 3, 5):
        (folder / f"runs/failed-{run(day)}").mkdir(parents=True)
    [history] = build_report(written_project).histories
    assert [path.name for path in history.failed] == [f"failed-{run(day)}" for day in (1, 3, 5)]
    written_project.add_run("04_routing", run(3) + "b", saving(35))
    [history] = build_report(written_project).histories
    assert [path.name for path in history.failed] == [f"failed-{run(5)}"]


def test_failed_run_takes_no_figure_away(written_project):
    folder = written_project.add_experiment("04_routing", SAVING)
    written_project.add_run("04_routing", run(1), saving(35))
    (folder / f"runs/failed-{run(2)}").mkdir()
    assert row_of(written_project).metric.value == 35


def test_trend_keeps_to_one_profile_and_one_unit(written_project):
    written_project.add_experiment("04_routing", SAVING)
    written_project.add_run("04_routing", run(1), saving(0.3, "share"))
    written_project.add_run("04_routing", run(2), saving(33))
    written_project.add_run("04_routing", run(3), saving(44), profile="full")
    written_project.add_run("04_routing", run(4), {"other": Metric(1, "x", 1)})
    written_project.add_run("04_routing", run(5), saving(35))
    [history] = build_report(written_project).histories
    assert [metric.value for metric in history.trend("saving")] == [33, 35]


def test_project_without_experiments_has_only_unmeasured_rows(written_project):
    report = build_report(written_project)
    assert report.histories == []
    assert all(row.metric is None for row in report.rows)
