"""Runs experiments one after the other and keeps what they measured.

Goes in: planned runs (`run_plan.py`). Comes out: for each a finished run folder or a failed one; a failing
notebook does not stop the others. See `supervise.py` for one run's process and `run_folder.py` for how
its folder becomes valid.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lean_agentic.workbench.progress import Display, Expectation, duration, expected_s
from lean_agentic.workbench.project import Project
from lean_agentic.workbench.provenance import describe_machine, describe_revision, load_average, short_sha
from lean_agentic.workbench.recorder import RECORD_FILE
from lean_agentic.workbench.results import EXECUTED_NOTEBOOK, RunResult, read_metric
from lean_agentic.workbench.run_folder import RunFolder, RunFolderError, open_run_folder, remove_leftovers
from lean_agentic.workbench.run_lock import RunLock, run_lock
from lean_agentic.workbench.run_plan import PlannedRun
from lean_agentic.workbench.stopping import StoppedError, StopRequest
from lean_agentic.workbench.supervise import Job, RunFailedError, Usage, supervise


@dataclass(frozen=True)
class RunOutcome:
    """How one run ended."""

    planned: PlannedRun
    folder: Path | None
    """The finished or failed run; None when not even a failed one could be kept."""
    result: RunResult | None = None
    error: str = ""
    """Why it failed; empty when it did not."""

    @property
    def reason(self) -> str:
        """`error` in one line."""
        return self.error.partition("\n")[0]


def run_experiments(
    project: Project,
    planned: Sequence[PlannedRun],
    display: Display,
    wait: Callable[[str], None] | None = None,
) -> list[RunOutcome]:
    """Run experiments one after the other; call it in the main thread, for it listens to signals.

    Parameters
    ----------
    wait
        What to do while another run holds the lock; see `run_lock`.

    Raises
    ------
    RunLockError
        Another run is going on.
    StoppedError
        Ctrl-C or SIGTERM. Finished runs stay; the running one has been ended and removed.
    """
    outcomes: list[RunOutcome] = []
    with StopRequest() as stop:

        def wait_or_stop(holder: str) -> None:
            stop.check()
            assert wait is not None
            wait(holder)

        try:
            with run_lock(project, "starting", wait_or_stop if wait else None) as lock:
                remove_leftovers(project)
                for position in range(len(planned)):
                    outcomes.append(_run_next(project, planned, position, display, stop, lock))
        except StoppedError as error:
            raise StoppedError(_stopped_text(error, planned, outcomes), error.signum) from error
    return outcomes


def _run_next(
    project: Project,
    planned: Sequence[PlannedRun],
    position: int,
    display: Display,
    stop: StopRequest,
    lock: RunLock,
) -> RunOutcome:
    run = planned[position]
    stop.check()
    lock.describe(run.experiment.id)
    title = f"{run.experiment.id} ({run.label}, {position + 1} of {len(planned)})"
    display.begin(title, _expectation(planned[position:]))

    def watch(done: int | None, total: int | None) -> None:
        stop.check()
        display.cells(done, total)

    try:
        outcome = _run_one(project, run, watch)
    except BaseException:
        display.end(f"{run.experiment.id}: stopped, its unfinished run removed")
        raise
    display.end(_ending(project, outcome))
    return outcome


def _run_one(project: Project, run: PlannedRun, watch: Callable[[int | None, int | None], None]) -> RunOutcome:
    """Run one experiment; whatever happens, no partial folder and no process is left."""
    try:
        folder = open_run_folder(run.experiment, short_sha(project))
    except RunFolderError as error:
        return RunOutcome(run, None, error=str(error))
    try:
        before = describe_revision(project) | {"started": _now(), "load_before": load_average()}
        usage = supervise(_job(run, folder), watch)
        result = _result(run, folder, before, usage)
        return RunOutcome(run, folder.publish(result), result)
    except (RunFailedError, RunFolderError) as error:
        return _failed(run, folder, error)
    finally:
        folder.discard()


def _job(run: PlannedRun, folder: RunFolder) -> Job:
    return Job(
        notebook=str(run.experiment.notebook),
        folder=str(folder.partial),
        title=run.experiment.title,
        parameters=run.parameters,
        timeout_s=run.timeout_s,
    )


def _result(run: PlannedRun, folder: RunFolder, before: dict[str, Any], usage: Usage) -> RunResult:
    recorded = _recorded(run, folder)
    provenance = {
        **before,
        **describe_machine(),
        "threads_in_notebook": recorded["threads"],
        "base_profile": run.profile,
        "parameters": run.parameters,
        "changed_parameters": list(run.changed),
        "seed": run.parameters.get("seed"),
        "wall_s": usage.wall_s,
        "cpu_s": usage.cpu_s,
        "load_after": load_average(),
    }
    return RunResult(
        experiment=run.experiment.id,
        profile=run.label,
        run=folder.name,
        metrics={name: read_metric(entry) for name, entry in recorded["metrics"].items()},
        provenance=provenance,
        data=recorded["data"],
        tables=recorded["tables"],
    )


def _recorded(run: PlannedRun, folder: RunFolder) -> dict[str, Any]:
    """What the notebook recorded, checked against what its `experiment.toml` measures."""
    path = folder.partial / RECORD_FILE
    empty: dict[str, Any] = {"metrics": {}, "tables": [], "data": [], "threads": {}}
    recorded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else empty
    problems = []
    for measure in run.experiment.measures:
        metric = recorded["metrics"].get(measure.metric)
        if metric is None:
            if measure.expected:
                problems.append(f"{measure.metric} was not recorded")
        elif metric["unit"] != measure.unit:
            problems.append(f"{measure.metric} was recorded in {metric['unit']!r} instead of {measure.unit!r}")
    if problems:
        raise RunFailedError(f"It ran, but did not measure what experiment.toml lists: {'; '.join(problems)}.")
    return recorded


def _failed(run: PlannedRun, folder: RunFolder, error: RunFailedError | RunFolderError) -> RunOutcome:
    text = f"{run.experiment.id}, profile {run.profile}\nparameters: {run.parameters}\n\n{error}\n"
    details = error.details if isinstance(error, RunFailedError) else ""
    try:
        return RunOutcome(run, folder.keep_failed(f"{text}\n{details}"), error=str(error))
    except RunFolderError as second:
        return RunOutcome(run, None, error=f"{error} {second}")


def _expectation(planned: Sequence[PlannedRun]) -> Expectation:
    this, *later = (expected_s(run.experiment, run.label) for run in planned)
    return Expectation(this, sum(time for time in later if time is not None), later.count(None))


def _ending(project: Project, outcome: RunOutcome) -> str:
    name = outcome.planned.experiment.id
    if outcome.result is None:
        return f"{name}: FAILED: {outcome.reason}"
    took = duration(outcome.result.provenance["wall_s"])
    return f"{name}: finished in {took}: {shown(project, outcome.folder)}"


def _stopped_text(error: StoppedError, planned: Sequence[PlannedRun], outcomes: Sequence[RunOutcome]) -> str:
    finished = [outcome.planned.experiment.id for outcome in outcomes if outcome.result is not None]
    failed = [outcome.planned.experiment.id for outcome in outcomes if outcome.result is None]
    missing = [run.experiment.id for run in planned[len(outcomes) :]]
    text = f"{error} Finished and kept: {', '.join(finished) or 'nothing'}."
    if failed:
        text += f" Failed: {', '.join(failed)}."
    return f"{text} Not run to the end: {', '.join(missing) or 'nothing'}."


def failure_summary(project: Project, outcomes: Sequence[RunOutcome]) -> str:
    """What failed, why, and where the executed copy is; empty when nothing failed."""
    lines = []
    for outcome in outcomes:
        if outcome.result is None:
            lines.append(f"FAILED {outcome.planned.experiment.id}: {outcome.reason}")
            if outcome.folder is not None:
                copy = outcome.folder / EXECUTED_NOTEBOOK
                lines.append(f"  kept in {shown(project, copy if copy.exists() else outcome.folder)}")
    return "\n".join(lines)


def shown(project: Project, path: Path | None) -> str:
    """A path as messages show it: from the project's folder on."""
    return str(path.relative_to(project.root)) if path is not None else "nowhere"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
