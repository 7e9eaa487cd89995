"""The trials of one task beside each other: what those that succeeded did and those that failed did not.

After the parallel scaling of MaTTS (Ouyang et al. 2025), which has a language model compare k trajectories of a task;
here the comparison is exact: moves that separate the trials, and for each success the failure that went along with it
longest, with the step at which they parted.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lean_agentic.agentdb.action_roles import RoleOf, role_of
from lean_agentic.agentdb.judges import JudgeError
from lean_agentic.agentdb.move_wording import title
from lean_agentic.agentdb.moves import Move, Reading, read_moves
from lean_agentic.agentdb.records import Step, Trajectory, Verdict
from lean_agentic.agentdb.trajectory_features import ARGUMENTS, flatten


@dataclass(frozen=True)
class Parting:
    """Where a success and a failure parted."""

    success: int
    """Id of the trajectory."""
    failure: int
    step: int
    """Steps, from 0, that both took alike up to here."""
    succeeding: Step | None
    """What the success did next; None where it ended."""
    failing: Step | None

    @property
    def reason(self) -> str:
        """In words: other actions, or the same action on other things."""
        a, b = self.succeeding, self.failing
        if a is None and b is None:
            return "both took the same steps"
        if a is None or b is None:
            which, longer = ("success", a) if b is None else ("failure", b)
            assert longer is not None
            return f"after {self.step} steps the {which} went on with {longer.action} and the other ended"
        if a.action != b.action:
            return f"at step {self.step} the success took {a.action}, the failure {b.action}"
        return f"at step {self.step} both took {a.action}; {_argument_differences(a, b)}"


@dataclass(frozen=True)
class TrialsContrast:
    """What separates the trials of a task that succeeded from those that failed."""

    group: str
    successes: tuple[int, ...]
    """Ids."""
    failures: tuple[int, ...]
    always_in_successes: tuple[Move, ...]
    """Moves of every success and of no failure."""
    always_in_failures: tuple[Move, ...]
    partings: tuple[Parting, ...]
    """One a success."""

    @property
    def summary(self) -> str:
        """The contrast in a few lines."""
        lines = [f"{len(self.successes)} of {len(self.successes) + len(self.failures)} trials succeeded."]
        lines += [f"Only those that succeeded: {title(move, avoid=False)}." for move in self.always_in_successes]
        lines += [f"Only those that failed: {title(move, avoid=False)}." for move in self.always_in_failures]
        return "\n".join(
            [*lines, *(f"{parting.success} and {parting.failure}: {parting.reason}." for parting in self.partings)]
        )


def contrast_trials(trials: Sequence[Trajectory], roles: RoleOf = role_of) -> TrialsContrast:
    """Contrast the judged trials of one task; unjudged ones are left out.

    Raises
    ------
    JudgeError
        They are of several tasks, or there is no success, or no failure, among them.
    """
    groups = {(trial.task_type, trial.group) for trial in trials}
    judged = sorted((each for each in trials if each.verdict is not Verdict.UNKNOWN), key=_place)
    won = [trial for trial in judged if trial.verdict is Verdict.SUCCESS]
    lost = [trial for trial in judged if trial.verdict is Verdict.FAILURE]
    if len(groups) != 1 or not won or not lost:
        raise JudgeError(
            f"a contrast needs a success and a failure of one task; got {len(won)} successes and {len(lost)} failures "
            f"of {len(groups)} tasks"
        )
    # Without conditions: what differs between the situations of one task is what an agent found out or was told.
    reading = read_moves(judged, roles=roles)
    winners = frozenset(at for at, trial in enumerate(judged) if trial.verdict is Verdict.SUCCESS)
    losers = frozenset(range(len(judged))) - winners
    return TrialsContrast(
        judged[0].group,
        tuple(trial.id for trial in won),
        tuple(trial.id for trial in lost),
        _exclusive(reading, winners),
        _exclusive(reading, losers),
        tuple(_parting(trial, lost) for trial in won),
    )


def _exclusive(reading: Reading, places: frozenset[int]) -> tuple[Move, ...]:
    """Moves that exactly these follow, the simplest of each set of actions."""
    found = sorted((move for move, following in reading.followers.items() if following == places), key=lambda m: m.key)
    told: set[str] = set()
    kept = []
    for move in found:
        if not told.intersection(move.actions):
            kept.append(move)
            told.update(move.actions)
    return tuple(kept)


def _parting(success: Trajectory, failures: Sequence[Trajectory]) -> Parting:
    closest = max(failures, key=lambda failure: _alike(success, failure))
    _, step = _alike(success, closest)
    following = [trial.steps[step] if step < len(trial.steps) else None for trial in (success, closest)]
    return Parting(success.id, closest.id, step, *following)


def _alike(first: Trajectory, second: Trajectory) -> tuple[int, int]:
    """How many steps two trials took alike: by action, and by action and arguments, words left out."""
    by_action = by_call = 0
    for a, b in zip(first.steps, second.steps, strict=False):
        if a.action != b.action:
            break
        by_action += 1
        if by_call == by_action - 1 and _comparable(a) == _comparable(b):
            by_call += 1
    return by_action, by_call


def _comparable(step: Step) -> str:
    """The arguments, prose left out: two trials never say the same in the same words."""
    values = [(path, value) for path, value in flatten(step.state.get(ARGUMENTS, {})) if not _is_prose(value)]
    return json.dumps(sorted(values, key=str), default=str)


def _is_prose(value: Any) -> bool:
    return isinstance(value, str) and len(value) > 60


def _argument_differences(a: Step, b: Step) -> str:
    ours, theirs = (dict(flatten(step.state.get(ARGUMENTS, {}))) for step in (a, b))
    paths = [
        path for path in {**ours, **theirs} if ours.get(path) != theirs.get(path) and not _is_prose(ours.get(path))
    ]
    shown = [f"{path} {ours.get(path)!r} and {theirs.get(path)!r}" for path in paths[:3]]
    return "its arguments differ in " + ", ".join(shown) if shown else "their words differ"


def _place(trial: Trajectory) -> tuple[int, str]:
    return trial.id, repr(trial.steps)
