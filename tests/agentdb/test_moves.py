"""Moves against their definitions, spelled out one trajectory at a time."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lean_agentic.agentdb.action_roles import step_failed
from lean_agentic.agentdb.moves import Condition, Move, Relation, common_conditions, read_moves, situation
from lean_agentic.agentdb.records import Step, Trajectory
from tests.agentdb.made_trajectories import ACTIONS, FEW, any_trajectory

RED = Condition("colour", "red")
BIG = Condition("size", 5.0, least=True)


def in_state(*pairs: tuple[str, dict]) -> Trajectory:
    return Trajectory("t", tuple(Step(state, action, "fine") for action, state in pairs))


def by_definition(move: Move, trajectory: Trajectory) -> bool | None:
    """What `followed` must answer for a move without conditions."""
    actions = [step.action for step in trajectory.steps]
    first, second = move.actions[0], move.actions[-1]
    pairs = [(a, b) for at, a in enumerate(actions) for b in actions[at + 1 :]]
    if move.relation is Relation.TAKEN:
        return first in actions
    if move.relation is Relation.BEFORE:
        return (first, second) in pairs if second in actions else None
    if first not in actions:
        return None
    return {
        Relation.NEXT: (first, second) in itertools.pairwise(actions),
        Relation.REPEATED: actions.count(first) > 1,
        Relation.FAILED: any(step.action == first and step_failed(step) for step in trajectory.steps),
    }[move.relation]


@FEW
@given(any_trajectory(), st.sampled_from([r for r in Relation if r is not Relation.SUITED]), st.permutations(ACTIONS))
def test_plain_moves_are_what_they_say(trajectory, relation, names):
    two = relation in (Relation.BEFORE, Relation.NEXT)
    move = Move(relation, tuple(names[: 2 if two else 1]))
    assert move.followed(trajectory) is by_definition(move, trajectory)


@FEW
@given(st.lists(any_trajectory(), max_size=5))
def test_reading_many_is_reading_each(trajectories):
    conditions = common_conditions(trajectories)
    reading = read_moves(trajectories, conditions)
    for move, followers in reading.followers.items():
        answers = [move.followed(trajectory) for trajectory in trajectories]
        assert followers == {place for place, answer in enumerate(answers) if answer}
        assert reading.eligible(move) == {place for place, answer in enumerate(answers) if answer is not None}


def test_a_choice_is_asked_of_those_in_the_situation():
    move = Move(Relation.TAKEN, ("paint",), (RED,))
    assert move.followed(in_state(("look", {}), ("paint", {"colour": "red"}))) is True
    assert move.followed(in_state(("look", {"colour": "red"}), ("paint", {"colour": "blue"}))) is False
    assert move.followed(in_state(("paint", {"colour": "blue"}))) is None


def test_a_circumstance_is_asked_of_those_that_took_the_action_knowing_it():
    move = Move(Relation.SUITED, ("paint",), (RED,))
    assert move.followed(in_state(("paint", {"colour": "blue"}), ("paint", {"colour": "red"}))) is True
    assert move.followed(in_state(("paint", {"colour": "blue"}))) is False
    assert move.followed(in_state(("paint", {}))) is None
    assert move.followed(in_state(("look", {"colour": "red"}))) is None


@pytest.mark.parametrize(
    ("condition", "state", "holds"),
    [
        (RED, {"colour": "red"}, True),
        (RED, {"colour": "blue"}, False),
        (RED, {}, None),
        (RED, {"colour": None}, None),
        (BIG, {"size": 5}, True),
        (BIG, {"size": 4.9}, False),
        (BIG, {"size": "large"}, None),
        (BIG, {"size": True}, None),
        (Condition("on", True), {"on": True}, True),
        (Condition("on", True), {"on": 1}, False),
        (Condition("n", 3), {"n": 3.0}, True),
    ],
)
def test_conditions_hold_fail_or_do_not_say(condition, state, holds):
    assert condition.holds(state) is holds


def test_common_conditions_are_values_that_recur_and_cuts_of_numbers():
    trajectories = [
        in_state(("act", {"colour": "red" if at % 2 else "blue", "name": f"n{at}", "size": at, "odd": {"on": at < 4}}))
        for at in range(20)
    ]
    found = common_conditions(trajectories)
    assert Condition("colour", "red") in found
    assert Condition("odd.on", True) in found
    assert not [each for each in found if each.path == "name"]
    cuts = [each.value for each in found if each.path == "size"]
    assert cuts == sorted(cuts)
    # Each quarter of the numbers lies between two cuts.
    assert [sum(at < cut for at in range(20)) for cut in cuts] == [5, 10, 15]


def test_a_rare_value_is_no_condition():
    trajectories = [in_state(("act", {"colour": "red" if at else "blue"})) for at in range(30)]
    assert common_conditions(trajectories) == [Condition("colour", "red")]


@FEW
@given(st.lists(any_trajectory(), max_size=8), st.randoms())
def test_conditions_do_not_depend_on_order(trajectories, random):
    assert common_conditions(trajectories) == common_conditions(random.sample(trajectories, len(trajectories)))


def test_a_situation_is_the_state_without_arguments_and_lists_items():
    step = Step({"a": {"b": 1}, "list": [7, 8], "arguments": {"x": 1}}, "act")
    assert situation(step) == {"a.b": 1, "list.length": 2}


def test_keys_put_simple_moves_first():
    moves = [
        Move(Relation.TAKEN, ("a",), (RED,)),
        Move(Relation.NEXT, ("a", "b")),
        Move(Relation.TAKEN, ("b",)),
        Move(Relation.TAKEN, ("a",)),
    ]
    assert sorted(moves, key=lambda move: move.key) == [moves[3], moves[2], moves[1], moves[0]]
