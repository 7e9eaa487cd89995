from __future__ import annotations

import os
import threading

import pytest

from lean_agentic.jit_runtime.background import Worker


def test_jobs_run_in_order_in_one_other_thread() -> None:
    worker, done, threads = Worker(), [], set()

    def job(number: int) -> None:
        threads.add(threading.get_ident())
        done.append(number)

    for number in range(50):
        worker.submit(lambda number=number: job(number))
    assert worker.wait(10)
    assert done == list(range(50))
    assert len(threads) == 1
    assert threading.get_ident() not in threads
    worker.stop()


def test_a_job_that_fails_is_shown_and_does_not_end_the_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    worker, shown, done = Worker(), [], []
    monkeypatch.setattr(threading, "excepthook", shown.append)
    worker.submit(lambda: 1 // 0)  # type: ignore[arg-type,return-value]
    worker.submit(lambda: done.append(1))
    assert worker.wait(10)
    assert [each.exc_type for each in shown] == [ZeroDivisionError]
    assert done == [1]
    worker.stop()


def test_after_stop_nothing_is_taken() -> None:
    worker, done = Worker(), []
    worker.submit(lambda: done.append(1))
    worker.wait(10)
    worker.stop()
    worker.submit(lambda: done.append(2))
    assert worker.wait(1)
    assert done == [1]


def test_a_forked_child_has_a_thread_of_its_own() -> None:
    worker = Worker()
    worker.submit(lambda: None)
    assert worker.wait(10)
    child = os.fork()
    if child == 0:
        done: list[int] = []
        worker.submit(lambda: done.append(1))
        os._exit(0 if worker.wait(20) and done == [1] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    worker.stop()
