"""The sampler's process, spoken to over its own protocol, and the contract that it holds benchmarks to."""

import json
import subprocess
import sys

import pytest

from lean_agentic.workbench import sampler

CORE = "0"


@pytest.fixture
def tree(tmp_path):
    package = tmp_path / "tree" / "lean_agentic"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "work.py").write_text("SCALE = 3.0\n")
    return tmp_path / "tree"


@pytest.fixture
def ask(tree, tmp_path):
    """Run a benchmark's source through the process; returns the answers and what it printed."""

    def run(source, *commands):
        benchmark = tmp_path / "benchmark.py"
        benchmark.write_text(source)
        done = subprocess.run(
            [sys.executable, "-P", sampler.__file__, str(tree), str(benchmark), CORE],
            input="".join(f"{command}\n" for command in commands),
            capture_output=True,
            text=True,
            cwd=tree,
            env={"PYTHONPATH": str(tree)},
        )
        return [json.loads(line) for line in done.stdout.splitlines()], done.stderr

    return run


def test_the_package_is_the_trees_own(ask, tree):
    source = (
        'from lean_agentic import work\nUNIT = "x"\ndef sample():\n    print(work.__file__)\n    return work.SCALE\n'
    )
    answers, printed = ask(source, "prepare", "sample")
    assert answers[1] == {"value": 3.0}
    assert printed.strip() == str(tree / "lean_agentic" / "work.py")


def test_wall_time_is_that_of_the_work_alone(ask):
    clock = "import time\nnow = 0.0\ntime.perf_counter = lambda: now\n"
    work = "def prepare():\n    global now\n    now += 100\ndef sample():\n    global now\n    now += 2.5\n"
    answers, _ = ask(clock + work, "prepare", "sample", "sample")
    assert answers[0]["unit"] is None
    assert answers[1:] == [{"value": 2.5}, {"value": 2.5}]


def test_prepare_runs_once(ask):
    source = (
        'UNIT = "calls"\ncalls = 0\ndef prepare():\n    global calls\n    calls += 1\ndef sample():\n    return calls\n'
    )
    answers, _ = ask(source, "prepare", "sample", "sample")
    assert [answer["value"] for answer in answers[1:]] == [1.0, 1.0]


def test_a_benchmark_may_read_and_print_without_disturbing_the_session(ask):
    source = (
        'import sys\nUNIT = "x"\ndef sample():\n    print("{}", flush=True)\n    return 1 + len(sys.stdin.read())\n'
    )
    answers, printed = ask(source, "prepare", "sample", "sample")
    assert [answer["value"] for answer in answers[1:]] == [1.0, 1.0]
    assert printed.count("{}") == 2


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def sample(:\n", "SyntaxError"),
        ("x = 1\n", "defines no sample()"),
        ("import lean_agentic.absent\ndef sample(): pass\n", "lean_agentic.absent"),
        ("def prepare():\n    raise OSError('no disk')\ndef sample(): pass\n", "OSError: no disk"),
        ("import sys\nsys.exit(5)\n", "SystemExit: 5"),
    ],
)
def test_a_benchmark_that_cannot_be_prepared_says_why(ask, source, message):
    answers, _ = ask(source, "prepare")
    assert message in answers[0]["error"]
    assert "Traceback" in answers[0]["traceback"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def sample():\n    return 1.5\n", "names no UNIT"),
        ("UNIT = 'x'\ndef sample():\n    return None\n", "must return a number"),
        ("UNIT = 'x'\ndef sample():\n    return True\n", "must return a number"),
        ("UNIT = 'x'\ndef sample():\n    return '3'\n", "must return a number"),
        ("def sample():\n    raise ValueError('no')\n", "ValueError: no"),
    ],
)
def test_a_sample_that_is_no_measurement_says_why(ask, source, message):
    answers, _ = ask(source, "prepare", "sample")
    assert message in answers[1]["error"]


def test_numpy_scalars_are_numbers(ask):
    answers, _ = ask("import numpy as np\nUNIT = 'x'\ndef sample():\n    return np.float32(2)\n", "prepare", "sample")
    assert answers[1] == {"value": 2.0}


def test_a_module_that_only_another_tree_has_is_refused(ask, tmp_path):
    other = tmp_path / "other" / "lean_agentic"
    other.mkdir(parents=True)
    (other / "extra.py").write_text("")
    source = f"import lean_agentic\nlean_agentic.__path__.append({str(other)!r})\nimport lean_agentic.extra\n"
    answers, _ = ask(source + "def sample(): pass\n", "prepare")
    assert "no module lean_agentic.extra" in answers[0]["error"]


@pytest.mark.skipif(not hasattr(sampler.os, "sched_setaffinity"), reason="this system cannot pin processes")
def test_a_benchmark_stays_on_one_core_unless_it_is_parallel(ask):
    source = 'import os\nUNIT = "cores"\ndef sample():\n    return len(os.sched_getaffinity(0))\n'
    pinned, _ = ask(source, "prepare", "sample")
    free, _ = ask(f"PARALLEL = True\n{source}", "prepare", "sample")
    assert (pinned[0]["core"], pinned[1]["value"]) == (0, 1.0)
    assert (free[0]["core"], free[1]["value"]) == (None, len(sampler.os.sched_getaffinity(0)))
