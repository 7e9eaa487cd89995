"""Real runs: every one starts a process and a kernel, so the tests share what they can."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lean_agentic.workbench.experiment import find_experiment
from lean_agentic.workbench.progress import PlainDisplay
from lean_agentic.workbench.results import finished_runs
from lean_agentic.workbench.run_lock import run_lock
from lean_agentic.workbench.run_plan import plan_runs
from lean_agentic.workbench.runner import failure_summary, run_experiments

pytestmark = pytest.mark.slow

MEASURES = '[profiles.quick]\nn = 4\n[profiles.full]\n[[measures]]\nmetric = "x"\nunit = "%"\ndirection = "higher"\n'
NOT_HERE = '[[measures]]\nmetric = "y"\nunit = "%"\ndirection = "higher"\nneeds = "a-program-that-is-not-there"\n'
RECORD = "from lean_agentic.workbench import Recorder\nrecorder = Recorder()\n"
GOOD = """
import os, sys
import pandas as pd
assert (n, sizes, seed) == (4, (1.5, 2.5), 7), (n, sizes, seed)
recorder.metric("x", n, unit="%", n=3, spread=(3, 5), spread_kind="min-max")
recorder.table("rows", pd.DataFrame({"a": [1, 2]}))
recorder.table("where", pd.DataFrame({"executable": [sys.executable], "folder": [os.getcwd()], "pid": [os.getpid()]}))
recorder.used_data("numbers", origin="generated")
"""
PARAMETERS = "n: int = 3  # rows\nsizes: tuple[float, ...] = (1.5, 2.5)\nseed: int = 7"
BURN = "import time\nend = time.process_time() + 1.0\nwhile time.process_time() < end: pass\n"
# A notebook that leaves a process of a session of its own behind, and never ends.
HANG = """
import subprocess, sys
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
open("started", "w").close()
while True: pass
"""


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def ran(notebook_project):
    """One call over experiments that end in every way; the others must not be stopped by them."""
    add = notebook_project.add
    add("01_good", RECORD, GOOD, BURN, parameters=PARAMETERS, extra=MEASURES + NOT_HERE)
    add("02_raises", RECORD, "recorder.metric('x', 1, unit='%', n=1)\nraise ValueError('\\x1b[31mno\\x1b[0m luck')")
    add("03_unit", RECORD, "recorder.metric('x', 1, unit='ms', n=1)", extra=MEASURES)
    add("04_silent", "1 + 1", extra=MEASURES)
    add("05_killed", "import os", "os.kill(os.getpid(), 9)")
    add("06_hangs", "while True: pass", extra="timeout_s = { quick = 6 }")
    add("07_big_file", "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))", RECORD,
        "import pandas as pd\nrecorder.table('t', pd.DataFrame({'a': range(100_000)}))")  # fmt: skip
    add("08_no_figures", "print('nothing to measure')")
    folder = add("09_no_folder", "1")
    (folder / "runs").write_text("a file where the folder should be")
    lines = []
    planned = plan_runs(notebook_project, ["all"], "quick", {})
    outcomes = run_experiments(notebook_project, planned, PlainDisplay(lines.append))
    summary = failure_summary(notebook_project, outcomes)
    return {outcome.planned.experiment.id: outcome for outcome in outcomes}, lines, summary


def test_a_finished_run_keeps_figures_tables_and_copies(ran):
    outcome = ran[0]["01_good"]
    names = {path.name for path in outcome.folder.iterdir()}
    assert names == {"notebook.ipynb", "notebook.html", "result.json", "rows.parquet", "where.parquet"}
    (read,) = finished_runs(outcome.planned.experiment)
    assert read.metrics == outcome.result.metrics
    assert read.metrics["x"].value == 4
    assert read.metrics["x"].spread == (3, 5)
    assert read.tables == ["rows.parquet", "where.parquet"]
    assert read.data == [{"name": "numbers", "origin": "generated", "sha256": None, "note": ""}]
    assert (read.experiment, read.profile, read.run) == ("01_good", "quick", outcome.folder.name)


def test_the_kernel_is_a_process_of_its_own_under_this_interpreter(ran, notebook_project):
    import pandas as pd

    row = pd.read_parquet(ran[0]["01_good"].folder / "where.parquet").iloc[0]
    assert row.executable == sys.executable
    assert row.folder == str(notebook_project.root / "notebooks")
    assert row.pid != os.getpid()


def test_provenance_says_how_the_figure_came_about(ran):
    provenance = ran[0]["01_good"].result.provenance
    assert provenance["parameters"] == {"n": 4, "sizes": (1.5, 2.5), "seed": 7}
    assert provenance["seed"] == 7
    assert provenance["git_sha"] is None  # the project is no repository
    # One second of it was burnt in the kernel, and the clock cannot run slower than the processor's.
    assert provenance["cpu_s"] > 1.0
    assert provenance["wall_s"] > 1.0
    assert {"cpu", "cores", "load_before", "load_after", "threads", "versions", "lock_sha256"} <= set(provenance)
    assert provenance["threads_in_notebook"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("02_raises", "ValueError: no luck"),
        ("03_unit", "x was recorded in 'ms' instead of '%'"),
        ("04_silent", "x was not recorded"),
        ("05_killed", "In code cell 4 of 4 the kernel died"),
        ("06_hangs", "In code cell 3 of 3 the time-out of 6 s passed"),
        ("07_big_file", "File too large"),
    ],
)
def test_a_failed_run_keeps_its_copy_and_says_why(ran, name, said):
    outcomes, _, summary = ran
    outcome = outcomes[name]
    assert said in outcome.error
    assert f"FAILED {name}: " in summary
    assert f"{name}/runs/{outcome.folder.name}/notebook.ipynb" in summary
    assert outcome.folder.name.startswith("failed-")
    assert {path.name for path in outcome.folder.iterdir()} <= {"notebook.ipynb", "error.txt", "log.txt"}
    assert said in (outcome.folder / "error.txt").read_text()
    assert "\x1b" not in (outcome.folder / "error.txt").read_text()
    assert json.loads((outcome.folder / "notebook.ipynb").read_text())["nbformat"] == 4
    assert finished_runs(outcome.planned.experiment) == []


def test_a_failing_notebook_does_not_stop_the_others(ran):
    outcomes, lines, _ = ran
    finished = [name for name, outcome in outcomes.items() if outcome.result is not None]
    assert finished == ["01_good", "08_no_figures"]
    assert any(line.startswith("08_no_figures: finished in 0:00:") for line in lines)


def test_a_runs_folder_that_cannot_be_written_is_an_error_of_that_run(ran):
    outcome = ran[0]["09_no_folder"]
    assert outcome.folder is None
    assert "No run can be kept" in outcome.error


def test_nothing_is_left_behind(ran, notebook_project):
    assert notebook_project.processes() == []
    assert not list(notebook_project.experiments.glob("*/runs/.partial-*"))
    assert not (notebook_project.experiments / ".run.lock.json").exists()


def test_a_run_with_changed_parameters_counts_for_no_profile(notebook_project):
    notebook_project.add("30_change", "assert n == 9")
    planned = plan_runs(notebook_project, ["30", "30_change"], "quick", {"n": "9"})
    (outcome,) = run_experiments(notebook_project, planned, PlainDisplay([].append))
    assert outcome.error == ""
    assert outcome.result.profile == "custom"
    assert outcome.result.provenance["base_profile"] == "quick"
    assert outcome.result.provenance["changed_parameters"] == ["n"]


@pytest.mark.parametrize(("signum", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_running_one_and_keeps_the_finished(notebook_project, signum, status):
    name = f"40_{status}"
    notebook_project.add(f"{name}_a_quick", "1")
    notebook_project.add(f"{name}_b_hangs", HANG)
    notebook_project.add(f"{name}_c_never", "1")
    started = notebook_project.root / "notebooks" / "started"
    started.unlink(missing_ok=True)
    names = [f"{name}_{letter}" for letter in "abc"]
    with notebook_project.start("run", *names) as process:
        wait_for(started.exists)
        assert len(notebook_project.processes()) >= 3  # the child, its kernel, and what the notebook started
        process.send_signal(signum)
        process.send_signal(signum)  # a second one while it cleans up changes nothing
        _, err = process.communicate(timeout=30)
    assert process.returncode == status
    assert f"Finished and kept: {name}_a_quick. Not run to the end: {name}_b_hangs, {name}_c_never." in err
    assert notebook_project.processes() == []
    assert notebook_project.runs(f"{name}_b_hangs") == []
    assert notebook_project.runs(f"{name}_c_never") == []
    assert len(finished_runs(find_experiment(notebook_project, f"{name}_a"))) == 1


def test_a_killed_runner_leaves_a_partial_folder_only_and_no_process(notebook_project):
    notebook_project.add("50_hangs", HANG)
    started = notebook_project.root / "notebooks" / "started"
    started.unlink(missing_ok=True)
    with notebook_project.start("run", "50") as process:
        wait_for(started.exists)
        process.kill()
        process.communicate(timeout=30)
    wait_for(lambda: not notebook_project.processes(), seconds=20)
    (left,) = notebook_project.runs("50_hangs")
    assert left.startswith(".partial-")
    assert finished_runs(find_experiment(notebook_project, "50")) == []
    notebook_project.add("51_next", "1")
    assert notebook_project.run("run", "51").returncode == 0
    assert notebook_project.runs("50_hangs") == []


def test_a_second_run_is_refused_or_waits(notebook_project):
    notebook_project.add("60_waits", "1")
    partial = notebook_project.experiments / "60_waits" / "runs" / ".partial-of-the-living"
    partial.mkdir(parents=True)
    with run_lock(notebook_project, "60_waits"):
        refused = notebook_project.run("run", "60")
        assert refused.returncode == 2
        assert f"process {os.getpid()}, 60_waits, since 20" in refused.stderr
        assert partial.exists()
        with notebook_project.start("run", "60", "--wait") as waiting:
            assert waiting.stdout.readline().startswith(f"Waiting for process {os.getpid()}")
            waiting.send_signal(signal.SIGINT)
            assert waiting.wait(timeout=30) == 130
        second = notebook_project.start("run", "60", "--wait")
        second.stdout.readline()
    with second:
        assert second.wait(timeout=60) == 0
    assert len(notebook_project.runs("60_waits")) == 1  # the partial folder is gone: its runner was


def may_mount():
    return shutil.which("unshare") and subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode == 0


@pytest.mark.skipif(not may_mount(), reason="a mount namespace needs root")
@pytest.mark.parametrize(
    ("mount", "said"),
    [
        ("mount -t tmpfs -o size=60k tmpfs", "No space left on device"),
        ("mount -t tmpfs -o ro tmpfs", "Read-only file system"),
    ],
)
def test_a_disk_without_space_or_a_read_only_one_leaves_no_run(notebook_project, mount, said):
    name = f"70_{mount[-10:-6]}"
    runs: Path = notebook_project.add(name, "print('x' * 200_000)", RECORD) / "runs"
    runs.mkdir()
    script = f'{mount} "{runs}" && {{ "$@"; status=$?; ls -A "{runs}"; exit $status; }}'
    done = notebook_project.run("run", name, wrapper=("unshare", "-m", "sh", "-c", script, "sh"))
    assert done.returncode == 1
    assert said in done.stderr
    left = [line for line in done.stdout.splitlines() if line.startswith((".partial-", "2"))]
    assert left == []
    assert "Traceback" not in done.stderr
