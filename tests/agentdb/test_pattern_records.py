"""Contrasts as records: figures against statsmodels-free closed forms, and back to the move."""

import pytest
from scipy.stats import binomtest

from lean_agentic.agentdb.contrast import contrast_of
from lean_agentic.agentdb.moves import Condition, Move, Relation
from lean_agentic.agentdb.pattern_records import conditions_of, move_of, pattern_of
from lean_agentic.agentdb.records import Pattern
from tests.agentdb.made_trajectories import made

MOVE = Move(Relation.TAKEN, ("update_item",))


def tracked():
    return [
        made("update_item", verdict=True, group="a", id=11, time=5.0, improvement=0.2),
        made("update_item", verdict=True, group="a", id=12, time=9.0, improvement=0.4),
        made("update_item", verdict=False, group="a", id=13, time=7.0),
        made("respond", verdict=False, group="a", id=14, time=99.0),
    ]


def test_figures_are_those_of_the_evidence():
    pattern = pattern_of(contrast_of(MOVE, tracked()), tracked(), avoid=False)
    interval = binomtest(2, 3).proportion_ci(method="wilson")
    assert (pattern.support, pattern.successes, pattern.base_rate) == (3, 2, pytest.approx(0, abs=1e-12))
    assert (pattern.success_low, pattern.success_high) == (pytest.approx(interval.low), pytest.approx(interval.high))
    assert pattern.improvement == pytest.approx(0.3)
    assert pattern.trajectories == (11, 12, 13)
    assert (pattern.provenance.source, pattern.provenance.method) == ("reasoning bank", "distilled")
    assert pattern.time == 9
    assert pattern.metadata["compared with"] == 1
    assert pattern.title == "Take update_item"


@pytest.mark.parametrize(
    "conditions", [(), (Condition("colour", "red"),), (Condition("size", 2.5, least=True),), (Condition("on", False),)]
)
def test_a_pattern_remembers_its_move(conditions):
    move = Move(Relation.SUITED if conditions else Relation.BEFORE, ("a",) if conditions else ("a", "b"), conditions)
    pattern = pattern_of(contrast_of(move, tracked()), tracked(), avoid=True)
    assert move_of(pattern) == move
    assert conditions_of(pattern) == conditions
    assert pattern.avoid


def test_a_pattern_that_somebody_wrote_has_no_move():
    assert move_of(Pattern("t", "Be kind", "Always.", ("respond",))) is None


def test_without_followers_a_pattern_has_no_figures():
    pattern = pattern_of(contrast_of(Move(Relation.TAKEN, ("x",)), tracked()), tracked(), avoid=False)
    assert (pattern.support, pattern.success_low, pattern.success_high, pattern.improvement) == (0, 0, 1, None)
    assert pattern.base_rate == pytest.approx(0.5)
    assert pattern.metadata["difference"] is None
