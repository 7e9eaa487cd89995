"""The columns that a learned judge reads: the general features, and what trajectories it learns from share.

The latter are the actions and pairs of consecutive actions that some trajectories have and some have not, and the
numbers and short values in the state of the first step. They are settled when the judge is fitted and kept with it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lean_agentic.agentdb.action_roles import RoleOf
from lean_agentic.agentdb.records import Trajectory
from lean_agentic.agentdb.trajectory_features import ARGUMENTS, Scalar, action_ngrams, describe, feature_rows, flatten

Floats = npt.NDArray[np.float64]
LONGEST_VALUE = 40
"""Longer texts are prose, whose equality says nothing."""
LEAST_SHARE = 0.1
"""What fewer than this share of trajectories has, or more than the rest of them, is no column."""
LEAST_GROUPS = 4
"""Tasks in which an action must occur: one task's own actions say nothing about others."""


@dataclass(frozen=True)
class Columns:
    """What a judge reads of a trajectory."""

    features: tuple[str, ...]
    ngrams: tuple[tuple[str, ...], ...]
    numbers: tuple[str, ...]
    """Paths of numbers in the first state."""
    values: tuple[tuple[str, str], ...]
    """Paths and values of short texts and booleans in the first state."""

    @property
    def names(self) -> tuple[str, ...]:
        """One a column."""
        ngrams = ("does " + " then ".join(ngram) for ngram in self.ngrams)
        values = (f"{path} is {value}" for path, value in self.values)
        return (*self.features, *ngrams, *self.numbers, *values)

    def rows(self, trajectories: Sequence[Trajectory], roles: RoleOf) -> Floats:
        """(n, p) values."""
        return np.array([self._row(each, roles) for each in trajectories], np.float64).reshape(-1, len(self.names))

    def _row(self, trajectory: Trajectory, roles: RoleOf) -> list[float]:
        features, ngrams, state = describe(trajectory, roles), action_ngrams(trajectory), first_state(trajectory)
        return [
            *(features[name] for name in self.features),
            *(float(ngram in ngrams) for ngram in self.ngrams),
            *(_squeezed(state.get(path)) for path in self.numbers),
            *(float(path in state and _shown(state[path]) == value) for path, value in self.values),
        ]


def settle_columns(trajectories: Sequence[Trajectory], groups: Sequence[str], roles: RoleOf) -> Columns:
    """The columns for judging trajectories like these; `groups` tells which are of the same task."""
    names, rows = feature_rows(trajectories, roles)
    varying = tuple(name for name, column in zip(names, rows.T, strict=True) if np.ptp(column) > 0)
    states = [first_state(trajectory) for trajectory in trajectories]
    ngrams = _common([set(action_ngrams(trajectory)) for trajectory in trajectories], groups)
    short = [{(path, _shown(value)) for path, value in state.items() if _is_short(value)} for state in states]
    return Columns(varying, ngrams, _number_paths(states), _common(short, groups))


def first_state(trajectory: Trajectory) -> dict[str, Scalar]:
    """The scalars of the situation that a trajectory began in, by path; none without steps."""
    if not trajectory.steps:
        return {}
    return dict(flatten({key: value for key, value in trajectory.steps[0].state.items() if key != ARGUMENTS}))


def _common(sets: Sequence[set[Any]], groups: Sequence[str]) -> tuple[Any, ...]:
    counts = Counter(each for items in sets for each in items)
    where: dict[Any, set[str]] = {}
    for items, group in zip(sets, groups, strict=True):
        for each in items:
            where.setdefault(each, set()).add(group)
    low, high = LEAST_SHARE * len(sets), (1 - LEAST_SHARE) * len(sets)
    kept = (each for each, n in counts.items() if low <= n <= high and len(where[each]) >= LEAST_GROUPS)
    return tuple(sorted(kept))


def _number_paths(states: Sequence[Mapping[str, Scalar]]) -> tuple[str, ...]:
    seen: dict[str, list[float]] = {}
    for state in states:
        for path, value in state.items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                seen.setdefault(path, []).append(float(value))
    return tuple(sorted(path for path, values in seen.items() if 2 * len(values) >= len(states) and np.ptp(values) > 0))


def _squeezed(value: Scalar) -> float:
    # Sizes and counts span orders of magnitude; what is missing is told from zero by nothing, and seldom matters.
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return 0.0
    return math.copysign(math.log1p(abs(value)), value)


def _is_short(value: Scalar) -> bool:
    return isinstance(value, bool) or (isinstance(value, str) and 0 < len(value) <= LONGEST_VALUE)


def _shown(value: Scalar) -> str:
    return str(value)
