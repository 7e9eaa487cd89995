from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lean_agentic.workbench import jit_worker
from lean_agentic.workbench.jit_suite import FILES
from lean_agentic.workbench.jit_worker import Engine, Worker, answer, called_functions, describe, fresh_module

DOT = {"file": FILES["lists"], "table": "PROGRAMS", "name": "dot", "size": "small"}


@pytest.fixture
def worker() -> Any:
    return Worker(Engine({}))


def test_pypy_3_9_can_read_it() -> None:
    ast.parse(Path(str(jit_worker.__file__)).read_text(encoding="utf-8"), feature_version=(3, 9))


def test_images_tell_types_bits_and_identity_apart() -> None:
    values = [1, True, 1.0, np.int64(1), np.float64(1), -0.0, 0.0, None, 1j, (1,), [1], np.array([1]), np.array([[1]])]
    images = [repr(describe(each)) for each in values]
    assert len(set(images)) == len(values)
    row = [0.5]
    assert describe([row, row]) != describe([row, [0.5]])
    assert describe(0.1 + 0.2) != describe(0.3)


def test_a_module_is_executed_anew_each_time() -> None:
    first, second = fresh_module(FILES["lists"]), fresh_module(FILES["lists"])
    assert first.fib is not second.fib
    assert first.fib.__code__.co_filename == FILES["lists"]


def test_helpers_are_found_through_calls_and_makers_are_not() -> None:
    module = fresh_module(FILES["lists"])
    found = called_functions(module, "spectral_norm")
    assert set(found) == {"spectral_norm", "times", "times_transposed", "matrix_entry"}
    assert called_functions(module, "fib") == ("fib",)
    assert called_functions(module, "kmeans_step") == ("kmeans_step",)


def test_building_reports_the_result_of_fresh_arguments(worker: Any) -> None:
    reply = worker.build(repeats=2, **DOT)
    program = fresh_module(FILES["lists"])
    xs, ys = program.PROGRAMS["dot"][1]["small"]()
    assert reply["result"] == describe([program.dot(xs, ys), [xs, ys]])
    assert len(reply["compile_ms"]) == len(reply["first_ms"]) == 2
    assert worker.calls_for(0.1)["calls"] >= 1
    assert worker.time(3)["ns"] > 0


def test_an_exception_of_the_program_is_a_result(worker: Any) -> None:
    reply = worker.build(**DOT | {"file": FILES["arrays"], "table": "PROBES", "name": "an index past the end"})
    assert reply["result"][1][0] == ["tuple", [["str", "'raises'"], ["str", "'IndexError'"]]]


def test_a_curve_grows_and_ends_with_its_budget(worker: Any) -> None:
    whole = worker.curve([1, 3, 10], 60, **DOT)
    assert whole["ns"] == sorted(whole["ns"])
    assert list(whole["results"]) == [10]
    assert list(worker.curve([1, 3, 10], 60, each_result=True, **DOT)["results"]) == [1, 3, 10]
    cut = worker.curve([1, 3, 10], 0, **DOT)
    assert len(cut["ns"]) == 1
    assert list(cut["results"]) == [1]


def test_errors_are_answers(worker: Any) -> None:
    assert answer(worker, {"do": "sing"})["failed"].startswith("ValueError: no command 'sing'; there are warm, ")
    assert answer(worker, {"do": "build", **DOT, "name": "dodo"}) == {"failed": "KeyError: 'dodo'"}
