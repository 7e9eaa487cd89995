"""Both sides' processes: fair turns, errors that name the side, and nothing left running."""

import sys
from pathlib import Path

import psutil
import pytest

from lean_agentic.workbench.sampling import WARM_UPS, SampleError, Sampler, interleave, pair_orders
from lean_agentic.workbench.scratch_repository import EXPERIMENT, scratch_repository
from lean_agentic.workbench.worktrees import Checkout

PYTHON = Path(sys.executable)
COUNTED = 'UNIT = "calls"\ncalls = 0\ndef sample():\n    global calls\n    calls += 1\n    return calls\n'


@pytest.fixture
def start(tmp_path):
    """Start a sampler on a benchmark's source."""
    started = []

    def run(side, source):
        project = scratch_repository(tmp_path / side, benchmark=source, revisions={"only": ""})
        checkout = Checkout("only", project, {"git_sha": "0123456789", "git_dirty": False})
        process = Sampler(side, checkout, PYTHON, project.experiments / EXPERIMENT / "benchmark.py")
        started.append(process)
        return process

    yield run
    for process in started:
        process.close()


def session(a, b, pairs=8, seed=0):
    return interleave(a, b, pairs=pairs, seed=seed, progress=lambda text: None)


def test_warm_ups_are_thrown_away_and_the_rest_kept_in_order(start):
    samples = session(start("A", COUNTED), start("B", COUNTED))
    assert samples.a == samples.b == tuple(range(WARM_UPS + 1, WARM_UPS + 9))
    assert samples.unit == "calls"


def test_both_sides_share_a_core(start):
    source = 'import os\nUNIT = "core"\ndef sample():\n    return 1 + min(os.sched_getaffinity(0))\n'
    samples = session(start("A", source), start("B", source))
    assert set(samples.a) == set(samples.b) == {samples.core + 1}


def test_turns_are_fair_random_and_repeatable():
    orders = pair_orders(1000, seed=1)
    assert set(orders) == {"AB", "BA"}
    assert 430 < orders.count("AB") < 570
    assert orders == pair_orders(1000, seed=1)
    assert orders != pair_orders(1000, seed=2)


def test_the_recorded_order_is_the_one_taken(start, tmp_path):
    log = tmp_path / "log"
    source = f'UNIT = "x"\ndef sample():\n    open({str(log)!r}, "a").write("{{}}")\n    return 1.0\n'
    samples = session(start("A", source.format("A")), start("B", source.format("B")))
    assert log.read_text()[2 * WARM_UPS :] == samples.order


def test_progress_tells_how_far_it_is(start):
    said = []
    interleave(start("A", COUNTED), start("B", COUNTED), pairs=7, seed=0, progress=said.append)
    assert said[:2] == ["Preparing side A", "Preparing side B"]
    assert said[2] == f"Warming up: pair 1 of {WARM_UPS}"
    assert said[2 + WARM_UPS] == "Sampling: pair 1 of 7"
    assert said[-1].startswith("Sampling: pair 7 of 7, about ")


def test_an_error_names_its_side_and_ends_with_the_tracebacks_last_line(start):
    failing = "def sample():\n    raise ValueError('bad index')\n"
    with pytest.raises(SampleError) as caught:
        session(start("A", "def sample(): pass\n"), start("B", failing))
    text = str(caught.value)
    assert text.startswith("Side B, only (0123456): ValueError: bad index")
    assert text.strip().splitlines()[-1] == "ValueError: bad index"


@pytest.mark.parametrize("value", ["float('nan')", "float('inf')", "0", "-1.5"])
def test_a_measurement_that_is_none_names_its_side(start, value):
    source = f"UNIT = 'x'\ndef sample():\n    return {value}\n"
    with pytest.raises(SampleError, match=r"Side A, .* finite number above 0"):
        session(start("A", source), start("B", "UNIT = 'x'\ndef sample():\n    return 1.0\n"))


def test_a_killed_process_is_reported_with_what_it_printed_last(start):
    source = "import os, signal, sys\ndef sample():\n    print('out of luck', file=sys.stderr, flush=True)\n"
    source += "    os.kill(os.getpid(), signal.SIGKILL)\n"
    with pytest.raises(SampleError, match=r"Side A, .* was killed by SIGKILL .* last printed: out of luck"):
        session(start("A", source), start("B", "def sample(): pass\n"))


def test_a_process_that_leaves_is_reported(start):
    source = "import os\ndef sample():\n    os._exit(7)\n"
    with pytest.raises(SampleError, match=r"ended with status 7 .* It printed nothing"):
        session(start("A", source), start("B", source))


def test_different_units_cannot_be_compared(start):
    with pytest.raises(SampleError, match="'calls' and side B in None"):
        session(start("A", COUNTED), start("B", "def sample(): pass\n"))


def test_closing_ends_the_process_and_its_children(start):
    source = "import subprocess, sys\nUNIT = 'pid'\ndef sample():\n"
    source += "    return subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']).pid\n"
    process = start("A", source)
    process.prepare()
    child = psutil.Process(int(process.sample()))
    process.close()
    child_gone, _ = psutil.wait_procs([child], timeout=10)
    assert child_gone
