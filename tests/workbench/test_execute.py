"""The child process: its protocol, and the parts that need no kernel."""

import ast
import json
import os
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lean_agentic.workbench.execute import LiteralTranslator, Progress
from lean_agentic.workbench.processes import end_run_processes, run_processes
from lean_agentic.workbench.recorder import RUN_DIR_VARIABLE

SCALARS = st.one_of(
    st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.booleans(), st.none(), st.text()
)


@given(st.recursive(SCALARS, lambda items: st.one_of(st.lists(items), st.lists(items).map(tuple)), max_leaves=8))
def test_a_written_parameter_reads_back_as_it_was(value):
    read = ast.literal_eval(LiteralTranslator.translate(value))
    assert read == value
    assert type(read) is type(value)


def test_a_cell_gets_the_time_that_is_left_and_never_no_limit_at_all():
    events = []
    progress = Progress(total=2, timeout_s=-1, report=events.append)
    progress.cell_starts(cell={}, cell_index=0)
    progress.cell_starts(cell={}, cell_index=3)
    assert events == [{"done": 0, "total": 2}, {"done": 1, "total": 2}]
    assert 0 < progress.time_left({}) <= 0.1
    assert 50 < Progress(1, 60, events.append).time_left({}) <= 60


@pytest.fixture
def child(notebook_project, tmp_path):
    """Start the child on a notebook of these cells; it is gone when the test ends."""
    started = []

    def start(name, *cells, **environment):
        notebook_project.add(name, *cells)
        job = {
            "notebook": str(notebook_project.root / "notebooks" / f"{name}.ipynb"),
            "folder": str(tmp_path),
            "title": name,
            "parameters": {"n": 5},
            "timeout_s": 60,
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "lean_agentic.workbench.execute"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | {RUN_DIR_VARIABLE: str(tmp_path)} | environment,
        )
        process.stdin.write(json.dumps(job) + "\n")
        process.stdin.flush()
        started.append(process)
        return process

    yield start
    end_run_processes(tmp_path)
    for process in started:
        process.wait()
        process.stdin.close()
        process.stdout.close()


@pytest.mark.slow
def test_reports_each_cell_and_nothing_else(child, tmp_path):
    """A kernel of the same name that the user has installed is passed over, native output does not mix in."""
    kernel = tmp_path / "user" / "kernels" / "python3"
    kernel.mkdir(parents=True)
    spec = {"argv": ["/bin/false", "{connection_file}"], "display_name": "another", "language": "python"}
    (kernel / "kernel.json").write_text(json.dumps(spec))
    process = child(
        "01_speaks",
        "import os, sys\nos.write(1, b'native output\\n')\nsys.__stdout__.write('more\\n')",
        f"assert n == 5 and sys.executable == {sys.executable!r}",
        JUPYTER_PATH=str(tmp_path / "user"),
    )
    events = [json.loads(line) for line in process.stdout]
    assert events == [{"done": done, "total": 4} for done in range(5)]
    assert process.wait(timeout=10) == 0
    assert (tmp_path / "notebook.html").exists()


@pytest.mark.slow
def test_ends_with_its_kernel_when_the_parent_is_gone(child, tmp_path):
    process = child("02_hangs", "while True: pass")
    for line in process.stdout:
        if json.loads(line)["done"] == 2:
            break
    assert len(list(run_processes(tmp_path))) == 2
    process.stdin.close()
    assert process.wait(timeout=10) == -9
    end = time.monotonic() + 10
    while list(run_processes(tmp_path)):
        assert time.monotonic() < end
        time.sleep(0.05)
