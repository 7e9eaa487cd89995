"""Covariates as columns of numbers: what was known before the action, ready for a regression.

In: columns of a pandas frame, numbers, truth values or categories, and times. Out: a standardised (n, p) array with
names. Missing numbers become the median beside a column that says so; rare categories share one column; times become a
smooth trend and the hour of the day.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]
RARE = 5
"""Categories seen less often share a column."""
DAY = 86_400.0
KNOTS = (0.05, 0.275, 0.5, 0.725, 0.95)


@dataclass(frozen=True)
class Design:
    """Standardised columns of covariates."""

    columns: Floats
    """(n, p), each of mean 0 and variance 1."""
    names: tuple[str, ...]
    smooth: npt.NDArray[np.bool_]
    """(p,): numbers with enough values to bend a curve through."""


def encode(rows: pd.DataFrame, covariates: Sequence[str], time: str | None = None) -> Design:
    """Turn covariates, and the time where given, into standardised columns; constant ones are left out."""
    pieces: dict[str, Floats] = {}
    for name in covariates:
        pieces |= _numbers(rows[name], name) if is_number(rows[name]) else _categories(rows[name], name)
    if time is not None:
        pieces |= _times(rows[time].to_numpy(np.float64))
    kept = {name: values for name, values in pieces.items() if np.ptp(values) > 0}
    columns = np.column_stack([_standard(values) for values in kept.values()]) if kept else np.empty((len(rows), 0))
    smooth = [len(np.unique(values)) > 10 and not name.startswith("time:") for name, values in kept.items()]
    return Design(columns, tuple(kept), np.array(smooth, bool))


def is_number(column: pd.Series) -> bool:
    """Whether a column holds numbers rather than categories; truth values count as categories."""
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def curved(design: Design) -> Floats:
    """Natural cubic splines (Harrell's five knots) of smooth columns; others as they are."""
    pieces = [design.columns]
    for values in design.columns.T[design.smooth]:
        knots = np.unique(np.quantile(values, KNOTS))
        pieces += [_standard(bend)[:, None] for bend in _natural_spline(values, knots) if np.ptp(bend) > 1e-9]
    return np.column_stack(pieces)


def interacting(design: Design) -> Floats:
    """The curved columns and all products of two of the given ones."""
    first, second = np.triu_indices(design.columns.shape[1], 1)
    products = design.columns[:, first] * design.columns[:, second]
    varied = np.ptp(products, axis=0) > 1e-9 if len(first) else np.empty(0, bool)
    return np.column_stack([curved(design), *(_standard(column)[:, None] for column in products.T[varied])])


def candidate_columns(design: Design) -> list[Floats]:
    """Ever richer descriptions of the covariates, as far as there are five rows for each column."""
    limit = len(design.columns) / 5
    richer = [curved(design), interacting(design)]
    distinct = {columns.shape[1]: columns for columns in richer if columns.shape[1] <= limit}
    return list(({design.columns.shape[1]: design.columns} | distinct).values())


def _numbers(column: pd.Series, name: str) -> dict[str, Floats]:
    values = column.to_numpy(np.float64, na_value=np.nan)
    missing = ~np.isfinite(values)
    if not missing.any():
        return {name: values}
    filled = np.where(missing, np.median(values[~missing]) if not missing.all() else 0.0, values)
    return {name: filled, f"{name} missing": missing.astype(np.float64)}


def _categories(column: pd.Series, name: str) -> dict[str, Floats]:
    labels = column.astype("string").fillna("missing")
    counts = labels.value_counts()
    common = sorted(counts.index[counts >= RARE])
    # One category is told by the absence of all others.
    reference = max(common, key=lambda label: counts[label], default=None) if counts.min() >= RARE else None
    return {f"{name}={label}": (labels == label).to_numpy(np.float64) for label in common if label != reference}


def _times(seconds: Floats) -> dict[str, Floats]:
    """A smooth trend, and two harmonics of the day where the times span more than one."""
    trend = _standard(seconds)
    pieces = {"time: trend": trend}
    knots = np.unique(np.quantile(trend, KNOTS))
    pieces |= {f"time: bend {index}": bend for index, bend in enumerate(_natural_spline(trend, knots))}
    if np.ptp(seconds) > DAY:
        for harmonic in (1, 2):
            angle = 2 * np.pi * harmonic * seconds / DAY
            pieces |= {f"time: sine {harmonic}": np.sin(angle), f"time: cosine {harmonic}": np.cos(angle)}
    return pieces


def _natural_spline(values: Floats, knots: Floats) -> list[Floats]:
    """Truncated-power basis of the natural cubic spline, without its linear part: three columns for five knots."""
    if len(knots) < 3:
        return []
    last, before = knots[-1], knots[-2]

    def cubed(knot: float) -> Floats:
        return np.maximum(values - knot, 0) ** 3

    scale = (last - knots[0]) ** 2
    return [
        (cubed(k) - cubed(before) * (last - k) / (last - before) + cubed(last) * (before - k) / (last - before)) / scale
        for k in knots[:-2].tolist()
    ]


def _standard(values: Floats) -> Floats:
    spread = float(values.std())
    return (values - values.mean()) / spread if spread > 0 else np.zeros_like(values)
