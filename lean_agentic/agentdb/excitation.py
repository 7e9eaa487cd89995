"""How many events of one type each event of another type brings about, all other types' events held fixed.

The rate of the effect is modelled as a sum: what the stream's busyness, the hour and the trend give, plus what each
recent event of each candidate cause adds, free over ranges of lags (Aalen 1980; least squares for Hawkes processes
after Hansen, Reynaud-Bouret & Rivoirard 2015). What a cause adds, summed over the window, is the expected number of
further effects per cause. Streams are compared with themselves only, so that entities to which everything happens more
often cannot make an effect up. Intervals rest on residuals summed over blocks of time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy.stats import t

from lean_agentic.agentdb.event_log import EventLog
from lean_agentic.agentdb.lag_features import Layout, Stretches, layout_of, stretches_of

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
BLOCKS = 12
"""Most blocks of time that a stream is cut into; each is at least four windows long."""
REPEATS_P = 0.05
"""p-value below which events are taken to repeat themselves."""


@dataclass(frozen=True)
class Excitation:
    """Expected further events of the effect's type for each event of the cause's type."""

    cause: int
    effect: int
    value: float
    standard_error: float
    low: float
    high: float
    p_value: float
    """One-sided, of no effect or a negative one."""
    repeats: bool = False
    """Events of the effect's type bring about more of their own type; the value counts those."""


@dataclass(frozen=True)
class _Model:
    """A least-squares fit of one type's rate."""

    effect: int
    columns: Ints
    inverse: Floats
    coefficients: Floats


def excitations(
    log: EventLog, window: float, causes: Sequence[Sequence[int]], *, level: float = 0.95
) -> list[Excitation]:
    """Estimate all candidate causes of all types.

    An event that follows from a cause may itself repeat. The value counts the repeats, as a total effect does; yet a
    type that merely follows the same repeated events as the effect would seem a cause then. So every effect is
    estimated again with its own past held fixed: the p-value is the larger of both, and where repeats are sure, the
    interval spans both.

    Parameters
    ----------
    window
        Seconds within which an effect follows its cause.
    causes
        For each type as an effect, the other types that may cause it; they are held fixed for each other.
    level
        Of the intervals.
    """
    layout = layout_of(log, window)
    squares, products = _moments(log, layout)
    effects = range(len(log.names))
    models = [_fit(squares, products, layout, effect, causes[effect]) for effect in effects]
    models += [_fit(squares, products, layout, effect, [*causes[effect], effect]) for effect in effects]
    scores = _block_scores(log, layout, models, window)
    found = []
    for effect in effects:
        held, held_scores = models[effect + len(effects)], scores[effect + len(effects)]
        repeats = _excitation(layout, held, held_scores, effect, level).p_value < REPEATS_P
        for cause in causes[effect]:
            total = _excitation(layout, models[effect], scores[effect], cause, level)
            found.append(_joined(total, _excitation(layout, held, held_scores, cause, level), repeats))
    return found


def _joined(total: Excitation, held: Excitation, repeats: bool) -> Excitation:
    joined = replace(total, p_value=max(total.p_value, held.p_value), repeats=repeats)
    return replace(joined, low=min(total.low, held.low), high=max(total.high, held.high)) if repeats else joined


def _centred(log: EventLog, layout: Layout) -> Iterator[tuple[int, Stretches, Floats]]:
    """Streams with their features minus the stream's own average over time."""
    for stream in range(len(log.opens)):
        found = stretches_of(log, stream, layout)
        total = float(found.seconds.sum())
        if total > 0:
            yield stream, found, found.features - found.seconds @ found.features / total


def _moments(log: EventLog, layout: Layout) -> tuple[Floats, Floats]:
    """Integral of the features' squares, (c, c), and their sums over events, (c, k)."""
    squares = np.zeros((layout.columns, layout.columns))
    products = np.zeros((layout.columns, layout.types))
    for _, found, features in _centred(log, layout):
        squares += (features * found.seconds[:, None]).T @ features
        products += features.T @ found.events
    return squares, products


def _fit(squares: Floats, products: Floats, layout: Layout, effect: int, causes: Sequence[int]) -> _Model:
    columns = np.concatenate([*(layout.of_type(kind) for kind in causes), layout.of_baseline()])
    # Parts of the day add up to a constant, which the streams' own averages have taken: the matrix is singular.
    inverse = np.linalg.pinv(squares[np.ix_(columns, columns)], rcond=1e-10, hermitian=True)
    return _Model(effect, columns, inverse, inverse @ products[columns, effect])


def _block_scores(log: EventLog, layout: Layout, models: Sequence[_Model], window: float) -> list[Floats]:
    """For each model, (b, c of the model) features times residuals, summed over blocks of time within streams."""
    slopes = np.zeros((layout.columns, len(models)))
    for index, model in enumerate(models):
        slopes[model.columns, index] = model.coefficients
    effects = [model.effect for model in models]
    sums: list[list[Floats]] = [[] for _ in models]
    for stream, found, features in _centred(log, layout):
        events = found.events[:, effects]
        mean = events.sum(axis=0) / found.seconds.sum()
        residuals = events - (mean + features @ slopes) * found.seconds[:, None]
        block = _blocks(found, float(log.opens[stream]), float(log.closes[stream]), window)
        # One product for all models: features of a block against all residuals.
        starts = np.searchsorted(block, np.arange(block[-1] + 2))
        for begin, end in pairwise(starts.tolist()):
            products = features[begin:end].T @ residuals[begin:end]
            for index, model in enumerate(models):
                sums[index].append(products[model.columns, index])
    return [np.array(part) for part in sums]


def _blocks(found: Stretches, opens: float, closes: float, window: float) -> Ints:
    count = max(1, min(BLOCKS, int((closes - opens) / (4 * window))))
    return np.minimum((found.middles - opens) / (closes - opens) * count, count - 1).astype(np.int64)


def _excitation(layout: Layout, model: _Model, scores: Floats, cause: int, level: float) -> Excitation:
    """Add the contributions of a cause up over the ranges of lags."""
    widths = np.zeros(layout.columns)
    widths[layout.of_type(cause)] = np.diff(layout.lags)
    weights = widths[model.columns]
    value = float(weights @ model.coefficients)
    influence = scores @ (model.inverse @ weights)
    count = len(influence)
    error = float(np.sqrt(count / max(count - 1, 1) * np.sum(influence**2)))
    degrees = max(_effective(influence) - 1, 1)
    half = float(t.ppf((1 + level) / 2, degrees)) * error
    p = float(t.sf(value / error, degrees)) if error > 0 else 1.0
    return Excitation(cause, model.effect, value, error, value - half, value + half, p)


def _effective(influence: Floats) -> float:
    """Blocks that the variance rests on: (sum v)^2 / sum v^2 of their shares v."""
    shares = influence**2
    total = float(np.sum(shares**2))
    return float(np.sum(shares)) ** 2 / total if total > 0 else 1.0
