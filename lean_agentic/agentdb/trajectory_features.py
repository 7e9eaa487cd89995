"""Numbers that describe a trajectory, whatever it is about: the input of learned judges and of comparisons.

In: a `Trajectory`. Out: named floats. Two conventions make more of a step's state where they are kept: `arguments`
holds what the action was called with, and every other text in it was known before. Counts enter as log(1 + n), so that
a hundred steps weigh no more than they should beside ten.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lean_agentic.agentdb.action_roles import Role, RoleOf, role_of, step_failed
from lean_agentic.agentdb.records import Step, Trajectory

Floats = npt.NDArray[np.float64]
Scalar = str | int | float | bool | None
ARGUMENTS = "arguments"

_REFUSAL = re.compile(
    r"\b(?:unfortunately|cannot|can't|can ?not|unable|won't|not (?:possible|allowed|eligible|able|permitted)|sorry)\b",
    re.IGNORECASE,
)
_CONSENT = re.compile(
    r"\b(?:yes|yeah|ok|okay|sure|agreed?|confirm(?:ed)?|proceed|go ahead|sounds good|please do|correct)\b",
    re.IGNORECASE,
)
_THANKS = re.compile(r"\b(?:thanks?|thank you|perfect|great|appreciate[ds]?|excellent)\b", re.IGNORECASE)
_DISPLEASURE = re.compile(
    r"\b(?:frustrat\w+|upset|disappoint\w+|unacceptable|ridiculous|angry|annoy\w+|insist\w*|still|but|why|wrong)\b",
    re.IGNORECASE,
)


def describe(trajectory: Trajectory, roles: RoleOf = role_of) -> dict[str, float]:
    """All features of one trajectory; the same names in the same order for every trajectory.

    Parameters
    ----------
    roles
        Tells which actions read, talk, hand over and write.
    """
    steps = trajectory.steps
    kinds = [roles(step.action) for step in steps]
    failed = [step_failed(step, roles) for step in steps]
    return {
        **_counts(steps, kinds, failed),
        **_order(steps, kinds, failed),
        **_grounding(steps, kinds),
        **_words(steps, kinds),
        **_totals(steps),
    }


def feature_rows(trajectories: Sequence[Trajectory], roles: RoleOf = role_of) -> tuple[tuple[str, ...], Floats]:
    """Names of the features, and the (n, p) table of them."""
    rows = [describe(trajectory, roles) for trajectory in trajectories]
    names = tuple(describe(Trajectory("", ()), roles))
    return names, np.array([list(row.values()) for row in rows], np.float64).reshape(len(rows), len(names))


def action_ngrams(trajectory: Trajectory, longest: int = 2) -> Counter[tuple[str, ...]]:
    """How often each run of 1 to `longest` consecutive actions occurs."""
    actions = [step.action for step in trajectory.steps]
    return Counter(tuple(actions[at : at + n]) for n in range(1, longest + 1) for at in range(len(actions) - n + 1))


def flatten(state: Any, prefix: str = "") -> Iterator[tuple[str, Scalar]]:
    """The scalars of a JSON value with dotted paths; a list gives its length and its items' scalars under `path[]`."""
    if isinstance(state, Mapping):
        for key, value in state.items():
            yield from flatten(value, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(state, list | tuple):
        yield f"{prefix}.length", len(state)
        for item in state:
            yield from flatten(item, f"{prefix}[]")
    else:
        yield prefix, state


def call_key(step: Step) -> str:
    """The action with its arguments: equal for steps that do the same thing to the same things."""
    return f"{step.action} {json.dumps(step.state.get(ARGUMENTS), sort_keys=True, default=str)}"


def _counts(steps: Sequence[Step], kinds: Sequence[Role], failed: Sequence[bool]) -> dict[str, float]:
    written = [
        step.action for step, kind, bad in zip(steps, kinds, failed, strict=True) if kind is Role.WRITE and not bad
    ]
    bad_writes = sum(kind is Role.WRITE and bad for kind, bad in zip(kinds, failed, strict=True))
    return {
        "steps": math.log1p(len(steps)),
        "reads": math.log1p(kinds.count(Role.READ)),
        "talks": math.log1p(kinds.count(Role.TALK)),
        "writes": math.log1p(len(written)),
        "wrote": float(bool(written)),
        "kinds of write": float(len(set(written))),
        "failed writes": math.log1p(bad_writes),
        "failed steps": math.log1p(sum(failed)),
        "handed over": float(Role.HAND_OVER in kinds),
        "never read": float(Role.READ not in kinds),
        "only talked": float(all(kind is Role.TALK for kind in kinds)),
    }


def _order(steps: Sequence[Step], kinds: Sequence[Role], failed: Sequence[bool]) -> dict[str, float]:
    calls = [call_key(step) for step in steps]
    actions = [step.action for step in steps]
    return {
        "distinct actions": math.log1p(len(set(actions))),
        "action entropy": _entropy(Counter(actions)),
        "repeated calls": math.log1p(len(calls) - len(set(calls))),
        "repeated at once": math.log1p(sum(a == b for a, b in itertools.pairwise(calls))),
        "longest run": math.log1p(_longest_run(actions)),
        "ends talking": float(bool(kinds) and kinds[-1] is Role.TALK),
        "ends failed": float(bool(failed) and failed[-1]),
        "failed then went on": float(any(bad and not last for bad, last in itertools.pairwise(failed))),
    }


def _entropy(counts: Counter[str]) -> float:
    total = counts.total()
    return -sum(n / total * math.log(n / total) for n in counts.values())


def _longest_run(actions: Sequence[str]) -> int:
    best = run = 0
    for at, action in enumerate(actions):
        run = run + 1 if at and action == actions[at - 1] else 1
        best = max(best, run)
    return best


def _grounding(steps: Sequence[Step], kinds: Sequence[Role]) -> dict[str, float]:
    """How much the arguments of writes say, and how much of it appears nowhere in what was known before."""
    known, given, ungrounded, agreed = "", 0, 0, []
    for step, kind in zip(steps, kinds, strict=True):
        heard = " ".join(_texts(_without_arguments(step)))
        known += f" {heard.lower()}"
        if kind is Role.WRITE:
            values = [str(value).lower() for _, value in _arguments(step)]
            given += len(values)
            ungrounded += sum(value not in known for value in values)
            agreed.append(bool(_CONSENT.search(heard)))
        elif kind is Role.READ:
            # What was looked up came from somewhere; what was said by the agent itself proves nothing.
            known += " " + " ".join(str(value).lower() for _, value in _arguments(step))
        if kind is not Role.TALK:
            known += f" {step.outcome.lower()}"
    return {
        "written values": math.log1p(given),
        "ungrounded values": ungrounded / given if given else 0.0,
        "writes agreed to": sum(agreed) / len(agreed) if agreed else 0.0,
    }


def _without_arguments(step: Step) -> dict[str, Any]:
    return {key: value for key, value in step.state.items() if key != ARGUMENTS}


def _arguments(step: Step) -> list[tuple[str, Scalar]]:
    return [(path, value) for path, value in flatten(step.state.get(ARGUMENTS, {})) if not path.endswith(".length")]


def _texts(value: Any) -> list[str]:
    return [scalar for _, scalar in flatten(value) if isinstance(scalar, str)]


def _words(steps: Sequence[Step], kinds: Sequence[Role]) -> dict[str, float]:
    """What was said by the agent, and to it."""
    talks = [step for step, kind in zip(steps, kinds, strict=True) if kind is Role.TALK]
    said = [" ".join(_texts(step.state.get(ARGUMENTS, {}))) for step in talks]
    heard = [step.outcome for step in talks]
    refusals = [bool(_REFUSAL.search(text)) for text in said]
    return {
        "refusals": math.log1p(sum(refusals)),
        "share of refusals": sum(refusals) / len(refusals) if refusals else 0.0,
        "last words refuse": float(bool(refusals) and refusals[-1]),
        "questions": math.log1p(sum("?" in text for text in said)),
        "length said": math.log1p(sum(map(len, said))),
        "length heard": math.log1p(sum(map(len, heard))),
        "thanked": float(bool(heard) and bool(_THANKS.search(heard[-1]))),
        "displeasure": math.log1p(sum(bool(_DISPLEASURE.search(text)) for text in heard)),
    }


def _totals(steps: Sequence[Step]) -> dict[str, float]:
    return {
        "cost": math.log1p(max(sum(step.cost for step in steps), 0.0)),
        "latency": math.log1p(max(sum(step.latency for step in steps), 0.0)),
    }
