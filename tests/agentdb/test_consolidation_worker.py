from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lean_agentic.agentdb.consolidation import Consolidation, ConsolidationProgress
from lean_agentic.agentdb.consolidation_report import ConsolidationReport
from lean_agentic.agentdb.consolidation_worker import ConsolidationWorker
from lean_agentic.agentdb.store import Store
from tests.agentdb.consolidation_data import EMBEDDING, memory, say


class Scripted:
    """Stands in the place of a consolidation: what its runs do is given."""

    def __init__(self, *runs: Callable[[Callable[[ConsolidationProgress], None]], None]) -> None:
        self._runs = list(runs)
        self.calls = 0

    def run(self, progress: Callable[[ConsolidationProgress], None]) -> ConsolidationReport:
        self.calls += 1
        if self._runs:
            self._runs.pop(0)(progress)
        return ConsolidationReport(facts=self.calls)


def until(true: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def worker_of(scripted: Scripted, interval_s: float = 1000.0) -> ConsolidationWorker:
    return ConsolidationWorker(scripted, interval_s)  # type: ignore[arg-type]


def test_it_consolidates_a_store(tmp_path: Path) -> None:
    with memory(tmp_path) as (store, index):
        say(store, "red pump broken", "red pump broken")
        with ConsolidationWorker(Consolidation(store, index, EMBEDDING)) as worker:
            until(lambda: worker.runs == 1)
            say(store, "green valve leaks", "green valve leaks", time=9.0)
            worker.run_soon()
            until(lambda: worker.runs == 2)
        assert worker.last_report is not None
        assert worker.last_report.facts == 1
        assert not worker.running
        assert store.count() == 2


def test_it_runs_again_after_the_interval() -> None:
    scripted = Scripted()
    with worker_of(scripted, 0.001):
        until(lambda: scripted.calls >= 3)
    calls = scripted.calls
    time.sleep(0.02)
    assert scripted.calls == calls


def test_an_error_is_shown_logged_and_survived(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("disk on fire")

    with worker_of(Scripted(fail)) as worker:
        until(lambda: worker.runs == 1)
        assert "disk on fire" in repr(worker)
        assert isinstance(worker.last_error, RuntimeError)
        assert "disk on fire" in caplog.text
        worker.run_soon()
        until(lambda: worker.runs == 2)
        assert worker.last_error is None
        assert repr(worker) == "ConsolidationWorker(running, every 1000 s, 2 runs)"


def test_stop_ends_a_run_between_clusters() -> None:
    inside = threading.Event()

    def forever(progress: Callable[[ConsolidationProgress], None]) -> None:
        while True:
            inside.set()
            progress(None)  # type: ignore[arg-type]
            time.sleep(0.001)

    worker = worker_of(Scripted(forever))
    worker.start()
    assert inside.wait(20)
    worker.stop()
    assert not worker.running
    assert worker.last_error is None
    worker.stop()


def test_a_cluster_that_takes_long_is_reported_and_waited_for() -> None:
    inside, go = threading.Event(), threading.Event()

    def stuck(_: object) -> None:
        inside.set()
        go.wait(20)

    worker = worker_of(Scripted(stuck))
    worker.start()
    assert inside.wait(20)
    with pytest.raises(TimeoutError, match="still in one cluster"):
        worker.stop(0.01)
    assert worker.running
    go.set()
    worker.stop()
    assert not worker.running


def test_it_starts_once_and_again() -> None:
    scripted = Scripted()
    worker = worker_of(scripted)
    worker.start()
    worker.start()
    assert sum(thread.name == "consolidation" for thread in threading.enumerate()) == 1
    worker.stop()
    worker.start()
    until(lambda: scripted.calls == 2)
    worker.stop()
    with pytest.raises(ValueError, match="interval_s"):
        worker_of(scripted, 0)


CHILD = """
import sys, time
from pathlib import Path
from tests.agentdb.consolidation_data import EMBEDDING, memory
from tests.agentdb.test_consolidation import many_pairs
from lean_agentic.agentdb.consolidation import Consolidation
from lean_agentic.agentdb.consolidation_worker import ConsolidationWorker
from tests.agentdb.exact_index import ExactIndex
from lean_agentic.agentdb.store import Store
from tests.agentdb.consolidation_data import DIMENSIONS
store = Store(Path(sys.argv[1]) / "m.db")
many_pairs(store, 60)
worker = ConsolidationWorker(Consolidation(store, ExactIndex(DIMENSIONS), EMBEDDING))
worker.start()
while not store.count():
    pass
print("leaving", flush=True)
"""


def test_the_interpreter_exits_cleanly(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", CHILD, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert (done.returncode, done.stdout) == (0, "leaving\n"), done.stderr
    assert "Error" not in done.stderr
    with Store(tmp_path / "m.db") as store:
        assert store.check() == []
