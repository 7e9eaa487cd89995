from __future__ import annotations

import pandas as pd
import pytest

from lean_agentic.workbench.jit_peers import Contender
from lean_agentic.workbench.jit_suite import programs
from lean_agentic.workbench.jit_timing_curve import (
    Start,
    against_best_peer,
    checkpoints,
    counted_curves,
    geomean_curves,
    geomean_ratios,
    time_to_result,
    with_decorating,
)

TWIN = Start("again", Contender("CPython again"), warm=True)
ABSENT = Start("absent", Contender("absent", python="python-that-is-not-there"))


def test_checkpoints() -> None:
    assert checkpoints(1) == (1,)
    assert checkpoints(100) == (1, 3, 10, 30, 100)
    assert checkpoints(100_000)[-1] == 100_000


def test_a_curve_for_every_start_and_a_reason_where_there_is_none() -> None:
    (program,) = programs(["n-body"], ["lists"])
    frame = time_to_result([program], [TWIN, ABSENT], calls=10, repeats=2)
    for start in ("CPython", "again"):
        rows = frame[frame.start == start]
        assert rows.calls.tolist() == [1, 3, 10]
        assert rows.ms.is_monotonic_increasing
        assert (rows.low_ms <= rows.high_ms).all()
        assert (rows.verdict == "exact").all(), "the state after ten steps is CPython's"
    (missing,) = frame[frame.start == "absent"].to_dict("records")
    assert missing["calls"] == 0
    assert "is not installed" in missing["reason"]


def sample() -> pd.DataFrame:
    rows = [
        ("a", "CPython", False, 1, 1.0), ("a", "CPython", False, 10, 10.0),
        ("a", "PyPy", False, 1, 2.0), ("a", "PyPy", False, 10, 4.0),
        ("a", "ours", True, 1, 1.1), ("a", "ours", True, 10, 2.0),
        ("b", "CPython", False, 1, 4.0), ("b", "CPython", False, 10, 40.0),
        ("b", "ours", True, 1, 4.0), ("b", "ours", True, 10, 8.0),
    ]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["program", "start", "ours", "calls", "ms"])
    return frame.assign(form="lists", size="small", verdict="exact", reason="")


def test_ours_is_held_against_the_best_of_the_peers_at_each_point() -> None:
    both = against_best_peer(sample()).set_index(["program", "calls"])
    assert both.ratio.round(3).to_dict() == {("a", 1): 1.1, ("a", 10): 0.5, ("b", 1): 1.0, ("b", 10): 0.2}
    assert both.best_peer.to_dict() == {(p, n): "PyPy" if (p, n) == ("a", 10) else "CPython" for p, n in both.index}


def test_means_are_over_the_programs_that_all_ran() -> None:
    means = geomean_curves(sample()).loc["small"]
    assert means.programs.tolist() == [1, 1]
    assert means.loc[10, "PyPy"] == pytest.approx(4)
    without = geomean_curves(sample().query("start != 'PyPy'")).loc["small"]
    assert without.programs.tolist() == [2, 2]
    assert without.loc[1, "CPython"] == pytest.approx(2)


def test_ratios_are_over_the_programs_that_both_ran() -> None:
    ratios = geomean_ratios(sample()).loc["small"]
    assert ratios.loc[10, "PyPy"] == pytest.approx(0.5)
    assert ratios.loc[10, "CPython"] == pytest.approx(0.2)
    assert geomean_ratios(sample().query("start != 'ours'")).empty


def test_what_is_not_pythons_result_does_not_count() -> None:
    wrong = sample().assign(verdict="wrong result")
    assert counted_curves(wrong).empty
    inexact = counted_curves(sample().assign(verdict="last bits differ"))
    assert set(inexact.start) == {"CPython", "PyPy"}


def test_decorating_can_be_added_to_the_clock() -> None:
    later = with_decorating(sample().assign(decorate_ms=[0.5] * 10, low_ms=1.0, high_ms=2.0))
    assert (later.ms - sample().ms).tolist() == pytest.approx([0.5] * 10)
    assert later.low_ms[0] == 1.5
