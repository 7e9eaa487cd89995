"""Trials of one task beside each other, by hand."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lean_agentic.agentdb.judges import JudgeError
from lean_agentic.agentdb.moves import Move, Relation
from lean_agentic.agentdb.records import Step, Trajectory, Verdict
from lean_agentic.agentdb.trials_contrast import contrast_trials
from tests.agentdb.made_trajectories import FEW, any_trajectory, made


def booked(room: int, *, verdict: bool, id: int, words: str = "") -> Trajectory:
    steps = (
        Step({"arguments": {"content": words}}, "respond"),
        Step({"arguments": {"room": room, "note": words}}, "book_room"),
    )
    return Trajectory("t", steps, verdict=Verdict.SUCCESS if verdict else Verdict.FAILURE, group="g", id=id)


def test_moves_of_every_success_and_no_failure_are_told():
    trials = [
        made("get_user", "search_items", "update_item", verdict=True, group="g", id=1),
        made("get_user", "update_item", verdict=True, group="g", id=2),
        made("search_items", "update_item", verdict=False, group="g", id=3),
        made("search_items", "send_mail", "update_item", verdict=False, group="g", id=4),
        made("send_mail", group="g", id=5),
    ]
    found = contrast_trials(trials)
    assert (found.group, found.successes, found.failures) == ("g", (1, 2), (3, 4))
    assert found.always_in_successes == (Move(Relation.TAKEN, ("get_user",)),)
    assert found.always_in_failures == ()
    assert found.summary.splitlines()[:2] == ["2 of 4 trials succeeded.", "Only those that succeeded: Take get_user."]


def test_they_part_where_actions_differ_from_the_closest_failure():
    trials = [
        made("get_user", "search_items", "update_item", verdict=True, group="g", id=1),
        made("send_mail", verdict=False, group="g", id=2),
        made("get_user", "search_items", "send_mail", verdict=False, group="g", id=3),
    ]
    (parting,) = contrast_trials(trials).partings
    assert (parting.success, parting.failure, parting.step) == (1, 3, 2)
    assert parting.reason == "at step 2 the success took update_item, the failure send_mail"


def test_they_part_where_the_same_action_is_about_something_else():
    prose = "a sentence that is far too long to be a value that anybody would compare"
    trials = [booked(7, verdict=True, id=1, words=prose), booked(8, verdict=False, id=2, words=prose.upper())]
    (parting,) = contrast_trials(trials).partings
    assert (parting.step, parting.reason) == (1, "at step 1 both took book_room; its arguments differ in room 7 and 8")


def test_one_may_go_on_where_the_other_ends():
    trials = [
        made("get_user", "update_item", verdict=True, group="g", id=1),
        made("get_user", verdict=False, group="g", id=2),
    ]
    (parting,) = contrast_trials(trials).partings
    assert parting.reason == "after 1 steps the success went on with update_item and the other ended"
    flipped = [replace(trials[0], verdict=Verdict.FAILURE), replace(trials[1], verdict=Verdict.SUCCESS)]
    assert "the failure went on with update_item" in contrast_trials(flipped).partings[0].reason


@pytest.mark.parametrize(
    "trials",
    [
        [],
        [made("respond", verdict=True, group="g")],
        [made("respond", verdict=True, group="g"), made("respond", group="g")],
        [made("respond", verdict=True, group="g"), made("respond", verdict=False, group="h")],
    ],
)
def test_a_contrast_needs_both_of_one_task(trials):
    with pytest.raises(JudgeError, match="needs a success and a failure of one task"):
        contrast_trials(trials)


@FEW
@given(st.lists(any_trajectory(), min_size=2, max_size=5), st.randoms())
def test_the_order_of_trials_does_not_matter(trajectories, random):
    trials = [
        replace(each, group="g", id=at + 1, verdict=Verdict.FAILURE if at else Verdict.SUCCESS)
        for at, each in enumerate(trajectories)
    ]
    found = contrast_trials(trials)
    assert found == contrast_trials(random.sample(trials, len(trials)))
    for parting in found.partings:
        ours, theirs = (next(t for t in trials if t.id == which) for which in (parting.success, parting.failure))
        assert [s.action for s in ours.steps[: parting.step]] == [s.action for s in theirs.steps[: parting.step]]
        assert parting.reason
