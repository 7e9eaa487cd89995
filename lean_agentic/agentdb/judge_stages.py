"""The two regressions of a learned judge, and how their folds keep the trials of a task together.

In: rows of numbers, labels and groups. Out: log odds that a trajectory succeeded. The trials of a task resemble each
other so much that a fold which splits them measures memory, not judgement.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import log_expit

from lean_agentic.agentdb.ridge import fit_ridge

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
PENALTIES = (3.0, 10.0, 30.0, 100.0)
"""Of the first stage; columns have unit variance."""
STACK_PENALTY = 1.0
"""Of the second stage, which has few columns; log odds are kept on their own scale."""
MOST_FOLDS = 20


@dataclass(frozen=True)
class LogOdds:
    """A logistic regression on columns brought to one scale."""

    centre: Floats
    scale: Floats
    coefficients: Floats
    """(1 + p,), the intercept first."""

    def standard(self, rows: Floats) -> Floats:
        """(n, p) rows with mean 0 and variance 1 over what it was fitted on."""
        return (rows - self.centre) / self.scale

    def __call__(self, rows: Floats) -> Floats:
        """(n,) log odds of (n, p) rows."""
        return np.asarray(self.coefficients[0] + self.standard(rows) @ self.coefficients[1:])

    def parts(self, rows: Floats) -> Floats:
        """(n, p) what each column adds to the log odds."""
        return self.standard(rows) * self.coefficients[1:]


def fit_log_odds(rows: Floats, labels: Floats, penalty: float) -> LogOdds:
    """Fit on (n, p) rows and (n,) labels 0 or 1; columns that do not vary get no say."""
    centre, scale = rows.mean(axis=0), rows.std(axis=0)
    scale[scale < 1e-12] = 1.0
    fitted = fit_ridge((rows - centre) / scale, labels, True, (penalty,))
    return LogOdds(centre, scale, fitted.coefficients)


def fit_stack(rows: Floats, labels: Floats) -> LogOdds:
    """The second stage: the columns keep their scales."""
    fitted = fit_ridge(rows, labels, True, (STACK_PENALTY,))
    return LogOdds(np.zeros(rows.shape[1]), np.ones(rows.shape[1]), fitted.coefficients)


def folds_by_group(groups: Sequence[str], folds: int, seed: int) -> Ints:
    """(n,) fold of each row: groups whole, in random order that depends on their names and not on the rows'."""
    names = sorted(set(groups))
    shuffled = np.random.default_rng(seed).permutation(len(names))
    fold = {name: int(place) % folds for name, place in zip(names, shuffled, strict=True)}
    return np.array([fold[group] for group in groups], np.int64)


def unseen_log_odds(rows: Floats, labels: Floats, fold: Ints, penalty: float) -> Floats:
    """(n,) log odds of each row by a fit on the other folds."""
    predicted = np.empty(len(labels))
    for each in np.unique(fold):
        held = fold == each
        predicted[held] = fit_log_odds(rows[~held], labels[~held], penalty)(rows[held])
    return predicted


def choose_penalty(rows: Floats, labels: Floats, fold: Ints) -> tuple[float, Floats]:
    """The penalty whose predictions of unseen folds are likeliest, and those (n,) log odds."""
    tried = [(penalty, unseen_log_odds(rows, labels, fold, penalty)) for penalty in PENALTIES]
    return max(tried, key=lambda each: likelihood(each[1], labels))


def likelihood(log_odds: Floats, labels: Floats) -> float:
    """Mean log-likelihood of the labels."""
    return float(np.mean(labels * log_expit(log_odds) + (1 - labels) * log_expit(-log_odds)))


def odds_of(successes: npt.ArrayLike, failures: npt.ArrayLike) -> Floats:
    """Log odds from counts, shrunk towards even by half a count each (Haldane 1956): 0 without any."""
    return np.log((np.asarray(successes, np.float64) + 0.5) / (np.asarray(failures, np.float64) + 0.5))


def nearby_odds(
    rows: Floats, groups: Sequence[str], known: Floats, labels: Floats, known_groups: Sequence[str]
) -> Floats:
    """(n,) log odds by the verdicts of nearby known rows of other groups.

    Parameters
    ----------
    rows, known : (n, p), (m, p)
        On one scale.
    labels : (m,)

    A known row counts by a Gaussian of its distance, as wide as known rows are, in the median, from their nearest of
    another group: where nothing is near, nothing is said.
    """
    width = np.median(_apart(known, known_groups, known, known_groups).min(axis=1))
    if not np.isfinite(width):
        return np.zeros(len(rows))
    weights = np.exp(-_apart(rows, groups, known, known_groups) / (2 * max(float(width), 1e-12)))
    return odds_of(weights @ labels, weights @ (1 - labels))


def _apart(rows: Floats, groups: Sequence[str], known: Floats, known_groups: Sequence[str]) -> Floats:
    """(n, m) squared distances; infinite within a group."""
    squares = np.sum(rows**2, axis=1)[:, None] + np.sum(known**2, axis=1) - 2 * rows @ known.T
    same = np.asarray(groups, object)[:, None] == np.asarray(known_groups, object)
    return np.where(same, np.inf, np.maximum(squares, 0))
