"""Linear and logistic regression with a ridge penalty that leave-one-out prediction chooses.

Small, exact and quick enough to be fitted hundreds of times: closed-form leave-one-out errors for linear models (PRESS,
Allen 1974), one Newton step from the full fit for logistic ones (Rad & Maleki 2020). The intercept is never penalised;
columns are expected on one scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit

Floats = npt.NDArray[np.float64]
PENALTIES = (0.01, 0.1, 1.0, 10.0, 100.0, 1000.0)
NEWTON_STEPS = 50


@dataclass(frozen=True)
class RidgeFit:
    """A fitted model."""

    coefficients: Floats
    """(1 + p,), the intercept first."""
    logistic: bool
    penalty: float
    loss: float
    """Mean leave-one-out loss: squared error, or negative log-likelihood."""

    def predict(self, columns: Floats) -> Floats:
        """Expected outcome, a probability where logistic, of (n, p) rows."""
        linear = self.coefficients[0] + columns @ self.coefficients[1:]
        return np.asarray(expit(linear) if self.logistic else linear, np.float64)


def fit_ridge(columns: Floats, outcome: Floats, logistic: bool, penalties: Sequence[float] = PENALTIES) -> RidgeFit:
    """Fit with the penalty of smallest leave-one-out loss.

    Parameters
    ----------
    columns : (n, p)
    outcome : (n,)
        0 and 1 where logistic.
    """
    path = _logistic_path if logistic else _linear_path
    return min(path(columns, outcome, penalties), key=lambda fitted: fitted.loss)


def _linear_path(columns: Floats, outcome: Floats, penalties: Sequence[float]) -> list[RidgeFit]:
    """Fits for all penalties from one eigendecomposition; centring stands for the intercept."""
    centre, mean = columns.mean(axis=0), outcome.mean()
    varied = columns - centre
    values, directions = np.linalg.eigh(varied.T @ varied)
    along = varied @ directions
    products = along.T @ (outcome - mean)
    fits = []
    for penalty in penalties:
        shrunk = 1 / (np.maximum(values, 0) + penalty)
        leverage = 1 / len(outcome) + along**2 @ shrunk
        left_out = (outcome - mean - along @ (shrunk * products)) / np.maximum(1 - leverage, 1e-9)
        slopes = directions @ (shrunk * products)
        coefficients = np.concatenate([[mean - centre @ slopes], slopes])
        fits.append(RidgeFit(coefficients, False, penalty, float(np.mean(left_out**2))))
    return fits


def _logistic_path(columns: Floats, outcome: Floats, penalties: Sequence[float]) -> list[RidgeFit]:
    """Fits from the strongest penalty to the weakest, each begun where the one before ended."""
    design = np.column_stack([np.ones(len(columns)), columns])
    share = np.clip(outcome.mean(), 0.5 / len(outcome), 1 - 0.5 / len(outcome))
    coefficients = np.zeros(design.shape[1])
    coefficients[0] = np.log(share / (1 - share))
    fits = []
    for penalty in sorted(penalties, reverse=True):
        ridge = _ridge(design.shape[1], penalty)
        coefficients = _newton(design, outcome, ridge, coefficients)
        fits.append(RidgeFit(coefficients, True, penalty, _left_out_loss(design, outcome, coefficients, ridge)))
    return fits


def _newton(design: Floats, outcome: Floats, ridge: Floats, start: Floats) -> Floats:
    coefficients = start.copy()
    for _ in range(NEWTON_STEPS):
        probability = expit(design @ coefficients)
        gradient = design.T @ (outcome - probability) - ridge * coefficients
        step = np.linalg.solve(_curvature(design, probability, ridge), gradient)
        largest = float(np.abs(step).max())
        # Separated data would send an unpenalised intercept to infinity; a step is kept within reach.
        coefficients += step * min(1.0, 5.0 / max(largest, 1e-12))
        if largest < 1e-6:
            break
    return coefficients


def _curvature(design: Floats, probability: Floats, ridge: Floats) -> Floats:
    weight = np.maximum(probability * (1 - probability), 1e-10)
    curvature = (design * weight[:, None]).T @ design
    curvature[np.diag_indices_from(curvature)] += ridge
    return np.asarray(curvature, np.float64)


def _left_out_loss(design: Floats, outcome: Floats, coefficients: Floats, ridge: Floats) -> float:
    """Negative log-likelihood of each row under the fit without it, to first order."""
    linear = design @ coefficients
    probability = expit(linear)
    weight = np.maximum(probability * (1 - probability), 1e-10)
    inverse = np.linalg.inv(_curvature(design, probability, ridge))
    leverage = weight * np.sum(design @ inverse * design, axis=1)
    linear = linear - leverage / np.maximum(1 - leverage, 1e-9) * (outcome - probability) / weight
    return float(np.mean(np.logaddexp(0, linear) - outcome * linear))


def _ridge(length: int, penalty: float) -> Floats:
    diagonal = np.full(length, penalty)
    # A trace on the intercept keeps the matrix invertible when all outcomes are equal.
    diagonal[0] = 1e-6
    return diagonal
