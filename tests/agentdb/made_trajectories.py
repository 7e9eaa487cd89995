"""Trajectories made for tests, where what leads to success is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from lean_agentic.agentdb.records import Step, Trajectory, Verdict

FEW = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""For properties of whole trajectories, which take long to draw; a busy machine must not decide a test."""
ACTIONS = ("search_items", "get_item", "respond", "update_item", "send_mail", "transfer_to_person")


def made(*actions: str, verdict: bool | None = None, group: str = "", **fields) -> Trajectory:
    """A trajectory of bare steps: `name!` went wrong; None leaves it unjudged."""
    steps = tuple(Step({}, name.rstrip("!"), "Error: no" if name.endswith("!") else "fine") for name in actions)
    verdicts = {None: Verdict.UNKNOWN, True: Verdict.SUCCESS, False: Verdict.FAILURE}
    return Trajectory(fields.pop("task_type", "made.task"), steps, verdict=verdicts[verdict], group=group, **fields)


def planted(
    tasks: int, trials: int, seed: int, *, lift: float = 0.0, difficulty: float = 0.0, chosen: float = 0.5
) -> list[Trajectory]:
    """Trials that take `update_item` with chance `chosen`, which adds `lift` to the chance of success.

    `difficulty` moves a task's chance of success, and against it its chance of `send_mail`, which does nothing: across
    tasks it looks harmful.
    """
    rng = np.random.default_rng(seed)
    found = []
    for task in range(tasks):
        hard = rng.random() < 0.5
        for _ in range(trials):
            helps, mails = rng.random() < chosen, rng.random() < 0.5 + (difficulty if hard else -difficulty)
            chance = 0.5 + (lift / 2 if helps else -lift / 2) + (-difficulty if hard else difficulty)
            actions = ["search_items", *_noise(rng), *["update_item"] * helps, *["send_mail"] * mails]
            found.append(made(*actions, verdict=bool(rng.random() < chance), group=f"task {task}", id=len(found) + 1))
    return found


def _noise(rng: np.random.Generator) -> Sequence[str]:
    return [name for name in ("get_item", "respond", "check_stock", "list_orders") if rng.random() < 0.5]


def any_json() -> st.SearchStrategy:
    """JSON objects as a step's state."""
    scalars = st.sampled_from([None, True, False, 0, 1, -7, 2.5, "", "Ada", "yes please"])
    inner = scalars | st.lists(scalars, max_size=2) | st.dictionaries(st.sampled_from("ab"), scalars, max_size=2)
    return st.dictionaries(st.sampled_from(["arguments", "heard", "size"]), inner, max_size=3)


def any_trajectory() -> st.SearchStrategy[Trajectory]:
    """Small trajectories of all shapes."""
    step = st.builds(
        Step,
        any_json(),
        st.sampled_from(ACTIONS),
        st.sampled_from(["", "fine", "Error: no", '{"error": "x"}', '{"a": 1}', "Sorry, why?"]),
        st.sampled_from([0.0, 0.5, 3.0]),
        st.sampled_from([0.0, 2.0]),
    )
    return st.builds(
        Trajectory,
        st.just("made.task"),
        st.lists(step, max_size=6).map(tuple),
        verdict=st.sampled_from(list(Verdict)),
        group=st.sampled_from(["", "a", "b"]),
    )
