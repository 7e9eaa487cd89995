"""The command: what it prints, the exit status CI reads, and what Ctrl-C leaves."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner

from lean_agentic.workbench.cli import compare as module
from lean_agentic.workbench.cli import main
from lean_agentic.workbench.scratch_repository import scratch_repository

BENCHMARK = "from lean_agentic import work\nUNIT = 'steps'\ndef sample():\n    return work.STEPS\n"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return scratch_repository(
        tmp_path_factory.mktemp("cli") / "r",
        benchmark=BENCHMARK,
        revisions={"fast": "STEPS = 100\n", "slow": "STEPS = 120\n", "broken": "STEPS = None\n"},
    )


@pytest.fixture
def run(project, monkeypatch):
    monkeypatch.setenv("LEAN_AGENTIC_HOME", str(project.root))
    return lambda *arguments: CliRunner().invoke(main, ["compare", *arguments])


@pytest.mark.parametrize(
    ("a", "b", "status", "says"),
    [
        ("fast", "slow", 1, "B is WORSE"),
        ("slow", "fast", 0, "B is BETTER"),
        ("fast", "fast", 0, "NO DIFFERENCE FOUND"),
    ],
)
def test_exit_status_and_words(run, a, b, status, says):
    done = run(a, b, "01")
    assert done.exit_code == status, done.output
    assert says in done.stdout
    assert "30 interleaved samples a side" in done.stdout


def test_ratio_and_medians_are_printed(run):
    done = run("fast", "slow", "01")
    assert "median 100 steps" in done.stdout
    assert "median 120 steps" in done.stdout
    assert "B/A 1.200 (95% interval 1.200 to 1.200)" in done.stdout


def test_it_is_kept_where_asked_and_in_the_cache_otherwise(run, project, tmp_path):
    run("fast", "slow", "01", "--json", str(tmp_path / "mine.json"))
    assert json.loads((tmp_path / "mine.json").read_text())["finding"]["ratio"] == pytest.approx(1.2)
    before = set((project.root / ".cache" / "compare").glob("*.json"))
    run("fast", "slow", "01")
    (new,) = set((project.root / ".cache" / "compare").glob("*.json")) - before
    assert json.loads(new.read_text())["experiment"] == "01_planted"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("fast",), "Missing argument"),
        (("fast", "slow", "01", "--seed", "x"), "Invalid value for '--seed'"),
        (("nonsense", "slow", "01"), "Unknown revision 'nonsense'"),
        (("fast", "slow", "77"), "'77' is unknown"),
        (("fast", "broken", "01"), "Side B, broken"),
        (("fast", "slow", "01", "--json", "/absent/folder/x.json"), "cannot be written"),
    ],
)
def test_wrong_use_is_status_2_with_the_reason(run, arguments, says):
    done = run(*arguments)
    assert done.exit_code == 2
    assert says in done.stderr
    assert "verdict" not in done.stdout


def test_a_defect_is_not_taken_for_a_worse_revision(run, monkeypatch):
    def fail(*arguments, **settings):
        raise ZeroDivisionError("inside")

    monkeypatch.setattr(module, "compare", fail)
    done = run("fast", "slow", "01")
    assert done.exit_code == 3
    assert "ZeroDivisionError: inside" in done.stderr


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_without_a_verdict_and_leaves_nothing(tmp_path, sent):
    sampling = tmp_path / "sampling"
    endless = f"import pathlib, time\ndef sample():\n    pathlib.Path({str(sampling)!r}).touch()\n    time.sleep(600)\n"
    project = scratch_repository(tmp_path / "r", benchmark=endless, revisions={"only": ""})
    process = subprocess.Popen(
        [sys.executable, "-m", "lean_agentic", "compare", "only", "only", "01"],
        env=os.environ | {"LEAN_AGENTIC_HOME": str(project.root)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not sampling.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(sent)
    printed, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + sent
    assert printed == ""
    assert "no verdict" in errors
    assert list((project.root / ".cache" / "worktrees").iterdir()) == []
    assert not (project.root / ".git" / "worktrees").exists()


def test_progress_outside_a_terminal_is_a_line_now_and_then(capsys):
    line = module.ProgressLine()
    for pair in range(100):
        line(f"pair {pair}")
    line.clear()
    assert capsys.readouterr().err == "pair 0\n"


def test_progress_on_a_terminal_is_one_line_that_goes_away(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    line = module.ProgressLine()
    line("x" * 150)
    line("pair 1")
    line.clear()
    assert capsys.readouterr().err == f"\r\x1b[K{'x' * 100}\r\x1b[Kpair 1\r\x1b[K"
