from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression, Ridge

from lean_agentic.agentdb.ridge import PENALTIES, fit_ridge


def data(n: int = 80, logistic: bool = True) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    columns = rng.normal(size=(n, 4))
    linear = columns @ [1.0, -0.5, 0.0, 0.3] + 0.4
    outcome = (rng.random(n) < expit(linear)).astype(float) if logistic else linear + rng.normal(size=n)
    return columns, outcome


@pytest.mark.parametrize("penalty", [0.1, 1.0, 30.0])
def test_logistic_coefficients_are_those_of_scikit_learn(penalty: float) -> None:
    columns, outcome = data()
    fit = fit_ridge(columns, outcome, logistic=True, penalties=(penalty,))
    peer = LogisticRegression(C=1 / penalty, tol=1e-10, max_iter=1000).fit(columns, outcome)
    assert fit.coefficients[1:] == pytest.approx(peer.coef_[0], abs=1e-4)
    assert fit.coefficients[0] == pytest.approx(peer.intercept_[0], abs=1e-4)
    assert fit.predict(columns) == pytest.approx(peer.predict_proba(columns)[:, 1], abs=1e-4)


@pytest.mark.parametrize("penalty", [0.1, 1.0, 30.0])
def test_linear_coefficients_are_those_of_scikit_learn(penalty: float) -> None:
    columns, outcome = data(logistic=False)
    fit = fit_ridge(columns, outcome, logistic=False, penalties=(penalty,))
    peer = Ridge(alpha=penalty).fit(columns, outcome)
    assert fit.coefficients == pytest.approx([peer.intercept_, *peer.coef_], abs=1e-5)


@pytest.mark.parametrize("logistic", [False, True])
def test_leave_one_out_loss_is_that_of_leaving_each_row_out(logistic: bool) -> None:
    columns, outcome = data(logistic=logistic)
    losses = []
    for row in range(len(outcome)):
        kept = np.arange(len(outcome)) != row
        fit = fit_ridge(columns[kept], outcome[kept], logistic, (2.0,))
        predicted = float(fit.predict(columns[row : row + 1])[0])
        y = outcome[row]
        losses.append(-np.log(predicted if y else 1 - predicted) if logistic else (y - predicted) ** 2)
    assert fit_ridge(columns, outcome, logistic, (2.0,)).loss == pytest.approx(np.mean(losses), rel=0.002)


def test_the_penalty_with_the_smallest_loss_is_chosen() -> None:
    rng = np.random.default_rng(0)
    noise, outcome = rng.normal(size=(60, 20)), rng.normal(size=60)
    losses = {penalty: fit_ridge(noise, outcome, False, (penalty,)).loss for penalty in PENALTIES}
    assert fit_ridge(noise, outcome, logistic=False).penalty == min(losses, key=lambda penalty: losses[penalty]) >= 100
    sure = noise @ rng.normal(size=20)
    assert fit_ridge(noise, sure, logistic=False).penalty == min(PENALTIES)


def test_separated_and_constant_outcomes_give_finite_models() -> None:
    columns = np.linspace(-1, 1, 40)[:, None]
    separated = fit_ridge(columns, (columns[:, 0] > 0).astype(float), logistic=True)
    constant = fit_ridge(columns, np.ones(40), logistic=True)
    assert np.isfinite(separated.coefficients).all()
    assert separated.predict(columns)[[0, -1]] == pytest.approx([0, 1], abs=0.01)
    assert constant.predict(columns).min() > 0.9


def test_no_columns_give_the_mean() -> None:
    outcome = np.array([0.0, 0.0, 1.0, 0.0])
    assert fit_ridge(np.empty((4, 0)), outcome, logistic=True).predict(np.empty((1, 0))) == pytest.approx(
        0.25, abs=1e-4
    )
