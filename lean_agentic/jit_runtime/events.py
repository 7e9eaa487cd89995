"""What the runtime decided, as plain records for whoever wants to learn from it.

In: promotions, on-stack replacements, deoptimisations and give-ups as they happen. Out: `Trajectory` records to an
optional recorder, which is a callable or anything with `append`, such as a list.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol


class Appendable(Protocol):
    """A list, for instance."""

    def append(self, record: Trajectory, /) -> Any:
        """Take a record."""


Recorder = Callable[["Trajectory"], Any] | Appendable


@dataclass(frozen=True)
class Step:
    """One decision: the situation, what was done, what came of it."""

    state: dict[str, Any]
    action: str
    outcome: str
    cost: float
    """Milliseconds of compile time."""
    latency: float
    """Milliseconds from the decision to its effect."""


@dataclass(frozen=True)
class Trajectory:
    """A finished decision of the runtime."""

    task_type: str
    """`jit.promotion`, `jit.osr`, `jit.deoptimisation`, `jit.blacklist` or `jit.unsupported`."""
    steps: tuple[Step, ...]
    verdict: str
    """`success` or `failure`."""
    function: str
    time: float = field(default_factory=time.time)

    def __repr__(self) -> str:
        actions = ", ".join(f"{step.action}: {step.outcome}" for step in self.steps)
        return f"<Trajectory {self.task_type} {self.function}: {actions}; {self.verdict}>"


def record(
    recorder: Recorder | None,
    kind: str,
    function: str,
    *,
    state: dict[str, Any],
    action: str,
    outcome: str,
    cost: float = 0.0,
    latency: float = 0.0,
    success: bool = True,
) -> None:
    """Hand one decision to a recorder, if there is one."""
    if recorder is None:
        return
    step = Step(state, action, outcome, cost, latency)
    trajectory = Trajectory(f"jit.{kind}", (step,), "success" if success else "failure", function)
    if callable(recorder):
        recorder(trajectory)
    else:
        recorder.append(trajectory)
