"""Contrasts as `Pattern` records, and the moves that stored patterns are about."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.stats import norm

from lean_agentic.agentdb import move_wording
from lean_agentic.agentdb.binary_intervals import wilson
from lean_agentic.agentdb.contrast import Contrast
from lean_agentic.agentdb.moves import Condition, Move, Relation
from lean_agentic.agentdb.records import Pattern, Provenance, Trajectory

RELATION = "relation"
Z = float(norm.ppf(0.975))


def pattern_of(contrast: Contrast, trajectories: Sequence[Trajectory], *, avoid: bool) -> Pattern:
    """The pattern that a contrast supports.

    Parameters
    ----------
    trajectories
        What was mined: `contrast.places` point into it. They are of one task type and tenant.
    """
    behind = [trajectories[place] for place in contrast.places]
    move, task_type = contrast.move, trajectories[0].task_type
    written = Pattern(
        task_type=task_type,
        title=move_wording.title(move, avoid=avoid),
        content=move_wording.content(move, task_type, avoid=avoid),
        actions=move.actions,
        avoid=avoid,
        conditions={condition.path: condition.plain for condition in move.conditions},
        tenant=trajectories[0].tenant,
    )
    return with_figures(written, contrast, behind)


def with_figures(pattern: Pattern, contrast: Contrast, behind: Sequence[Trajectory]) -> Pattern:
    """The pattern with the figures of a contrast; its words stay."""
    low, high = wilson(contrast.successes, max(contrast.support, 1), Z)
    gains = [each.improvement for each in behind if each.improvement is not None]
    times = [each.time for each in behind if each.time is not None]
    ids = tuple(sorted(each.id for each in behind))
    metadata = {key: value for key, value in pattern.metadata.items() if key not in ("also", "merged into")}
    return replace(
        pattern,
        support=contrast.support,
        successes=contrast.successes,
        success_low=float(low) if contrast.support else 0.0,
        success_high=float(high) if contrast.support else 1.0,
        base_rate=contrast.base_rate,
        improvement=float(np.mean(gains)) if gains else None,
        trajectories=ids,
        # The time of the newest evidence, so that the same evidence always gives the same record.
        time=max(times, default=pattern.time),
        metadata={**metadata, RELATION: contrast.move.relation.value, **_evidence(contrast)},
        # The trajectories are named once, as such.
        provenance=Provenance("reasoning bank", "distilled"),
    )


def move_of(pattern: Pattern) -> Move | None:
    """The move that a distilled pattern is about; None for patterns that somebody wrote."""
    relation = pattern.metadata.get(RELATION)
    if relation not in tuple(Relation):
        return None
    return Move(Relation(relation), pattern.actions, conditions_of(pattern))


def conditions_of(pattern: Pattern) -> tuple[Condition, ...]:
    """Its conditions; `{"at least": 3}` is a bound, any other scalar must be equal."""
    return tuple(_condition(path, value) for path, value in pattern.conditions.items())


def _condition(path: str, value: Any) -> Condition:
    if isinstance(value, Mapping):
        return Condition(path, float(value["at least"]), least=True)
    return Condition(path, value)


def _evidence(contrast: Contrast) -> dict[str, Any]:
    return {
        "compared with": contrast.others,
        "tasks": contrast.tasks,
        "difference": None if math.isnan(contrast.difference) else contrast.difference,
        "log odds": contrast.log_odds,
        "p": contrast.p_value,
        "q": contrast.q_value,
    }
