"""The report: what the finished runs of a project say about the targets.

In go the experiments and their runs; out comes a `Report`, which `report_html` makes a page of. The latest
finished run of an experiment's profiles counts, whichever profile it is; the profile is named beside it. Runs
with parameters of their own are for exploring and count for nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lean_agentic.workbench.experiment import Experiment, load_experiments
from lean_agentic.workbench.project import Project
from lean_agentic.workbench.results import Metric, RunResult, finished_runs
from lean_agentic.workbench.run_folder import FAILED
from lean_agentic.workbench.targets_table import Row, target_rows


@dataclass(frozen=True)
class History:
    """The runs of one experiment."""

    experiment: Experiment
    results: tuple[RunResult, ...]
    """Finished runs that count, oldest first."""
    explored: tuple[RunResult, ...]
    """Finished runs with parameters of their own, after the last one that counts."""
    failed: tuple[Path, ...]
    """Folders of the runs that failed after the last finished one."""

    @property
    def latest(self) -> RunResult | None:
        """The run that counts."""
        return self.results[-1] if self.results else None

    def trend(self, name: str) -> list[Metric]:
        """A metric over the runs, oldest first, of the latest run's profile: others measure other work."""
        if self.latest is None:
            return []
        alike = [result for result in self.results if result.profile == self.latest.profile]
        unit = self.latest.metrics[name].unit
        metrics = [result.metrics[name] for result in alike if name in result.metrics]
        return [metric for metric in metrics if metric.unit == unit]

    def __repr__(self) -> str:
        return f"History({self.experiment.id}: {len(self.results)} finished, {len(self.failed)} failed since)"


@dataclass(frozen=True)
class Report:
    """What the page shows."""

    rows: list[Row]
    histories: list[History]


def build_report(project: Project) -> Report:
    """Join the targets with the latest finished run of every experiment.

    Raises
    ------
    WorkbenchError
        An `experiment.toml` is wrong, two experiments claim one target, or a run's unit is not the target's.
    """
    histories = [read_history(experiment) for experiment in load_experiments(project)]
    latest = {history.experiment.id: history.latest for history in histories if history.latest}
    return Report(target_rows([history.experiment for history in histories], latest), histories)


def read_history(experiment: Experiment) -> History:
    """The finished runs of an experiment, and what became of the later ones."""
    runs = finished_runs(experiment)
    results = [run for run in runs if run.profile in experiment.profiles]
    last = results[-1].run if results else ""
    explored = [run for run in runs if run.profile not in experiment.profiles and run.run > last]
    folders = sorted(path for path in experiment.runs.glob(f"{FAILED}*") if path.is_dir())
    failed = tuple(path for path in folders if path.name.removeprefix(FAILED) > last)
    return History(experiment, tuple(results), tuple(explored), failed)


def counting_runs(experiment: Experiment) -> list[RunResult]:
    """Finished runs of one of the experiment's profiles, oldest first."""
    return [result for result in finished_runs(experiment) if result.profile in experiment.profiles]
