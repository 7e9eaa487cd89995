import io

import pytest
from rich.console import Console

from lean_agentic.workbench import progress
from lean_agentic.workbench.experiment import load_experiments
from lean_agentic.workbench.progress import BarDisplay, Expectation, PlainDisplay, duration, expected_s
from lean_agentic.workbench.results import RunResult


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00:00"), (59.6, "0:01:00"), (3725, "1:02:05"), (90000, "1 day, 1:00:00")]
)
def test_durations_are_hours_minutes_and_seconds(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("expectation", "elapsed", "text"),
    [
        (Expectation(60, 30), 10, "about 0:01:20 left"),
        (Expectation(60, 30), 100, "about 0:00:30 left"),  # it takes longer than before: the later ones remain
        (Expectation(60, 30, later_unknown=2), 0, "about 0:01:30 left + 2 unknown"),
        (Expectation(None, 30), 10, "time left unknown"),
    ],
)
def test_what_is_left_is_the_rest_of_this_run_and_the_later_ones(expectation, elapsed, text):
    assert expectation.left(elapsed) == text


@pytest.fixture
def experiment(written_project):
    folder = written_project.add_experiment("01_x")
    for second, (profile, wall_s) in enumerate(
        [("quick", 1000), *[("quick", wall_s) for wall_s in (10, 30, 20, 50, 40)], ("full", 9000), ("custom", 1)]
    ):
        run = folder / "runs" / f"20260101T00000{second}Z-abc"
        run.mkdir(parents=True)
        RunResult("01_x", profile, run.name, {}, {"wall_s": wall_s}).write(run)
    return load_experiments(written_project)[0]


def test_the_estimate_is_the_median_of_the_latest_runs_of_the_profile(experiment):
    assert expected_s(experiment, "quick") == 30
    assert expected_s(experiment, "full") == 9000


def test_without_earlier_runs_there_is_no_estimate(experiment):
    assert expected_s(experiment, "huge") is None


def test_a_run_that_does_not_say_its_time_is_passed_over(written_project):
    written_project.add_experiment("01_x")
    written_project.add_run("01_x", "20260101T000000Z-abc", {})
    assert expected_s(load_experiments(written_project)[0], "quick") is None


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands until it is set."""
    times = {"now": 100.0}
    monkeypatch.setattr(progress.time, "monotonic", lambda: times["now"])
    return times


def test_plain_lines_come_at_intervals(clock):
    lines = []
    display = PlainDisplay(lines.append)
    display.begin("04 (quick)", Expectation(60, 0))
    for second in range(25):
        clock["now"] = 100.0 + second
        display.cells(None if second < 15 else 3, None if second < 15 else 8)
    display.end("04: finished")
    assert lines == [
        "04 (quick): started, about 0:01:00 left",
        "04 (quick): starting, 0:00:10, about 0:00:50 left",
        "04 (quick): 3 of 8 cells, 0:00:20, about 0:00:40 left",
        "04: finished",
    ]


def test_the_bar_shows_cells_and_leaves_the_message():
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    display = BarDisplay(console)
    for title in ("[first] (quick, 1 of 2)", "second (quick, 2 of 2)"):
        display.begin(title, Expectation(60, 0))
        display.cells(None, None)
        display.cells(3, 8)
        display._progress.refresh()
        display.end(f"{title} ended in [folder]")
    shown = console.file.getvalue()
    assert "3/8" in shown
    assert "[first] (quick, 1 of 2) ended in [folder]" in shown
    assert "about 0:01:00 left" in shown
