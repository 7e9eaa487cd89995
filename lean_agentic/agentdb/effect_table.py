"""Episodes or trajectories as a table that the effect of an action can be estimated from.

One row a decision: whether an action was taken, what came of it, and what was known before. Only what was known before
the action may be called a covariate: something that the action changed would hide its effect, or make one up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class EffectTable:
    """Rows of decisions, and what their columns mean.

    Raises
    ------
    ValueError
        A named column is missing, or one column has two meanings.
    """

    rows: pd.DataFrame
    """Actions are columns of 0 and 1 (or truth values), outcomes columns of numbers; NaN where unknown."""
    covariates: tuple[str, ...] = ()
    """Columns known before the action: numbers, truth values or categories."""
    group: str | None = None
    """Rows of equal value are trials of the same task: compared with each other, and not independent."""
    cluster: str | None = None
    """Rows of equal value are not independent (one session, one user); the group where not given."""
    time: str | None = None
    """Unix seconds of the action: outcomes may drift or follow the hour of the day."""
    records: str | None = None
    """Column with the ids of the records that rows come from, for the evidence."""
    notes: tuple[str, ...] = field(default=())
    """What a reader of an estimate should know of how the table was made."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "covariates", tuple(self.covariates))
        named = [*self.covariates, *(name for name in (self.group, self.cluster, self.time, self.records) if name)]
        missing = [name for name in named if name not in self.rows.columns]
        if missing:
            raise ValueError(f"the table has no column {missing}; it has {list(self.rows.columns)}")
        if self.group in self.covariates:
            raise ValueError(f"{self.group!r} is the group, which is compared within: leave it out of the covariates")

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        grouped = f", groups by {self.group!r}" if self.group else ""
        return f"EffectTable({len(self.rows)} rows, {len(self.covariates)} covariates{grouped})"

    def _repr_html_(self) -> str:
        return self.rows.head(10)._repr_html_()  # type: ignore[operator, no-any-return]


@dataclass(frozen=True)
class Sample:
    """The rows of a table in which both the action and the outcome are known."""

    treated: Bools
    outcome: Floats
    rows: pd.DataFrame
    clusters: Ints
    """(n,) number of the cluster; each row its own where the table names none."""
    dropped: int
    """Rows in which something was unknown."""

    @property
    def binary(self) -> bool:
        """Whether all outcomes are 0 or 1."""
        return bool(np.isin(self.outcome, (0.0, 1.0)).all())


def sample_of(table: EffectTable, action: str, outcome: str) -> Sample:
    """What the table says of one action and one outcome.

    Raises
    ------
    ValueError
        A column is missing or holds something else, or the action or outcome is among the covariates.
    """
    for name in (action, outcome):
        if name not in table.rows.columns:
            raise ValueError(f"the table has no column {name!r}; it has {list(table.rows.columns)}")
        if name in (*table.covariates, table.group, table.cluster, table.time):
            raise ValueError(f"{name!r} cannot be adjusted for and asked about at once: leave it out of the covariates")
    taken, came = _floats(table.rows, action), _floats(table.rows, outcome)
    known = np.isfinite(taken) & np.isfinite(came)
    if not np.isin(taken[known], (0.0, 1.0)).all():
        raise ValueError(f"the action {action!r} must be 0 or 1 (taken or not) in every row")
    rows = table.rows[known].reset_index(drop=True)
    return Sample(taken[known] == 1, came[known], rows, _clusters(table, rows), int((~known).sum()))


def codes(rows: pd.DataFrame, columns: Sequence[str]) -> Ints:
    """(n,) numbers from 0 of the distinct combinations of values; missing values are a value of their own."""
    return np.asarray(rows.groupby(list(columns), dropna=False, sort=False).ngroup(), np.int64)


def _clusters(table: EffectTable, rows: pd.DataFrame) -> Ints:
    column = table.cluster or table.group
    return codes(rows, [column]) if column else np.arange(len(rows), dtype=np.int64)


def _floats(rows: pd.DataFrame, name: str) -> Floats:
    try:
        return rows[name].to_numpy(np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise ValueError(f"the column {name!r} must hold numbers, 0 or 1 for an action: {error}") from error
