from __future__ import annotations

import pytest

from lean_agentic.workbench.explorer import Explorer
from lean_agentic.workbench.jit_call_times import Way
from lean_agentic.workbench.jit_explorer import EXPLORED, jit_explorer
from lean_agentic.workbench.jit_suite import programs

START = Way(calls=300, baseline=10, optimising=40, max_opt=120, by_work=False, background=False)


@pytest.fixture
def explorer() -> Explorer:
    return jit_explorer(START)


def points(explorer: Explorer) -> dict[str, int]:
    return {series.name: series.xs.size for series in explorer.view.charts[0].series}


def test_it_starts_where_it_is_told_and_shows_every_call(explorer: Explorer) -> None:
    assert explorer.values == vars(START) | {"program": "sum-xor"}
    assert sum(points(explorer).values()) == START.calls
    assert explorer.view.summary.startswith("300 calls in ")
    assert "Results are CPython's." in explorer.view.summary


def test_thresholds_move_the_tiers(explorer: Explorer) -> None:
    assert set(points(explorer)) == {"tier 0", "tier 1", "tier 2", "tier 3"}
    explorer.controls["baseline"].value = 400.0
    assert points(explorer) == {"tier 0": 300}


def test_disturbed_calls_are_marked(explorer: Explorer) -> None:
    explorer.controls["program"].value = "random numbers"
    explorer.controls["disturbed"].value = True
    assert points(explorer)["deoptimised"] > 0
    assert "deoptimised" in explorer.view.summary
    assert explorer.view.table is not None
    assert " at line " in str(explorer.view.table.rows[0][-1])


def test_it_offers_the_whole_suite(explorer: Explorer) -> None:
    assert {each.title for each in programs()} < {each.title for each in EXPLORED}
    assert explorer.controls["program"].options == [each.title for each in EXPLORED]
