"""Moves: what a trajectory may have done, as small statements that can be tested and advised.

A move names one or two actions, how they relate, and perhaps a condition on the situation. For each trajectory it says
yes, no, or that the question does not arise: whether `book` came after `search` can only be asked of those that booked.
So those that follow a move are compared with those that had the choice.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Any

import numpy as np

from lean_agentic.agentdb.action_roles import RoleOf, role_of, step_failed
from lean_agentic.agentdb.records import Step, Trajectory
from lean_agentic.agentdb.trajectory_features import ARGUMENTS, Scalar, flatten

LONGEST_VALUE = 40
"""Longer texts are prose, not conditions."""
MOST_VALUES = 12
"""A path with more different values names things; being one of them is no condition."""
CUTS = (0.25, 0.5, 0.75)
"""Quantiles at which numbers are cut."""


class Relation(StrEnum):
    """How the actions of a move relate."""

    TAKEN = "taken"
    """The action is taken (where the condition holds); against trajectories in which it is not."""
    SUITED = "suited"
    """The action is taken where the condition holds; against those that take it where it is known not to hold."""
    BEFORE = "before"
    """The first action comes some time before the second; against those that take the second without."""
    NEXT = "next"
    """The second action directly follows the first; against those that take the first and go on otherwise."""
    REPEATED = "repeated"
    """The action is taken more than once; against those that take it once."""
    FAILED = "failed"
    """The action goes wrong at least once; against those in which it never does."""


@dataclass(frozen=True, order=True)
class Condition:
    """A statement about one value of the situation."""

    path: str
    """Dotted, as `flatten` names it."""
    value: str | bool | int | float
    least: bool = False
    """True: the value is a number and the situation's is at least that; False: they are equal."""

    def holds(self, state: Mapping[str, Scalar]) -> bool | None:
        """Whether it holds in a flattened state; None where the state does not say."""
        found = state.get(self.path)
        if found is None:
            return None
        if self.least:
            return float(found) >= float(self.value) if _is_number(found) else None
        # True is not 1, though Python says they are equal.
        return isinstance(found, bool) is isinstance(self.value, bool) and found == self.value

    @property
    def plain(self) -> Any:
        """As it stands in a pattern's conditions: the value, or `{"at least": value}`."""
        return {"at least": self.value} if self.least else self.value


@dataclass(frozen=True)
class Move:
    """One statement about what a trajectory did."""

    relation: Relation
    actions: tuple[str, ...]
    conditions: tuple[Condition, ...] = ()

    @property
    def key(self) -> tuple[Any, ...]:
        """Simple moves first; a total order."""
        simple = list(Relation).index(self.relation)
        return (
            len(self.conditions),
            simple,
            self.actions,
            tuple((c.path, c.least, str(c.value)) for c in self.conditions),
        )

    def followed(self, trajectory: Trajectory, roles: RoleOf = role_of) -> bool | None:
        """Whether a trajectory follows it; None where the question does not arise."""
        reading = read_moves([trajectory], self.conditions, roles)
        if 0 in reading.followers.get(self, ()):
            return True
        return False if 0 in reading.eligible(self) else None


@dataclass(frozen=True)
class Reading:
    """Which of the trajectories, by place, follow each move that any of them follows."""

    count: int
    followers: Mapping[Move, frozenset[int]]
    taking: Mapping[str, frozenset[int]]
    """Those that take an action."""
    holding: Mapping[Condition, frozenset[int]]
    """Those in which a condition holds at some step."""
    elsewhere: Mapping[Move, frozenset[int]]
    """For SUITED moves: those that take the action where the condition is known not to hold."""

    def eligible(self, move: Move) -> frozenset[int]:
        """Those of which the move can be asked."""
        if move.relation is Relation.TAKEN:
            sets = [self.holding.get(condition, frozenset()) for condition in move.conditions]
            return frozenset(range(self.count)).intersection(*sets)
        if move.relation is Relation.SUITED:
            return self.followers.get(move, frozenset()) | self.elsewhere.get(move, frozenset())
        decisive = move.actions[1] if move.relation is Relation.BEFORE else move.actions[0]
        return self.taking.get(decisive, frozenset())


