"""The regressions of a judge against scikit-learn and brute force."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler

from lean_agentic.agentdb import judge_stages as stages
from tests.agentdb.made_trajectories import FEW


def rows_and_labels(n=80, p=4, seed=0):
    rng = np.random.default_rng(seed)
    rows = rng.normal(3, 2, (n, p)) * np.array([1, 10, 0.1, 1])[:p]
    return rows, (rng.random(n) < 1 / (1 + np.exp(3 - rows[:, 0]))).astype(float)


@pytest.mark.parametrize("penalty", [0.5, 10.0])
def test_log_odds_are_those_of_scikit_learn(penalty):
    rows, labels = rows_and_labels()
    scaler = StandardScaler().fit(rows)
    theirs = LogisticRegression(C=1 / penalty, tol=1e-10, max_iter=1000).fit(scaler.transform(rows), labels)
    ours = stages.fit_log_odds(rows, labels, penalty)
    np.testing.assert_allclose(ours(rows), theirs.decision_function(scaler.transform(rows)), atol=1e-4)
    np.testing.assert_allclose(ours.parts(rows).sum(axis=1) + ours.coefficients[0], ours(rows))


def test_a_constant_column_has_no_say():
    rows, labels = rows_and_labels()
    ours = stages.fit_log_odds(np.column_stack([rows, np.full(len(rows), 7.0)]), labels, 1.0)
    np.testing.assert_allclose(
        ours(np.column_stack([rows, np.full(len(rows), 7.0)])), stages.fit_log_odds(rows, labels, 1.0)(rows), atol=1e-8
    )


@FEW
@given(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=30), st.integers(1, 5), st.randoms())
def test_folds_keep_groups_whole_and_do_not_depend_on_order(groups, folds, random):
    fold = stages.folds_by_group(groups, folds, seed=1)
    assert {(group, at) for group, at in zip(groups, fold, strict=True)} == set(
        dict(zip(groups, fold, strict=True)).items()
    )
    order = random.sample(range(len(groups)), len(groups))
    again = stages.folds_by_group([groups[at] for at in order], folds, seed=1)
    assert [fold[at] for at in order] == list(again)
    assert set(fold) == set(range(min(folds, len(set(groups)))))


def test_unseen_predictions_never_saw_their_fold():
    rows, labels = rows_and_labels()
    fold = np.arange(len(rows)) % 4
    found = stages.unseen_log_odds(rows, labels, fold, 3.0)
    flipped = labels.copy()
    flipped[fold == 2] = 1 - flipped[fold == 2]
    again = stages.unseen_log_odds(rows, flipped, fold, 3.0)
    np.testing.assert_array_equal(found[fold == 2], again[fold == 2])
    assert not np.allclose(found[fold != 2], again[fold != 2])


def test_the_likeliest_penalty_is_chosen():
    rows, labels = rows_and_labels(40)
    fold = np.arange(40) % 5
    penalty, predicted = stages.choose_penalty(rows, labels, fold)
    losses = {
        each: log_loss(labels, 1 / (1 + np.exp(-stages.unseen_log_odds(rows, labels, fold, each))))
        for each in stages.PENALTIES
    }
    assert penalty == min(losses, key=losses.get)
    assert -stages.likelihood(predicted, labels) == pytest.approx(losses[penalty])


def test_nearby_odds_are_a_kernel_vote_of_other_groups():
    rng = np.random.default_rng(3)
    known, labels = rng.normal(size=(12, 2)), (rng.random(12) < 0.5).astype(float)
    groups = [f"g{at // 3}" for at in range(12)]
    queries, theirs = rng.normal(size=(5, 2)), ["g0", "g1", "new", "new", "g2"]
    apart = np.array([[np.sum((a - b) ** 2) for b in known] for a in known])
    other = np.array([[a != b for b in groups] for a in groups])
    width = np.median([min(apart[i][other[i]]) for i in range(12)])
    expected = []
    for query, group in zip(queries, theirs, strict=True):
        votes = [
            np.exp(-np.sum((query - row) ** 2) / 2 / width) if group != of else 0
            for row, of in zip(known, groups, strict=True)
        ]
        yes, no = np.dot(votes, labels), np.dot(votes, 1 - labels)
        expected.append(np.log((yes + 0.5) / (no + 0.5)))
    np.testing.assert_allclose(stages.nearby_odds(queries, theirs, known, labels, groups), expected, atol=1e-9)


def test_nothing_near_says_nothing():
    known, labels = np.array([[0.0], [1.0], [2.0]]), np.array([1.0, 1.0, 0.0])
    assert stages.nearby_odds(np.array([[1e6]]), ["q"], known, labels, ["a", "b", "c"])[0] == 0
    assert stages.nearby_odds(known, ["a"] * 3, known, labels, ["a"] * 3).tolist() == [0, 0, 0]


def test_odds_of_counts():
    np.testing.assert_allclose(stages.odds_of([0, 3, 1], [0, 0, 1]), [0, np.log(7), 0])
