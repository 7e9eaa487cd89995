"""The agent's log: its order, what is in an episode, and the made-up one."""

from __future__ import annotations

from pathlib import Path

import pytest

from lean_agentic.agentdb.records import Step, Trajectory, Verdict
from lean_agentic.workbench.datasets import DATA_VARIABLE
from lean_agentic.workbench.memory_log import agent_log, episodes_of, generated_trajectories
from lean_agentic.workbench.recorder import Recorder


def test_an_episode_a_step_in_order() -> None:
    steps = (
        Step({"heard": "change HAT136 for mia_li_3668", "arguments": {"content": "one moment"}}, "respond", "ok"),
        Step({"heard": "ok", "arguments": {"reservation": "ABC123"}}, "get_reservation", "x" * 9000),
    )
    first, second = episodes_of([Trajectory("airline", steps, session="s")])
    assert (first.action, first.entities) == ("one moment", ("HAT136", "mia_li_3668"))
    assert (second.entities, second.session) == (("ABC123",), "s")
    assert first.time is not None
    assert second.time is not None
    assert first.time < second.time
    assert len(second.outcome) == 400


def test_without_the_file_the_log_is_made_up_and_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    monkeypatch.setattr("lean_agentic.workbench.memory_log.tau_bench", lambda recorder: None)
    log = agent_log(Recorder(), limit=8)
    assert (log.origin, len(log.trajectories)) == ("generated", 8)
    assert "made up" in capsys.readouterr().out


def test_in_the_made_up_log_hard_cases_are_handed_over_more_often() -> None:
    made = generated_trajectories(2000, seed=1)
    assert made == generated_trajectories(2000, seed=1)
    over = [any(step.action == "transfer_to_human_agents" for step in each.steps) for each in made]
    solved = [each.verdict is Verdict.SUCCESS for each in made]
    with_, without = [
        sum(s for s, o in zip(solved, over, strict=True) if o is side) / over.count(side) for side in (True, False)
    ]
    assert with_ < without - 0.05
