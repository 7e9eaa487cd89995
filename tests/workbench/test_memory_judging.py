"""Judges measured on planted trajectories: no peeking, and the tables say what happened."""

from dataclasses import replace

import numpy as np
import pytest

from lean_agentic.agentdb.records import Verdict
from lean_agentic.workbench import memory_judging as judging
from tests.agentdb.made_trajectories import planted


@pytest.fixture(scope="module")
def trajectories():
    return planted(15, 4, seed=3, lift=0.7, difficulty=0.1)


@pytest.fixture(scope="module")
def predictions(trajectories):
    return judging.predict(trajectories, folds=3, repeats=2)


def test_every_trajectory_is_judged_by_every_judge(predictions):
    assert set(predictions.chances) == set(judging.SEES)
    for chances in predictions.chances.values():
        assert chances.shape == predictions.folds.shape == (2, 60)
        assert np.all((chances > 0) & (chances < 1))


def test_labels_of_a_held_out_task_reach_only_the_judges_that_may_see_them(trajectories, predictions):
    """Flip all verdicts of one task: judgements of it change only where other trials' verdicts are shown."""
    flip = {Verdict.SUCCESS: Verdict.FAILURE, Verdict.FAILURE: Verdict.SUCCESS}
    task = trajectories[0].group
    changed = [replace(t, verdict=flip[t.verdict]) if t.group == task else t for t in trajectories]
    again = judging.predict(changed, folds=3, repeats=2)
    inside = np.array([trajectory.group == task for trajectory in trajectories])
    for name, chances in predictions.chances.items():
        same = np.array_equal(chances[:, inside], again.chances[name][:, inside])
        assert same is (name not in (judging.VERDICTS, judging.MEMORY)), name


def test_the_table_has_a_row_a_judge_and_intervals_around_the_figures(predictions):
    table = judging.judge_table(predictions, draws=100)
    assert list(table.index) == list(judging.SEES)
    assert ((table.auc_low <= table.auc) & (table.auc <= table.auc_high)).all()
    assert table.auc_within_folds[judging.BASE_RATE] == 0.5
    assert table.auc[judging.ALONE] > 0.65
    assert np.allclose(table.ece_excess, table.ece - table.ece_of_a_perfect_judge)
    assert set(table.tasks) == {15}


def test_abstaining_more_gives_fewer_verdicts(predictions):
    table = judging.abstention_table(predictions, judging.ALONE)
    assert table.coverage[0] == 1
    assert table.coverage.is_monotonic_decreasing
    right = (predictions.chances[judging.ALONE] >= 0.5) == predictions.labels
    assert table.accuracy[0] == pytest.approx(right.mean())


def test_choosing_by_a_perfect_judge_gains_what_can_be_gained():
    labels = np.array([1.0, 0, 0, 0, 1, 1])
    groups = ("a", "a", "b", "b", "c", "c")
    chances = {judging.ALONE: labels[None] * 0.8 + 0.1, judging.TRIALS: np.full((1, 6), 0.5)}
    table = judging.choice_table(judging.Predictions(labels, groups, np.zeros((1, 6), int), chances), draws=50)
    assert table.gain[judging.ALONE] == pytest.approx(0.5 / 3)
    assert table.gain[judging.TRIALS] == 0
    assert set(table.tasks) == {3}
