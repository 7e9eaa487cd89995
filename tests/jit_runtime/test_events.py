from __future__ import annotations

from lean_agentic.jit_runtime.events import Trajectory, record


def test_a_list_and_a_callable_are_recorders() -> None:
    taken: list[Trajectory] = []
    called: list[Trajectory] = []
    for recorder in (taken, called.append, None):
        record(
            recorder, "promotion", "f", state={"calls": 3}, action="tier 1", outcome="1.0 ms", cost=1.0, success=True
        )  # fmt: skip
    assert len(taken) == len(called) == 1
    (step,) = taken[0].steps
    assert (taken[0].task_type, taken[0].verdict, taken[0].function) == ("jit.promotion", "success", "f")
    assert (step.state, step.action, step.outcome, step.cost) == ({"calls": 3}, "tier 1", "1.0 ms", 1.0)
    assert repr(taken[0]) == "<Trajectory jit.promotion f: tier 1: 1.0 ms; success>"


def test_a_failure_says_so() -> None:
    taken: list[Trajectory] = []
    record(taken, "blacklist", "f", state={}, action="give up", outcome="overflow", success=False)
    assert taken[0].verdict == "failure"
