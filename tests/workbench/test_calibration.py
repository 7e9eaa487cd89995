"""Ranking and calibration against scikit-learn and closed forms."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from lean_agentic.workbench.calibration import auc, auc_within, bootstrap_interval, calibration, calibration_error
from tests.agentdb.made_trajectories import FEW

SCORED = st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=2, max_size=30)


@FEW
@given(SCORED)
def test_auc_is_that_of_scikit_learn(rows):
    labels, scores = np.array(rows, float).T
    if len(set(labels)) == 2:
        assert auc(labels, scores) == pytest.approx(roc_auc_score(labels, scores))
    else:
        assert math.isnan(auc(labels, scores))


@FEW
@given(SCORED, st.randoms())
def test_auc_within_parts_counts_their_own_pairs_only(rows, random):
    labels, scores = np.array(rows, float).T
    parts = np.array([random.randrange(3) for _ in rows])
    pairs = [
        (a, b) for a in range(len(rows)) for b in range(len(rows)) if labels[a] > labels[b] and parts[a] == parts[b]
    ]
    won = [(scores[a] > scores[b]) + 0.5 * (scores[a] == scores[b]) for a, b in pairs]
    if pairs:
        assert auc_within(labels, scores, parts) == pytest.approx(np.mean(won))
    else:
        assert math.isnan(auc_within(labels, scores, parts))


def test_calibration_error_by_hand():
    labels, chances = np.array([0, 1, 1, 1.0]), np.array([0.2, 0.4, 0.7, 0.9])
    assert calibration_error(labels, chances, bins=2) == pytest.approx((abs(0.5 - 0.3) + abs(1 - 0.8)) / 2)
    assert calibration_error(labels, chances, bins=1) == pytest.approx(abs(0.75 - 0.55))
    assert calibration_error(labels, labels) == 0


def test_a_perfect_judges_error_is_told_from_a_bad_ones():
    rng = np.random.default_rng(0)
    chances = rng.random(400)
    good = calibration((rng.random(400) < chances) * 1.0, chances)
    bad = calibration((rng.random(400) < chances**3) * 1.0, chances)
    assert good.p_value > 0.02
    assert abs(good.excess) < 0.03
    assert bad.p_value < 0.01
    assert bad.excess > 0.1
    # In one bin of n fair coins the mean gap is sqrt(2 / pi) times the standard error.
    even = calibration(np.ones(100), np.full(100, 0.5), bins=1, draws=4000)
    assert even.perfect == pytest.approx(math.sqrt(2 / math.pi) * 0.05, rel=0.05)
    assert even.perfect_high == pytest.approx(1.96 * 0.05, rel=0.07)


def test_p_values_of_perfect_judges_are_even():
    rng = np.random.default_rng(1)
    values = []
    for seed in range(80):
        chances = rng.random(60)
        values.append(calibration((rng.random(60) < chances) * 1.0, chances, draws=60, seed=seed).p_value)
    assert np.mean(values) == pytest.approx(0.5, abs=0.12)


def test_intervals_resample_whole_groups():
    groups = [str(at // 5) for at in range(100)]
    values = np.repeat(np.random.default_rng(0).normal(size=20), 5)
    low, high = bootstrap_interval(groups, lambda rows: float(values[rows].mean()), draws=4000)
    error = values[::5].std() / math.sqrt(20)
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.2 * error)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.2 * error)


def test_draws_without_an_answer_are_left_out():
    low, high = bootstrap_interval(["a", "b"], lambda rows: float("nan") if rows[0] else 1.0, draws=50)
    assert (low, high) == (1, 1)
    assert all(map(math.isnan, bootstrap_interval(["a"], lambda rows: float("nan"), draws=5)))
