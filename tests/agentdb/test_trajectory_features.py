"""Features of trajectories against plain recounts."""

import json
import math
from itertools import groupby

import numpy as np
import pytest
from hypothesis import given
from scipy.stats import entropy

from lean_agentic.agentdb.action_roles import Role, role_of
from lean_agentic.agentdb.records import Step, Trajectory
from lean_agentic.agentdb.trajectory_features import action_ngrams, call_key, describe, feature_rows, flatten
from tests.agentdb.made_trajectories import FEW, any_trajectory, made


@FEW
@given(any_trajectory())
def test_every_trajectory_has_the_same_finite_features(trajectory):
    features = describe(trajectory)
    assert tuple(features) == tuple(describe(Trajectory("t", ())))
    assert all(math.isfinite(value) for value in features.values())


@FEW
@given(any_trajectory())
def test_counts_are_those_of_a_plain_recount(trajectory):
    found = describe(trajectory)
    actions = [step.action for step in trajectory.steps]
    calls = [(step.action, json.dumps(step.state.get("arguments"), sort_keys=True)) for step in trajectory.steps]
    assert found["steps"] == pytest.approx(math.log1p(len(actions)))
    assert found["reads"] == pytest.approx(math.log1p(sum(role_of(name) is Role.READ for name in actions)))
    assert found["repeated calls"] == pytest.approx(math.log1p(len(calls) - len(set(calls))))
    assert found["longest run"] == pytest.approx(
        math.log1p(max((len(list(run)) for _, run in groupby(actions)), default=0))
    )
    counts = np.unique(actions, return_counts=True)[1] if actions else [1]
    assert found["action entropy"] == pytest.approx(entropy(counts), abs=1e-12)
    assert found["cost"] == pytest.approx(math.log1p(sum(step.cost for step in trajectory.steps)))


def test_failed_writes_are_told_from_those_that_went_through():
    found = describe(made("search_items", "update_item!", "update_item", "update_item", "send_mail"))
    assert found["writes"] == math.log1p(3)
    assert found["kinds of write"] == 2
    assert found["failed writes"] == math.log1p(1)
    assert found["failed then went on"] == 1
    assert found["handed over"] == 0
    assert describe(made("respond", "transfer_to_person"))["handed over"] == 1


def test_a_value_is_grounded_where_somebody_said_it_or_a_result_showed_it():
    steps = (
        Step({"heard": "Order 17, please. Yes, go ahead."}, "get_order", '{"owner": "Ada"}'),
        Step({"heard": "Yes.", "arguments": {"order": 17, "owner": "ada", "note": "gift"}}, "update_order", "done"),
    )
    found = describe(Trajectory("t", steps))
    assert found["ungrounded values"] == pytest.approx(1 / 3)
    assert found["writes agreed to"] == 1
    assert found["written values"] == math.log1p(3)


def test_what_the_agent_itself_said_grounds_nothing():
    steps = (
        Step({"arguments": {"content": "Shall I send it to Grace?"}}, "respond", "no idea"),
        Step({"heard": "no idea", "arguments": {"to": "Grace"}}, "send_parcel", "sent"),
    )
    found = describe(Trajectory("t", steps))
    assert found["ungrounded values"] == 1
    assert found["writes agreed to"] == 0


def test_words_are_counted_by_who_said_them():
    steps = (
        Step(
            {"arguments": {"content": "Unfortunately I cannot do that. Anything else?"}},
            "respond",
            "That is unacceptable!",
        ),
        Step({"arguments": {"content": "Here you are."}}, "respond", "Perfect, thank you"),
    )
    found = describe(Trajectory("t", steps))
    assert found["share of refusals"] == 0.5
    assert found["last words refuse"] == 0
    assert found["questions"] == math.log1p(1)
    assert found["displeasure"] == math.log1p(1)
    assert found["thanked"] == 1


def test_flattening_gives_dotted_paths_and_lengths():
    state = {"user": {"age": 3, "tags": ["a", {"b": None}]}, "on": True}
    assert list(flatten(state)) == [
        ("user.age", 3),
        ("user.tags.length", 2),
        ("user.tags[]", "a"),
        ("user.tags[].b", None),
        ("on", True),
    ]


@FEW
@given(any_trajectory())
def test_ngrams_of_one_are_counts_of_actions(trajectory):
    counts = action_ngrams(trajectory, 3)
    n = len(trajectory.steps)
    for length in (1, 2, 3):
        assert sum(count for ngram, count in counts.items() if len(ngram) == length) == max(n - length + 1, 0)


def test_a_call_is_the_same_whatever_the_order_of_its_arguments():
    first, second = Step({"arguments": {"a": 1, "b": 2}, "x": 1}, "act"), Step({"arguments": {"b": 2, "a": 1}}, "act")
    assert call_key(first) == call_key(second) != call_key(Step({"arguments": {"a": 1}}, "act"))


def test_rows_are_the_features_of_each():
    names, rows = feature_rows([made("respond"), made("get_item", "respond")])
    assert rows.shape == (2, len(names))
    assert list(rows[1]) == list(describe(made("get_item", "respond")).values())
    assert feature_rows([])[1].shape == (0, len(names))
