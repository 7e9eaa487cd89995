"""Contrast mining: what was planted is found, what was not is not, and difficulty does not pass for a cause."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lean_agentic.agentdb.contrast import MiningSettings, contrast_of, mine_contrasts
from lean_agentic.agentdb.moves import Condition, Move, Relation
from lean_agentic.agentdb.records import Step, Trajectory, Verdict
from tests.agentdb.made_trajectories import FEW, any_trajectory, made, planted

UPDATE, MAIL = Move(Relation.TAKEN, ("update_item",)), Move(Relation.TAKEN, ("send_mail",))


def discovered(trajectories, **changes):
    chosen = MiningSettings(**changes)
    return [each for each in mine_contrasts(trajectories, chosen) if each.q_value <= chosen.false_discoveries]


def test_what_was_planted_is_found_first():
    found = discovered(planted(40, 4, seed=0, lift=0.5))
    assert found[0].move == UPDATE
    assert found[0].helps
    assert found[0].difference == pytest.approx(0.5, abs=0.15)
    assert found[0].lift == pytest.approx(3, abs=1)
    harmful = discovered(planted(40, 4, seed=1, lift=-0.5))
    assert harmful[0].move == UPDATE
    assert not harmful[0].helps


def test_difficulty_of_tasks_does_not_pass_for_an_effect():
    mails = 0
    for seed in range(10):
        trajectories = planted(30, 4, seed=seed, difficulty=0.35)
        across = contrast_of(MAIL, trajectories, MiningSettings(within_tasks=False))
        assert across.p_value < 0.01
        assert across.difference < -0.25
        mails += any("send_mail" in each.move.actions for each in discovered(trajectories))
    # Ten data sets at a false discovery rate of .1 over all moves.
    assert mails <= 2


def test_null_data_yield_no_more_than_the_nominal_rate():
    # All hypotheses true: a data set with any discovery counts whole, at most 10% of them on average.
    wrong = sum(bool(discovered(planted(12, 4, seed=seed))) for seed in range(60))
    # Binomial(60, .1): 13 or more has probability .006.
    assert wrong < 13


def test_without_groups_all_trajectories_are_one_pool():
    trajectories = [replace(each, group="") for each in planted(60, 1, seed=2, lift=0.6)]
    assert UPDATE in [each.move for each in discovered(trajectories)]
    # A task tried once is pooled with the others tried once.
    once = planted(60, 1, seed=2, lift=0.6)
    assert contrast_of(UPDATE, once).p_value == contrast_of(UPDATE, trajectories).p_value


def test_a_condition_is_found_where_it_decides():
    trajectories = []
    for at in range(60):
        big, act = at % 2 == 0, at % 4 < 2
        good = big if act else at % 3 == 0
        state = {"size": 10 if big else 2, "colour": "red"}
        actions = ("compile", "end") if act else ("end",)
        trajectories.append(
            Trajectory(
                "t", tuple(Step(state, name) for name in actions), verdict=Verdict("success" if good else "failure")
            )
        )
    best = discovered(trajectories)[0]
    assert best.move.actions == ("compile",)
    assert best.move.conditions == (Condition("size", 10.0, least=True),)
    assert not [each for each in mine_contrasts(trajectories, MiningSettings(conditions=False)) if each.move.conditions]


def test_figures_are_plain_counts():
    trajectories = [
        made("update_item", verdict=True, group="a"),
        made("update_item", verdict=True, group="a", confidence=0.75),
        made("respond", verdict=False, group="a"),
        made("update_item", verdict=False, group="b"),
        made("respond", verdict=True, group="b", confidence=0.5),
        made("respond", group="b"),
    ]
    found = contrast_of(UPDATE, trajectories)
    assert (found.support, found.others, found.places) == (3, 1, (0, 1, 3))
    assert found.successes == pytest.approx(1.75)
    assert found.difference == 1
    assert found.tasks == 1
    assert found.base_rate == 0
    nothing = contrast_of(Move(Relation.TAKEN, ("unheard of",)), trajectories)
    assert (nothing.support, nothing.others, nothing.p_value) == (0, 4, 1)


def test_alike_splits_are_one_test_told_by_the_simplest():
    # `update_item` is always followed by `send_mail`: one question, not five.
    trajectories = [made("get_item", *["update_item", "send_mail"] * (at % 2), verdict=at % 2 == 0) for at in range(20)]
    (only,) = mine_contrasts(trajectories)
    assert only.move == MAIL or only.move == UPDATE
    assert only.move == min(UPDATE, MAIL, key=lambda move: move.key)


def test_too_few_to_tell_are_not_tested():
    assert mine_contrasts([]) == []
    assert mine_contrasts([made("respond", verdict=True), made("get_item", verdict=False)]) == []
    assert mine_contrasts(planted(5, 4, seed=0), MiningSettings(least_support=11)) == []


@FEW
@given(st.lists(any_trajectory(), min_size=4, max_size=14), st.randoms())
def test_the_order_of_trajectories_does_not_matter(trajectories, random):
    def told(found):
        return [replace(each, places=()) for each in found]

    chosen = MiningSettings(least_support=1)
    shuffled = random.sample(trajectories, len(trajectories))
    ours, theirs = told(mine_contrasts(trajectories, chosen)), told(mine_contrasts(shuffled, chosen))
    assert [each.move for each in ours] == [each.move for each in theirs]
    for a, b in zip(ours, theirs, strict=True):
        assert a.p_value == pytest.approx(b.p_value)
        assert a.difference == pytest.approx(b.difference)


@FEW
@given(st.lists(any_trajectory(), min_size=4, max_size=14))
def test_corrected_p_values_are_never_below_the_plain_ones(trajectories):
    for each in mine_contrasts(trajectories, MiningSettings(least_support=1)):
        assert each.p_value <= each.q_value <= 1
