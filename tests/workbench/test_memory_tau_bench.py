"""Loading tau-bench: made-up runs in its form, and the real ones where they are."""

import json
import os

import pytest

from lean_agentic.agentdb.records import Verdict
from lean_agentic.workbench import memory_tau_bench as tau
from lean_agentic.workbench.datasets import DatasetError
from lean_agentic.workbench.project import Project
from lean_agentic.workbench.recorder import Recorder


def run(task=4, trial=1, reward=1.0):
    call = {"id": "1", "function": {"name": "get_user", "arguments": '{"user_id": "ada"}'}}
    return {
        "task_id": task,
        "trial": trial,
        "reward": reward,
        "info": {"task": {"instruction": "SECRET", "actions": ["SECRET"]}, "reward_info": {"SECRET": 1}},
        "traj": [
            {"role": "system", "content": "policy"},
            {"role": "user", "content": "Cancel my flight."},
            {"role": "assistant", "content": "Who are you?"},
            {"role": "user", "content": "Ada."},
            {"role": "assistant", "content": None, "tool_calls": [call, {**call, "id": "2"}]},
            {"role": "tool", "content": '{"tier": "gold", "name": {"first": "Ada"}, "bags": [1]}'},
            {"role": "assistant", "content": "Done."},
        ],
    }


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.delenv("LEAN_AGENTIC_DATA", raising=False)
    (tmp_path / "data" / "downloads").mkdir(parents=True)
    return Project(tmp_path)


def put(project, *runs, array=False):
    path = project.data / "downloads" / tau.FILE
    path.write_text(json.dumps(runs) if array else "\n".join(map(json.dumps, runs)))
    return path


def test_a_step_is_what_was_done_knowing_what_was_said_and_looked_up():
    found = tau.trajectory_of(run())
    ask, look, tell = found.steps
    assert (found.task, found.group, found.verdict) == ("Cancel my flight.", "task 4", Verdict.SUCCESS)
    assert (ask.action, ask.outcome) == ("respond", "Ada.")
    assert ask.state == {"heard": "Cancel my flight.", "known": {}, "arguments": {"content": "Who are you?"}}
    assert look.action == "get_user"
    assert look.state["arguments"] == {"user_id": "ada"}
    assert json.loads(look.outcome)["tier"] == "gold"
    assert tell.state == {"heard": "Ada.", "known": {"tier": "gold"}, "arguments": {"content": "Done."}}
    assert tell.outcome == ""
    assert tau.trajectory_of(run(reward=0.0)).verdict is Verdict.FAILURE


def test_what_only_the_benchmark_knows_is_left_out():
    assert "SECRET" not in repr(tau.trajectory_of(run()))


@pytest.mark.parametrize("array", [False, True])
def test_runs_come_task_by_task_with_ids_and_are_reported(project, array):
    put(project, run(4, 1), run(2, 0), run(4, 0), array=array)
    recorder = Recorder()
    found = tau.tau_bench(recorder, project)
    assert [each.session for each in found] == ["task 2 trial 0", "task 4 trial 0", "task 4 trial 1"]
    assert [each.id for each in found] == [1, 2, 3]
    assert recorder.data[0]["name"] == "taubench_airline"
    assert recorder.data[0]["note"] == "not the file that figures in the log come from"
    assert len(recorder.data[0]["sha256"]) == 64


def test_an_absent_file_is_said_to_be_absent(project):
    assert tau.tau_bench(project=project) is None
    assert tau.FILE in tau.HOW_TO_GET


@pytest.mark.parametrize("text", ["hello", "[1]", '{"task_id": 1}', "[]x", '[{"task_id": 1, "trial": 0}]'])
def test_another_file_is_refused(project, text):
    put(project).write_text(text)
    with pytest.raises(DatasetError, match="holds no trajectories of tau-bench"):
        tau.tau_bench(project=project)


@pytest.mark.slow
@pytest.mark.skipif("LEAN_AGENTIC_DATA" not in os.environ, reason="LEAN_AGENTIC_DATA names no local copy")
def test_the_published_figures_of_the_development_half_hold():
    trajectories = tau.tau_bench()
    assert trajectories is not None
    assert (len(trajectories), len({each.group for each in trajectories})) == (100, 25)
    tables = tau.measure_tau_bench(trajectories, repeats=1, draws=100)
    judges = tables.judges
    # The target: .78, without a verdict of the held-out task.
    assert judges.auc["learned: with trials"] >= 0.78
    assert judges.ece_excess["learned: with trials"] <= 0.05
    # Eight tasks with both outcomes are too few to tell whether advice helps: no interval excludes that it does not.
    assert tables.advice["concordance within tasks low"].max() <= 0.5
