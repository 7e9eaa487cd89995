"""Advice on held-out tasks: worth something where it was planted, nothing where it was not."""

import math

import numpy as np
import pytest

from lean_agentic.agentdb.contrast import MiningSettings
from lean_agentic.agentdb.pattern_search import hit_of
from lean_agentic.agentdb.records import Pattern
from lean_agentic.workbench import memory_advice as advice
from tests.agentdb.made_trajectories import made, planted


def hit(action, *, avoid=False, relation="taken", successes=8.0):
    pattern = Pattern(
        "t",
        action,
        "",
        (action,),
        avoid,
        support=10,
        successes=successes,
        base_rate=0.4,
        metadata={"relation": relation},
    )
    return hit_of(pattern, {}, None)


def test_adherence_is_the_weighted_share_of_advice_taken():
    do, avoid = hit("update_item"), hit("send_mail", avoid=True, successes=3.0)
    both = made("update_item", "send_mail")
    expected = (do.score - avoid.score) / (do.score + avoid.score)
    assert advice.adherence(both, [do, avoid]) == pytest.approx(expected)
    assert advice.adherence(made("update_item"), [do, avoid]) == 1
    assert advice.adherence(made("send_mail"), [do, avoid]) == -1
    # The question does not arise, or there is no advice.
    assert math.isnan(advice.adherence(made("respond"), [hit("update_item", relation="repeated")]))
    assert math.isnan(advice.adherence(both, []))


def test_measures_by_hand():
    labels, tasks = np.array([1, 0, 1, 0, 0.0]), np.array([0, 0, 1, 1, 1])
    drawn = advice.Drawn(labels, np.array([1, -1, 0, 0, 1.0]), tasks)
    assert advice.within_tasks(drawn) == pytest.approx((1 + 0.5 + 0) / 3)
    assert advice.gain_of_choice(drawn) == pytest.approx(((1 - 0.5) + (0 - 1 / 3)) / 2)
    assert advice.across_tasks(drawn) == pytest.approx((1 + 0.5 + 1 + 0.5 + 1 + 0) / 6)
    assert math.isnan(advice.within_tasks(advice.Drawn(np.ones(2), np.zeros(2), np.zeros(2, int))))


def test_a_task_drawn_twice_is_two_tasks():
    held = advice.Advice(np.array([1.0, 0]), ("a", "a"), np.array([1.0, np.nan]), np.zeros(2), 1.0)
    drawn = advice._drawn(held, np.array([0, 1, 0, 1]))
    assert drawn.tasks.tolist() == [0, 0, 1, 1]
    assert drawn.followed.tolist() == [1, 0, 1, 0]


def test_planted_advice_tells_successes_from_failures_of_the_same_task():
    trajectories = planted(30, 4, seed=0, lift=0.8)
    found = advice.advise(trajectories, MiningSettings(), folds=3, repeats=1)
    drawn = advice._drawn(found, np.arange(len(found.labels)))
    assert found.patterns >= 1
    assert advice.within_tasks(drawn) > 0.7
    assert advice.gain_of_choice(drawn) > 0.15
    assert 0.2 < found.against.mean() < 0.8


def test_advice_mined_across_tasks_tells_easy_tasks_and_helps_in_none():
    trajectories = planted(40, 4, seed=1, difficulty=0.4)
    table = advice.advice_table(trajectories, repeats=1, draws=100)
    naive, ours = table.loc[advice.ACROSS], table.loc[advice.WITHIN]
    assert naive["auc across tasks low"] > 0.6
    assert naive["concordance within tasks low"] < 0.5 < naive["concordance within tasks high"] + 0.02
    assert ours["patterns"] < naive["patterns"]
    assert ours["auc across tasks"] < naive["auc across tasks"]
