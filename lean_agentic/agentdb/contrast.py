"""Contrast mining: which moves separate the trajectories that succeeded from those that failed.

Every move that occurs often enough is tested by an exact test within tasks, so that a move is not praised because
easy tasks invite it; what is reported is held to a false discovery rate over all tests. Moves that split the
trajectories alike are one test, told by the simplest of them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from lean_agentic.agentdb.action_roles import RoleOf, role_of
from lean_agentic.agentdb.false_discovery import adjusted_p_values
from lean_agentic.agentdb.judges import success_probability
from lean_agentic.agentdb.moves import Move, Reading, common_conditions, read_moves
from lean_agentic.agentdb.records import Trajectory
from lean_agentic.agentdb.stratified_tables import Tables, could_reach, tables

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class MiningSettings:
    """What is tested and reported."""

    false_discoveries: float = 0.1
    """Share of what is reported that may be chance."""
    least_support: int = 4
    """Trajectories that must follow a move, and as many that must not."""
    least_confidence: float = 0.6
    """Verdicts less sure than this are left out."""
    conditions: bool = True
    """Whether to look at the situation too."""
    within_tasks: bool = True
    """Whether trials are compared with trials of the same task only. False finds more, and part of it is that some
    tasks are easier than others and invite other moves."""


@dataclass(frozen=True)
class Contrast:
    """How trajectories that follow a move fare beside those of the same tasks that could have and did not."""

    move: Move
    support: int
    """Trajectories that follow it."""
    successes: float
    """Sum of their probabilities of success."""
    others: int
    """Those it is compared with."""
    other_successes: float
    difference: float
    """Of the success rates within tasks (Mantel-Haenszel); NaN where no task has both kinds."""
    log_odds: float
    """Shrunken log odds ratio within tasks."""
    tasks: int
    """Tasks (or pools of tasks tried once) that tell anything."""
    p_value: float
    q_value: float = 1.0
    """The false discovery rate at which it would be reported; 1 where the test could never have shown anything."""
    places: tuple[int, ...] = field(default=(), repr=False)
    """Those that follow it, by place in what was mined."""

    @property
    def rate(self) -> float:
        """Success rate of those that follow it."""
        return self.successes / self.support if self.support else 0.0

    @property
    def base_rate(self) -> float:
        """Success rate to expect of those that do not, on the tasks of those that do.

        Without a task that has both it is the plain rate of those that do not.
        """
        if math.isnan(self.difference):
            return self.other_successes / self.others if self.others else 0.0
        return min(max(self.rate - self.difference, 0.0), 1.0)

    @property
    def lift(self) -> float:
        """How many times as often those that follow it succeed; infinite where the others never do."""
        return self.rate / self.base_rate if self.base_rate else float("inf")

    @property
    def helps(self) -> bool:
        """Whether followers fare better."""
        return self.difference > 0


def mine_contrasts(
    trajectories: Sequence[Trajectory], settings: MiningSettings | None = None, roles: RoleOf = role_of
) -> list[Contrast]:
    """All contrasts tested, the surest first; those with `q_value <= settings.false_discoveries` are discoveries.

    Trajectories should be of one task type. Those without a verdict, or with an unsure one, are left out. Their order
    changes nothing but `places`.
    """
    settings = settings or MiningSettings()
    used, places = _sure(trajectories, settings.least_confidence)
    conditions = common_conditions(used) if settings.conditions else []
    reading = read_moves(used, conditions, roles)
    strata = _strata(used, settings.within_tasks)
    moves = _distinct_moves(reading, settings.least_support)
    found = [_measured(move, reading, used, places, strata) for move in moves]
    judged = _with_q_values([each for each in found if not math.isnan(each[0].difference)], settings)
    return sorted(judged, key=lambda contrast: (contrast.q_value, contrast.p_value, contrast.move.key))


def contrast_of(
    move: Move,
    trajectories: Sequence[Trajectory],
    settings: MiningSettings | None = None,
    roles: RoleOf = role_of,
) -> Contrast:
    """One move measured on trajectories, whatever its support; its q-value is left at 1."""
    settings = settings or MiningSettings()
    used, places = _sure(trajectories, settings.least_confidence)
    strata = _strata(used, settings.within_tasks)
    return _measured(move, read_moves(used, move.conditions, roles), used, places, strata)[0]


def _measured(
    move: Move, reading: Reading, used: Sequence[Trajectory], places: Sequence[int], strata: Ints
) -> tuple[Contrast, Tables]:
    """A move's contrast and the tables it comes from; `places` are those of `used` in what the caller mined."""
    following = reading.followers.get(move, frozenset())
    asked = sorted(reading.eligible(move) | following)
    follows = np.array([place in following for place in asked], np.bool_)
    chances = np.array([success_probability(used[place]) for place in asked], np.float64)
    counts = tables(strata[asked], follows, chances >= 0.5)
    contrast = Contrast(
        move=move,
        support=int(follows.sum()),
        successes=float(chances[follows].sum()),
        others=int((~follows).sum()),
        other_successes=float(chances[~follows].sum()),
        difference=counts.difference() if asked else float("nan"),
        log_odds=counts.log_odds() if asked else 0.0,
        tasks=counts.informative if asked else 0,
        p_value=counts.p_value() if asked else 1.0,
        places=tuple(sorted(places[place] for place in following)),
    )
    return contrast, counts


def _sure(trajectories: Sequence[Trajectory], least: float) -> tuple[list[Trajectory], list[int]]:
    places = [
        place
        for place, each in enumerate(trajectories)
        if success_probability(each) is not None and each.confidence >= least
    ]
    return [trajectories[place] for place in places], places


def _strata(used: Sequence[Trajectory], within_tasks: bool) -> Ints:
    """(n,) task of each; tasks tried once tell nothing by themselves and are pooled."""
    if not within_tasks:
        return np.zeros(len(used), np.int64)
    names = [each.group for each in used]
    kept = sorted(name for name, count in Counter(names).items() if name and count > 1)
    number = {name: at + 1 for at, name in enumerate(kept)}
    return np.array([number.get(name, 0) for name in names], np.int64)


def _distinct_moves(reading: Reading, least_support: int) -> Iterator[Move]:
    """Moves with enough followers and enough others, the simplest of each split."""
    splits: set[tuple[frozenset[int], frozenset[int]]] = set()
    for move in sorted(reading.followers, key=lambda move: move.key):
        following = reading.followers[move]
        others = reading.eligible(move) - following
        if min(len(following), len(others)) >= least_support and (following, others) not in splits:
            # The same split the other way round is the same question.
            splits |= {(following, others), (others, following)}
            yield move


def _with_q_values(found: Sequence[tuple[Contrast, Tables]], settings: MiningSettings) -> list[Contrast]:
    possible = could_reach([counts.least_p_value() for _, counts in found], settings.false_discoveries)
    kept = [contrast for (contrast, _), can in zip(found, possible, strict=True) if can]
    adjusted = iter(adjusted_p_values([contrast.p_value for contrast in kept]))
    return [
        _with_q_value(contrast, float(next(adjusted)) if can else 1.0)
        for (contrast, _), can in zip(found, possible, strict=True)
    ]


def _with_q_value(contrast: Contrast, q_value: float) -> Contrast:
    return replace(contrast, q_value=q_value)
