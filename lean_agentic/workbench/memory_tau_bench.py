"""The airline trajectories of tau-bench as records of the memory, and what it makes of them.

In: a file of tau-bench trajectories (one JSON object a line, or one array), found where data sets are looked for. Out:
`Trajectory` records: a step is what the agent said or the tool it called, its state what had been said and looked up
before, its outcome the answer. The verdict is the benchmark's reward. What the benchmark knows and the agent did not is
left out: the user's script and the right actions.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from lean_agentic.agentdb.embedding import Embedding
from lean_agentic.agentdb.records import Provenance, Step, Trajectory, Verdict
from lean_agentic.workbench.datasets import DATA_VARIABLE, DatasetError, data_folders
from lean_agentic.workbench.files import sha256_of
from lean_agentic.workbench.memory_advice import advice_table
from lean_agentic.workbench.memory_judging import abstention_table, choice_table, judge_table, predict
from lean_agentic.workbench.project import Project, find_project
from lean_agentic.workbench.recorder import Recorder

FILE = "taubench_airline_dev.jsonl"
SOURCE = "https://github.com/sierra-research/tau-bench"
DEVELOPMENT_SHA256 = "c36928ea11ec778281c2c3fd35393daba3b7fda91779cf6923d62ce85ee1efff"
"""Of the 100 trajectories (even tasks) that figures in the log were measured on."""
TASK_TYPE = "airline"
RESPOND = "respond"
HOW_TO_GET = (
    f"{FILE} is not here. It is a part (even task ids) of historical_trajectories/gpt-4o-airline.json in {SOURCE}, and "
    f"no download of its own: put it into a folder and set {DATA_VARIABLE} to that."
)


@dataclass(frozen=True)
class TauBenchTables:
    """What the memory makes of the trajectories."""

    judges: pd.DataFrame
    """AUC and calibration by judge, see `judge_table`."""
    abstention: pd.DataFrame
    choice: pd.DataFrame
    """What choosing among trials by a judge gains."""
    advice: pd.DataFrame
    """What patterns are worth on held-out tasks, see `advice_table`."""


def measure_tau_bench(
    trajectories: Sequence[Trajectory], *, repeats: int = 3, draws: int = 500, embedding: Embedding | None = None
) -> TauBenchTables:
    """All tables; about 20 s with the settings given.

    Parameters
    ----------
    repeats
        Splits of the tasks into folds that figures are averaged over.
    draws
        Of the bootstrap over tasks.
    embedding
        To find patterns by likeness of tasks too.
    """
    predictions = predict(trajectories, repeats=repeats)
    return TauBenchTables(
        judge_table(predictions, draws=draws),
        abstention_table(predictions),
        choice_table(predictions, draws=draws),
        advice_table(trajectories, embedding, repeats=repeats, draws=draws),
    )


def find_tau_bench(project: Project | None = None) -> Path | None:
    """Where the file lies; None where no data folder has it."""
    paths = [folder / FILE for folder in data_folders(project or find_project())]
    return next((path for path in paths if path.exists()), None)


def tau_bench(recorder: Recorder | None = None, project: Project | None = None) -> list[Trajectory] | None:
    """The trajectories, numbered from 1; None where the file is absent, which `HOW_TO_GET` explains.

    Parameters
    ----------
    recorder
        Is told of the file and its checksum.
    """
    path = find_tau_bench(project)
    if path is None:
        return None
    digest = sha256_of(path)
    note = "the development half" if digest == DEVELOPMENT_SHA256 else "not the file that figures in the log come from"
    if recorder is not None:
        recorder.used_data("taubench_airline", origin="file", sha256=digest, note=note)
    return [replace(trajectory, id=at + 1) for at, trajectory in enumerate(load_tau_bench(path))]


def load_tau_bench(path: Path) -> list[Trajectory]:
    """Read trajectories, those of a task after each other.

    Raises
    ------
    DatasetError
        The file is something else.
    """
    try:
        text = path.read_text(encoding="utf-8")
        array = text.lstrip().startswith("[")
        runs = json.loads(text) if array else [json.loads(line) for line in text.splitlines() if line.strip()]
        return [trajectory_of(run) for run in sorted(runs, key=lambda run: (run["task_id"], run["trial"]))]
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise DatasetError(f"{path} holds no trajectories of tau-bench: {error!r}") from error


def trajectory_of(run: Mapping[str, Any]) -> Trajectory:
    """One run as a trajectory; trials of a task share its group."""
    messages = run["traj"]
    return Trajectory(
        task_type=TASK_TYPE,
        steps=_steps(messages),
        task=next(message["content"] for message in messages if message["role"] == "user"),
        verdict=Verdict.SUCCESS if run["reward"] == 1 else Verdict.FAILURE,
        group=f"task {run['task_id']}",
        session=f"task {run['task_id']} trial {run['trial']}",
        metadata={"trial": run["trial"]},
        provenance=Provenance("tau-bench", "imported", detail={"task": run["task_id"], "trial": run["trial"]}),
    )


def _steps(messages: Sequence[Mapping[str, Any]]) -> tuple[Step, ...]:
    steps: list[Step] = []
    heard = ""
    known: dict[str, Any] = {}
    for message, answer in zip(messages, [*messages[1:], {}], strict=True):
        if message["role"] == "user":
            heard = message["content"]
        elif message["role"] == "tool":
            known = {**known, **_facts(message["content"])}
        elif message["role"] == "assistant":
            action, arguments = _call(message)
            state = {"heard": heard, "known": known, "arguments": arguments}
            steps.append(Step(state, action, answer.get("content") or ""))
    return tuple(steps)


def _call(message: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """What the assistant did. Only the first tool call of a message is carried out by the benchmark."""
    if not message.get("tool_calls"):
        return RESPOND, {"content": message["content"]}
    function = message["tool_calls"][0]["function"]
    return function["name"], json.loads(function["arguments"])


def _facts(result: str) -> dict[str, Any]:
    """The single values of a tool's answer; lists and nested objects are details."""
    try:
        answer = json.loads(result)
    except ValueError:
        return {}
    if not isinstance(answer, dict):
        return {}
    return {key: value for key, value in answer.items() if not isinstance(value, dict | list)}
