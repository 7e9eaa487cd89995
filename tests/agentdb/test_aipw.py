from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from lean_agentic.agentdb.aipw import clustered_standard_error, effective_rows, fit_aipw
from lean_agentic.agentdb.propensity import clipping_bound


def planted(n: int, seed: int, effect: float = 2.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    columns = rng.normal(size=(n, 2))
    treated = rng.random(n) < expit(1.2 * columns[:, 0])
    outcome = 3 * columns[:, 0] + effect * treated + rng.normal(size=n)
    return columns, treated, outcome


def test_a_confounded_effect_is_found_where_the_naive_difference_is_far_off() -> None:
    columns, treated, outcome = planted(4000, 0)
    fit = fit_aipw([columns], treated, outcome, np.arange(4000))
    assert outcome[treated].mean() - outcome[~treated].mean() > 4
    assert fit.scores.mean() == pytest.approx(2.0, abs=0.15)


def test_either_model_alone_is_enough() -> None:
    rng = np.random.default_rng(1)
    n = 6000
    x = rng.normal(size=n)
    bent = np.column_stack([x, x**2])
    # Linear columns cannot describe this outcome, but describe the action; and the other way round.
    treated = rng.random(n) < expit(x)
    outcome = x**2 + 2 * x + 1.0 * treated + rng.normal(size=n)
    assert fit_aipw([x[:, None]], treated, outcome, np.arange(n)).scores.mean() == pytest.approx(1.0, abs=0.2)
    treated = rng.random(n) < expit(x**2 - 1)
    outcome = 2 * x**2 + 1.0 * treated + rng.normal(size=n)
    wrong = fit_aipw([x[:, None]], treated, outcome, np.arange(n)).scores.mean()
    right = fit_aipw([bent], treated, outcome, np.arange(n)).scores.mean()
    assert right == pytest.approx(1.0, abs=0.15)
    assert abs(wrong - 1.0) > 0.5


def test_rows_are_the_augmented_inverse_propensity_scores() -> None:
    """With no covariates both models are means, and the scores average to the difference of means."""
    rng = np.random.default_rng(3)
    treated, outcome = rng.random(200) < 0.4, rng.normal(size=200)
    fit = fit_aipw([np.empty((200, 0))], treated, outcome, np.arange(200))
    assert fit.scores.mean() == pytest.approx(outcome[treated].mean() - outcome[~treated].mean(), abs=0.02)


def test_clusters_count_as_one_in_the_standard_error() -> None:
    rng = np.random.default_rng(2)
    scores = rng.normal(size=50)
    single = clustered_standard_error(scores, np.arange(50))
    assert single == pytest.approx(scores.std(ddof=1) / np.sqrt(50))
    repeated = clustered_standard_error(np.repeat(scores, 4), np.repeat(np.arange(50), 4))
    assert repeated == pytest.approx(single)


def test_weights_are_counted_as_kish_does() -> None:
    chance = np.array([0.5, 0.25, 0.5, 0.001])
    treated = np.array([True, True, False, False])
    with_action, without = effective_rows(chance, treated, 0.1)
    assert with_action == pytest.approx((2 + 4) ** 2 / (4 + 16))
    assert without == pytest.approx((2 + 1 / 0.9) ** 2 / (4 + 1 / 0.81))


def test_chances_beyond_the_bound_are_counted_as_clipped() -> None:
    columns, treated, outcome = planted(400, 4)
    fit = fit_aipw([columns * 1.0], treated, outcome, np.arange(400))
    assert fit.bound == clipping_bound(400)
    assert fit.clipped.sum() == np.sum((fit.chance < fit.bound) | (fit.chance > 1 - fit.bound))
