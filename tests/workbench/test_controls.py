from __future__ import annotations

from typing import Any

import pytest

from lean_agentic.workbench.controls import ControlError, choice, slider, toggle
from lean_agentic.workbench.style import FormatError


def test_controls_carry_their_label_and_value() -> None:
    budget, outage, lane = slider("Budget", 0.5, 0, 2), toggle("Outage", True), choice("Lane", ["a", "b"], "b")
    assert (budget.label, budget.value, budget.step) == ("Budget", 0.5, 0.02)
    assert (outage.label, outage.value) == ("Outage", True)
    assert (lane.label, lane.value, choice("Lane", ["a", "b"]).value) == ("Lane", "b", "a")
    assert repr(budget) == "Slider('Budget', value=0.5)"


def test_a_change_is_observed() -> None:
    budget, seen = slider("Budget", 0.5, 0, 1), []
    budget.observe(lambda change: seen.append(change["new"]), names="value")
    budget.value = 0.75
    assert seen == [0.75]


@pytest.mark.parametrize(
    "ends",
    [
        {"value": 3, "min": 0, "max": 1},
        {"value": 0, "min": 1, "max": 0},
        {"value": 0, "min": 0, "max": 1, "step": 0},
        {"value": float("nan"), "min": 0, "max": 1},
        {"value": 0, "min": 0, "max": float("inf")},
    ],
)
def test_misfitting_sliders_are_refused(ends: dict[str, Any]) -> None:
    with pytest.raises(ControlError, match="Budget: a slider needs min < max"):
        slider("Budget", **ends)


def test_values_out_of_range_are_refused_later_too() -> None:
    budget, lane = slider("Budget", 0.5, 0, 1), choice("Lane", ["a", "b"])
    with pytest.raises(ControlError, match=r"Budget: 2.0 lies outside 0.0 to 1.0"):
        budget.value = 2
    with pytest.raises(ControlError, match="Lane: 'c' is none of a, b"):
        lane.value = "c"
    assert (budget.value, lane.value) == (0.5, "a")


def test_other_misuse_is_refused() -> None:
    with pytest.raises(FormatError):
        slider("Budget", 0, 0, 1, format="dollars")
    with pytest.raises(ControlError, match="at least one option"):
        choice("Lane", [])
    with pytest.raises(ControlError, match="no two equal"):
        choice("Lane", ["a", "a"])
    with pytest.raises(ControlError, match="'c' is none of"):
        choice("Lane", ["a"], "c")
