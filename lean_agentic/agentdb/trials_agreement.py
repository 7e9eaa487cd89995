"""Whether the trials of one task came to the same end: says much about who is right, and needs no verdicts.

The effect of a trajectory is the multiset of the writes that went through, with their arguments. Errors are many and
the right end is one, so agreement is evidence of being right (self-consistency, Wang et al. 2022, for trajectories).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from lean_agentic.agentdb.action_roles import Role, RoleOf, role_of, step_failed
from lean_agentic.agentdb.records import Step, Trajectory
from lean_agentic.agentdb.trajectory_features import call_key

AGREEMENT = ("same effect", "same kinds of effect", "shared effect")
"""Names of what `agreement` gives, in its order."""


def writes(trajectory: Trajectory, roles: RoleOf = role_of) -> list[Step]:
    """The steps that changed something, in order."""
    return [step for step in trajectory.steps if roles(step.action) is Role.WRITE and not step_failed(step, roles)]


def agreement(trajectory: Trajectory, others: Sequence[Trajectory], roles: RoleOf = role_of) -> tuple[float, ...]:
    """Shares of the other trials that did the very same, and the same up to arguments; mean overlap of what was done.

    Each in [0, 1]; doing nothing agrees with doing nothing. Raises ValueError without others.
    """
    if not others:
        raise ValueError("agreement needs at least one other trial of the same task")
    calls, actions = _effect(trajectory, roles)
    rest = [_effect(other, roles) for other in others]
    return (
        float(np.mean([calls == theirs for theirs, _ in rest])),
        float(np.mean([actions == theirs for _, theirs in rest])),
        float(np.mean([_overlap(calls, theirs) for theirs, _ in rest])),
    )


def _effect(trajectory: Trajectory, roles: RoleOf) -> tuple[Counter[str], Counter[str]]:
    done = writes(trajectory, roles)
    return Counter(call_key(step) for step in done), Counter(step.action for step in done)


def _overlap(a: Counter[str], b: Counter[str]) -> float:
    union = (a | b).total()
    return (a & b).total() / union if union else 1.0
