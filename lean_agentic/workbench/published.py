"""Published results: the few runs that the README quotes, committed beside the experiments.

In goes a finished run; out comes a copy of its `result.json` as `experiments/published/<experiment>.json`.
The README's table is made from these copies alone, so that every figure in it has a run with provenance
behind it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lean_agentic.workbench.experiment import Experiment, find_experiment, load_experiments
from lean_agentic.workbench.files import write_atomically
from lean_agentic.workbench.project import Project
from lean_agentic.workbench.report import counting_runs
from lean_agentic.workbench.results import RunResult, finished_runs, read_result
from lean_agentic.workbench.targets_table import ReportError, markdown_table, target_rows

START = "<!-- targets:start -->"
END = "<!-- targets:end -->"
LARGEST = 64 * 1024
"""Bytes; a published result holds figures, and figures are small."""


@dataclass(frozen=True)
class Run:
    """A finished run and the experiment it belongs to."""

    experiment: Experiment
    result: RunResult

    @property
    def file(self) -> Path:
        """Its `result.json`."""
        return self.experiment.runs / self.result.run / "result.json"


def find_run(project: Project, name: str) -> Run:
    """Find a finished run by its own name, or the latest one that counts for an experiment.

    Parameters
    ----------
    name
        A run (`20260131T090500Z-1a2b3c4`), or an experiment's id or the start of it (`04`).

    Raises
    ------
    WorkbenchError
        The name fits nothing or several, or the experiment has no finished run.
    """
    named = [Run(e, r) for e in load_experiments(project) for r in finished_runs(e) if r.run == name]
    if len(named) == 1:
        return named[0]
    if named:
        owners = ", ".join(run.experiment.id for run in named)
        raise ReportError(f"Run {name} exists in several experiments: {owners}. Name the experiment instead.")
    experiment = find_experiment(project, name)
    results = counting_runs(experiment)
    if not results:
        raise ReportError(
            f"{experiment.id} has no finished run. Make one: `lean-agentic run {experiment.id} --profile full`."
        )
    return Run(experiment, results[-1])


def publish(project: Project, name: str) -> Path:
    """Copy the `result.json` of a finished run to `experiments/published/<experiment>.json`.

    Raises
    ------
    ReportError
        The run was made from uncommitted changes or outside a repository, so that nobody could repeat it;
        it had parameters of its own; or its result is too large to commit.
    """
    run = find_run(project, name)
    if run.result.profile not in run.experiment.profiles:
        raise ReportError(
            f"Run {run.result.run} of {run.experiment.id} had parameters of its own. Only runs of a profile are "
            f"published: {', '.join(run.experiment.profiles)}."
        )
    if run.result.provenance.get("git_dirty") is not False:
        raise ReportError(
            f"Run {run.result.run} of {run.experiment.id} was made with uncommitted changes, so its revision does not "
            f"say what ran. Commit, run `lean-agentic run {run.experiment.id} --profile {run.result.profile}` again "
            "and publish that run."
        )
    content = run.file.read_bytes()
    if len(content) > LARGEST:
        raise ReportError(
            f"{run.file} has {len(content)} bytes, more than {LARGEST}. Keep bulk in tables, not metrics."
        )
    project.published.mkdir(parents=True, exist_ok=True)
    target = project.published / f"{run.experiment.id}.json"
    write_atomically(target, content)
    return target


def read_published(project: Project) -> dict[str, RunResult]:
    """Published results by experiment id.

    Raises
    ------
    WorkbenchError
        A file does not read back, or does not belong to the experiment that it is named after.
    """
    known = {experiment.id for experiment in load_experiments(project)}
    results = {}
    for path in sorted(project.published.glob("*.json")):
        result = read_result(path)
        if result.experiment != path.stem or path.stem not in known:
            raise ReportError(
                f"{path} holds a result of {result.experiment!r}; it must be named after it, and the experiment must "
                f"exist. Known: {', '.join(sorted(known)) or 'none'}."
            )
        results[path.stem] = result
    return results


def readme_table(project: Project) -> str:
    """The targets table in Markdown, made from the published results alone."""
    rows = target_rows(load_experiments(project), read_published(project))
    return markdown_table(rows, lambda result: f"experiments/published/{result.experiment}.json")


def quoted_table(readme: str, path: Path) -> str:
    """The text between the markers of a README.

    Raises
    ------
    ReportError
        The markers are not there exactly once, the start before the end.
    """
    if readme.count(START) != 1 or readme.count(END) != 1 or readme.index(START) > readme.index(END):
        raise ReportError(f"{path} needs the lines {START} and {END}, once each and in this order.")
    return readme.partition(START)[2].partition(END)[0]


def update_readme(project: Project) -> Path:
    """Put the current table between the README's markers; the rest of the file stays as it is.

    Raises
    ------
    ReportError
        There is no README, or it lacks the markers.
    """
    path = project.root / "README.md"
    if not path.is_file():
        raise ReportError(f"{path} does not exist. It needs the lines {START} and {END} to hold the table.")
    readme = path.read_bytes().decode("utf-8")
    quoted_table(readme, path)
    before, after = readme.partition(START)[0], readme.partition(END)[2]
    write_atomically(path, f"{before}{START}\n{readme_table(project)}{END}{after}")
    return path
