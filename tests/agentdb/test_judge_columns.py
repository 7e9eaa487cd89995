"""Which columns a judge settles on, and what they hold."""

import math

from hypothesis import given
from hypothesis import strategies as st

from lean_agentic.agentdb.action_roles import role_of
from lean_agentic.agentdb.judge_columns import LEAST_GROUPS, first_state, settle_columns
from lean_agentic.agentdb.records import Step, Trajectory
from tests.agentdb.made_trajectories import FEW, any_trajectory


def started(size: object, colour: str, action: str = "act") -> Trajectory:
    return Trajectory(
        "t", (Step({"size": size, "colour": colour, "arguments": {"x": colour}}, action), Step({}, "end"))
    )


def test_columns_are_what_varies_and_occurs_in_several_tasks():
    trajectories = [started(at, "red" if at % 2 else "blue", "act" if at < 5 else "pause") for at in range(10)]
    columns = settle_columns(trajectories, [f"g{at}" for at in range(10)], role_of)
    assert columns.numbers == ("size",)
    assert columns.values == (("colour", "blue"), ("colour", "red"))
    # `end` occurs in all of them; pairs occur where their first action does.
    assert columns.ngrams == (("act",), ("act", "end"), ("pause",), ("pause", "end"))
    assert "steps" not in columns.features
    row = dict(zip(columns.names, columns.rows([trajectories[7]], role_of)[0], strict=True))
    assert (row["size"], row["colour is red"], row["colour is blue"]) == (math.log1p(7), 1, 0)
    assert (row["does act"], row["does pause then end"]) == (0, 1)


def test_one_tasks_own_action_is_no_column():
    trajectories = [started(at, "red", "act" if at < LEAST_GROUPS else "pause") for at in range(2 * LEAST_GROUPS)]
    groups = ["same" if at < LEAST_GROUPS else f"g{at}" for at in range(2 * LEAST_GROUPS)]
    assert ("act",) not in settle_columns(trajectories, groups, role_of).ngrams
    assert ("act",) in settle_columns(trajectories, [str(at) for at in range(2 * LEAST_GROUPS)], role_of).ngrams


def test_a_state_that_lacks_a_number_or_has_another_type_counts_as_zero():
    trajectories = [started(at, "red") for at in range(6)]
    columns = settle_columns(trajectories, [str(at) for at in range(6)], role_of)
    place = columns.names.index("size")
    for odd in (started("many", "red"), started(True, "red"), started(math.inf, "red"), Trajectory("t", ())):
        assert columns.rows([odd], role_of)[0, place] == 0
    assert columns.rows([started(-3, "red")], role_of)[0, place] == -math.log1p(3)


def test_arguments_are_no_part_of_the_situation():
    assert first_state(started(1, "red")) == {"size": 1, "colour": "red"}
    assert first_state(Trajectory("t", ())) == {}


@FEW
@given(st.lists(any_trajectory(), min_size=1, max_size=12), st.randoms())
def test_columns_do_not_depend_on_order(trajectories, random):
    groups = [trajectory.group for trajectory in trajectories]
    order = random.sample(range(len(groups)), len(groups))
    assert settle_columns(trajectories, groups, role_of) == settle_columns(
        [trajectories[at] for at in order], [groups[at] for at in order], role_of
    )
