"""Agreement between trials: worked by hand, and laws."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lean_agentic.agentdb.records import Step, Trajectory
from lean_agentic.agentdb.trials_agreement import AGREEMENT, agreement, writes
from tests.agentdb.made_trajectories import FEW, any_trajectory, made


def booked(*rooms: int) -> Trajectory:
    return Trajectory("t", tuple(Step({"arguments": {"room": room}}, "book_room", "done") for room in rooms))


def test_shares_are_of_the_other_trials():
    others = [booked(2, 1), booked(1), booked(3, 4), made("respond")]
    same, kinds, overlap = agreement(booked(1, 2), others)
    assert same == 1 / 4
    assert kinds == 2 / 4
    assert overlap == pytest.approx((1 + 1 / 2 + 0 + 0) / 4)


def test_writes_that_failed_do_not_count():
    assert [step.action for step in writes(made("get_item", "update_item!", "update_item"))] == ["update_item"]
    assert agreement(made("update_item!"), [made("search_items", "respond")])[0] == 1


def test_without_others_there_is_no_agreement():
    with pytest.raises(ValueError, match="at least one other"):
        agreement(made("respond"), [])


@FEW
@given(any_trajectory(), st.lists(any_trajectory(), min_size=1, max_size=4), st.randoms())
def test_order_does_not_matter_and_shares_are_shares(trajectory, others, random):
    found = agreement(trajectory, others)
    shuffled = random.sample(others, len(others))
    assert found == pytest.approx(agreement(trajectory, shuffled))
    assert len(found) == len(AGREEMENT)
    assert all(0 <= share <= 1 for share in found)
    assert found[0] <= min(found[1], found[2])


@FEW
@given(any_trajectory(), any_trajectory())
def test_two_agree_with_each_other_alike(first, second):
    assert agreement(first, [second]) == agreement(second, [first])
    assert agreement(first, [first]) == (1, 1, 1)
