from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lean_agentic.workbench.jit_measurements import Verdict, by_contender, counted, geomean, measure, over, verdict_on
from lean_agentic.workbench.jit_peers import CPYTHON, NUMBA, NUMBA_ON_ARRAYS, Contender
from lean_agentic.workbench.jit_suite import PROBES, programs
from lean_agentic.workbench.jit_worker import describe

TWIN = Contender("CPython again")
ABSENT = Contender("absent", python="python-that-is-not-there")


@pytest.mark.parametrize(
    ("expected", "got", "verdict"),
    [
        (1.5, 1.5, Verdict.EXACT),
        (math.nan, math.nan, Verdict.EXACT),
        (np.float64(1.5), 1.5, Verdict.OTHER_TYPE),
        ([1.0, 2.0], np.array([1.0, 2.0]), Verdict.OTHER_TYPE),
        (1, 1.0, Verdict.OTHER_TYPE),
        (1, True, Verdict.OTHER_TYPE),
        (0.3, 0.1 + 0.2, Verdict.LAST_BITS),
        (2**53 + 1, float(2**53), Verdict.WRONG),
        (10**18, 10**18 + 1, Verdict.WRONG),
        (1.0, 1.0001, Verdict.WRONG),
        ([1, 2], [1], Verdict.WRONG),
        (("raises", "IndexError"), 6.0, Verdict.WRONG),
        (None, 0, Verdict.WRONG),
    ],
)
def test_verdicts(expected: Any, got: Any, verdict: Verdict) -> None:
    assert verdict_on(describe(expected), describe(got)) is verdict


def test_a_copy_in_place_of_the_same_list_is_told_apart_and_forgiven() -> None:
    row = [1.0]
    assert verdict_on(describe([row, row]), describe([row, [1.0]])) is Verdict.OTHER_TYPE
    assert verdict_on(describe([row, row]), describe([row, [2.0]])) is Verdict.WRONG


def test_every_contender_has_a_row_for_every_program() -> None:
    chosen = programs(["fib", "dot"])
    frame = measure(chosen, [TWIN, ABSENT], rounds=2, batch_ms=0.2, builds=1)
    assert len(frame) == 3 * len(chosen)
    assert list(dict.fromkeys(frame.contender)) == [CPYTHON.name, TWIN.name, ABSENT.name]
    good = frame[frame.contender == TWIN.name]
    assert (good.verdict == Verdict.EXACT.value).all()
    assert (good.low_us <= good.call_us).all()
    assert (good.call_us <= good.high_us).all()
    missing = frame[frame.contender == ABSENT.name]
    assert (missing.verdict == Verdict.FAILED.value).all()
    assert missing.reason.str.contains("is not installed").all()
    assert (frame[frame.contender == CPYTHON.name].speedup == 1).all()


@pytest.mark.slow
def test_numba_is_shown_where_it_fails_and_where_it_is_wrong() -> None:
    frame = measure([*programs(["matmul"], ["lists"]), *PROBES], [NUMBA, NUMBA_ON_ARRAYS], rounds=1, builds=1)
    found = {(row["program"], row["contender"]): row for row in frame.to_dict("records")}
    assert found["matmul", "Numba"]["verdict"] == "failed"
    assert "reflect" in found["matmul", "Numba"]["reason"]
    assert found["matmul", NUMBA_ON_ARRAYS.name]["verdict"] == "other type"
    assert found["an int above 64 bits", "Numba"]["verdict"] == "wrong result"
    assert found["an index past the end", "Numba"]["verdict"] == "wrong result"
    assert len(counted(frame)) < len(frame)


def sample() -> pd.DataFrame:
    rows = [
        ("a", "CPython", False, "exact", 1.0, 0.0),
        ("a", "tier 2", True, "exact", 50.0, 9.0),
        ("a", "Numba", False, "other type", 100.0, 90.0),
        ("b", "CPython", False, "exact", 1.0, 0.0),
        ("b", "tier 2", True, "exact", 200.0, 11.0),
        ("b", "Numba", False, "exact", 100.0, 110.0),
        ("c", "CPython", False, "exact", 1.0, 0.0),
        ("c", "tier 2", True, "last bits differ", 900.0, 12.0),
        ("c", "Numba", False, "failed", math.nan, math.nan),
    ]
    frame = pd.DataFrame(rows, columns=["program", "contender", "ours", "verdict", "speedup", "compile_ms"])
    return frame.assign(form="lists", size="small", reason="", call_us=1.0, exits_per_call=math.nan, details="")


def test_ours_counts_only_when_it_is_exact() -> None:
    summary = by_contender(sample())
    assert summary.loc["tier 2", "counted"] == 2
    assert summary.loc["tier 2", "speed-up geomean"] == pytest.approx(100)
    assert summary.loc["tier 2", "speed-up worst"] == 50
    assert summary.loc["tier 2", "compile median ms"] == 10
    assert summary.loc["Numba", "failed"] == 1
    assert summary.loc["Numba", "counted"] == 2


def test_one_over_another_takes_the_programs_that_both_count_for() -> None:
    ratios = over(sample(), "tier 2", "Numba")
    assert ratios.to_dict() == {("a", "lists", "small"): 0.5, ("b", "lists", "small"): 2.0}
    assert over(sample(), "tier 2", "PyPy").empty


def test_geomean() -> None:
    assert geomean([2.0, 8.0]) == pytest.approx(4)
    assert math.isnan(geomean([]))
