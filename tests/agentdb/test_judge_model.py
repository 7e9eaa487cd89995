"""What a judge learns: evidence rows by hand, what is refused, and that held-out tasks stay unseen."""

import numpy as np
import pytest

from lean_agentic.agentdb.action_roles import role_of
from lean_agentic.agentdb.judge_model import Evidence, evidence_row, fit_model, own_evidence, task_key
from lean_agentic.agentdb.judges import JudgeError
from tests.agentdb.made_trajectories import made, planted


def test_evidence_of_trials_is_agreement_and_shrunken_odds():
    trials = [
        made("update_item", verdict=True),
        made("respond", verdict=False),
        made("update_item", verdict=True),
        made("update_item"),
    ]
    found = evidence_row(made("update_item"), trials, Evidence.VERDICTS)
    np.testing.assert_allclose(found, [0.75, 0.75, 0.75, np.log(2.5 / 1.5)])
    np.testing.assert_array_equal(evidence_row(made("update_item"), trials, Evidence.TRIALS), found[:3])
    assert evidence_row(made("update_item"), trials, Evidence.ALONE).shape == (0,)


def test_an_unsure_verdict_counts_in_part():
    trials = [made("respond", verdict=True, confidence=0.8), made("respond", verdict=False, confidence=0.6)]
    assert evidence_row(made("respond"), trials, Evidence.VERDICTS)[3] == pytest.approx(np.log(1.7 / 1.3))


@pytest.mark.parametrize(
    ("trajectories", "message"),
    [
        ([], "0 successes and 0 failures of 0 tasks"),
        ([made("respond", verdict=True, group=f"g{at}") for at in range(9)], "9 successes and 0 failures of 9 tasks"),
        (
            [made("respond", verdict=at % 2 == 0, group="one") for at in range(9)],
            "5 successes and 4 failures of 1 tasks",
        ),
        ([made("respond", group=f"g{at}") for at in range(9)], "0 successes and 0 failures of 0 tasks"),
    ],
)
def test_too_little_to_learn_from_is_refused(trajectories, message):
    with pytest.raises(JudgeError, match=message):
        fit_model(trajectories)


def test_a_trajectory_without_a_group_is_a_task_of_its_own():
    assert task_key(made("respond", group="a"), 0) == task_key(made("respond", group="a"), 1)
    assert task_key(made("respond"), 0) != task_key(made("respond"), 1)
    assert task_key(made("respond", group="a"), 0) != task_key(made("respond", group="a", task_type="other"), 0)


def test_without_trials_only_what_a_trajectory_shows_is_learned():
    singles = [made("get_item", *["update_item"] * (at % 2), verdict=at % 3 > 0, group=f"g{at}") for at in range(30)]
    assert set(fit_model(singles).stacks) == {Evidence.ALONE}
    assert set(fit_model(planted(10, 3, seed=0, lift=0.5)).stacks) == set(Evidence)


def test_verdicts_of_the_own_task_do_not_enter_what_similar_tasks_say():
    trajectories = planted(12, 4, seed=2, lift=0.6)
    model = fit_model(trajectories)
    row = model.columns.rows([trajectories[0]], role_of)
    key = task_key(trajectories[0], 0)
    inside = own_evidence(model, row, [key])[0, 1]
    own = np.array([group == key for group in model.groups])
    flipped = type(model)(
        model.columns,
        model.first,
        model.stacks,
        model.known,
        np.where(own, 1 - model.labels, model.labels),
        model.groups,
        model.penalty,
    )
    assert own_evidence(flipped, row, [key])[0, 1] == inside
    assert own_evidence(flipped, row, ["another"])[0, 1] != own_evidence(model, row, ["another"])[0, 1]
