"""A log of what an agent did: tau-bench's airline agent where its file is here, else made up.

In: a recorder, which is told where the log comes from. Out: trajectories, and the same as episodes, one a step. The
made-up log says that it is; in it customers who come with a hard case are handed over more often and helped less often,
so that handing over looks worse than it is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lean_agentic.agentdb.records import Episode, Provenance, Step, Trajectory, Verdict
from lean_agentic.workbench.memory_tau_bench import HOW_TO_GET, tau_bench
from lean_agentic.workbench.recorder import Recorder

SHOWN = 400
"""Characters of a text that an episode keeps: what a tool answers can be pages long."""
STEP_S, TASK_S = 60.0, 86_400.0
"""Seconds between steps and between trajectories: the log has an order, and no clock of its own."""
ENTITIES = re.compile(r"\b(?:HAT\d{3}|[A-Z0-9]{6}|[a-z]+_[a-z]+_\d{4}|(?:certificate|credit_card|gift_card)_\d+)\b")
CASES = {
    "lost baggage": ("open_claim", 0.8),
    "cancelled flight": ("refund", 0.7),
    "wrong name on a ticket": ("correct_name", 0.5),
    "refused card": ("change_payment", 0.3),
}
"""Made-up cases: what helps, and how often the case is solved."""


@dataclass(frozen=True)
class AgentLog:
    """What an agent did."""

    trajectories: tuple[Trajectory, ...]
    episodes: tuple[Episode, ...]
    origin: str
    """`file` or `generated`."""

    def __repr__(self) -> str:
        return f"<log of {len(self.trajectories)} trajectories, {len(self.episodes)} episodes, {self.origin}>"


def agent_log(recorder: Recorder | None = None, limit: int | None = None, seed: int = 0) -> AgentLog:
    """The log.

    Parameters
    ----------
    recorder
        Is told of the data.
    limit
        Of trajectories; None is all.
    seed
        Of the made-up log.
    """
    found = tau_bench(recorder)
    if found is None:
        note = f"made up: {HOW_TO_GET}"
        print(note)
        if recorder is not None:
            recorder.used_data("airline log", origin="generated", note=note)
    trajectories = tuple((found or generated_trajectories(100, seed))[:limit])
    return AgentLog(trajectories, episodes_of(trajectories), "generated" if found is None else "file")


def episodes_of(trajectories: Sequence[Trajectory]) -> tuple[Episode, ...]:
    """One episode a step, in the session of its trajectory."""
    return tuple(
        _episode(trajectory, step, TASK_S * day + STEP_S * minute)
        for day, trajectory in enumerate(trajectories)
        for minute, step in enumerate(trajectory.steps)
    )


def _episode(trajectory: Trajectory, step: Step, time: float) -> Episode:
    said = step.state.get("arguments", {})
    action = str(said.get("content", "")) if step.action == "respond" else f"{step.action} {said}"
    heard, done, answer = str(step.state.get("heard", ""))[:SHOWN], action[:SHOWN], step.outcome[:SHOWN]
    return Episode(
        heard,
        done,
        answer,
        entities=tuple(dict.fromkeys(ENTITIES.findall(f"{heard} {done} {answer}"))),
        time=time,
        session=trajectory.session,
        metadata={"action": step.action},
        provenance=trajectory.provenance,
    )


def generated_trajectories(count: int, seed: int) -> list[Trajectory]:
    """A made-up help desk: four trials a task, hard cases handed over more often and solved less often."""
    random = np.random.default_rng(seed)
    made = []
    for at in range(count):
        if at % 4 == 0:
            case = str(random.choice(list(CASES)))
            customer = f"customer_desk_{random.integers(1000, 9999)}"
        remedy, chance = CASES[case]
        handed_over = bool(random.random() < 0.8 - 0.7 * chance)
        solved = bool(random.random() < chance)
        state = {"heard": f"I have a problem: {case}.", "arguments": {"user_id": customer}}
        steps = [
            Step(state, "get_user_details", f"{customer} is a member"),
            Step(state, remedy, "done" if solved else "Error: not allowed"),
        ]
        if handed_over:
            steps.append(Step(state, "transfer_to_human_agents", "transferred"))
        steps.append(Step({**state, "arguments": {"content": "Anything else?"}}, "respond", "No, thanks."))
        made.append(
            Trajectory(
                "airline",
                tuple(steps),
                f"help a customer with {case}",
                Verdict.SUCCESS if solved else Verdict.FAILURE,
                group=f"task {at // 4}",
                session=f"task {at // 4} trial {at % 4}",
                provenance=Provenance("made-up log", "generated"),
                id=at + 1,
            )
        )
    return made