def read_moves(
    trajectories: Sequence[Trajectory], conditions: Sequence[Condition] = (), roles: RoleOf = role_of
) -> Reading:
    """All moves of all trajectories; with a condition, those that take an action where it holds."""
    followers: dict[Move, set[int]] = {}
    taking: dict[str, set[int]] = {}
    holding: dict[Condition, set[int]] = {}
    elsewhere: dict[Move, set[int]] = {}
    for place, trajectory in enumerate(trajectories):
        for move in _plain_moves(trajectory, roles):
            followers.setdefault(move, set()).add(place)
        for step in trajectory.steps:
            taking.setdefault(step.action, set()).add(place)
            state = situation(step) if conditions else {}
            for condition in conditions:
                suited = Move(Relation.SUITED, (step.action,), (condition,))
                holds = condition.holds(state)
                if holds:
                    holding.setdefault(condition, set()).add(place)
                    followers.setdefault(Move(Relation.TAKEN, (step.action,), (condition,)), set()).add(place)
                if holds is not None:
                    (followers if holds else elsewhere).setdefault(suited, set()).add(place)
    return Reading(len(trajectories), _frozen(followers), _frozen(taking), _frozen(holding), _frozen(elsewhere))


def situation(step: Step) -> dict[str, Scalar]:
    """The flattened state of a step, without the arguments of its action and without items of lists."""
    state = {key: value for key, value in step.state.items() if key != ARGUMENTS}
    return {path: value for path, value in flatten(state) if "[]" not in path}


def common_conditions(trajectories: Sequence[Trajectory], least_share: float = 0.1) -> list[Condition]:
    """Conditions that hold in some trajectories and not in others, in a fixed order.

    Parameters
    ----------
    least_share
        Of the trajectories, in which a value must occur.
    """
    values: dict[str, dict[Any, set[int]]] = {}
    for place, trajectory in enumerate(trajectories):
        for step in trajectory.steps:
            for path, value in situation(step).items():
                if value is not None:
                    values.setdefault(path, {}).setdefault((type(value).__name__, value), set()).add(place)
    least = max(2, math.ceil(least_share * len(trajectories)))
    found = [condition for path, seen in values.items() for condition in _conditions_on(path, seen, least)]
    return sorted(found, key=lambda each: (each.path, each.least, float(each.value) if each.least else str(each.value)))


def _conditions_on(path: str, seen: Mapping[Any, set[int]], least: int) -> Iterator[Condition]:
    numbers = [value for _, value in seen if _is_number(value)]
    if len(numbers) > 1:
        # Each different value once, so that long trajectories do not pull the cuts towards theirs.
        cuts = np.quantile(sorted(numbers), CUTS, method="higher")
        yield from (Condition(path, float(cut), least=True) for cut in sorted(set(cuts)) if cut > min(numbers))
    named = [(value, places) for (_, value), places in seen.items() if _is_name(value)]
    if len(named) <= MOST_VALUES:
        yield from (Condition(path, value) for value, places in named if len(places) >= least)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_name(value: Any) -> bool:
    return isinstance(value, bool) or (isinstance(value, str) and 0 < len(value) <= LONGEST_VALUE)


def _plain_moves(trajectory: Trajectory, roles: RoleOf) -> Iterator[Move]:
    seen: set[str] = set()
    for step in trajectory.steps:
        yield from (Move(Relation.BEFORE, (earlier, step.action)) for earlier in seen if earlier != step.action)
        yield Move(Relation.REPEATED if step.action in seen else Relation.TAKEN, (step.action,))
        if step_failed(step, roles):
            yield Move(Relation.FAILED, (step.action,))
        seen.add(step.action)
    for first, second in pairwise(trajectory.steps):
        if first.action != second.action:
            yield Move(Relation.NEXT, (first.action, second.action))


def _frozen(sets: Mapping[Any, set[int]]) -> dict[Any, frozenset[int]]:
    return {key: frozenset(places) for key, places in sets.items()}
