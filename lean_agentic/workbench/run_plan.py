"""What a call of `lean-agentic run` would do, checked before any of it starts.

Goes in: experiment ids, a profile, parameters as text. Comes out: one `PlannedRun` an experiment with the
values of all its parameters, or one error with the problems of all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lean_agentic.workbench.errors import WorkbenchError
from lean_agentic.workbench.experiment import Experiment, find_experiment
from lean_agentic.workbench.parameters import ParameterError, read_parameters, resolve
from lean_agentic.workbench.project import Project

CUSTOM = "custom"


class PlanError(WorkbenchError):
    """Experiments that cannot be run as asked; nothing was started."""


@dataclass(frozen=True)
class PlannedRun:
    """One experiment, checked, with the values of all its parameters."""

    experiment: Experiment
    profile: str
    parameters: dict[str, Any]
    changed: tuple[str, ...]
    """Parameters that the command line set."""

    @property
    def label(self) -> str:
        """The profile that the result counts for: one with changed parameters counts for none."""
        return CUSTOM if self.changed else self.profile

    @property
    def timeout_s(self) -> float:
        """Time that the run may take."""
        return self.experiment.timeout(self.profile)


def plan_runs(project: Project, names: Sequence[str], profile: str, texts: Mapping[str, str]) -> list[PlannedRun]:
    """Check everything that can be checked before anything starts.

    Parameters
    ----------
    names
        Ids or starts of ids; `all` stands for every experiment.
    texts
        Parameters of the command line, not yet converted.

    Raises
    ------
    PlanError
        Something does not fit; the message says so for every experiment of the call.
    """
    if "all" in names:
        names = sorted(path.parent.name for path in project.experiments.glob("*/experiment.toml"))
    planned: dict[str, PlannedRun] = {}
    problems = []
    for name in names:
        try:
            run = _plan(find_experiment(project, name), profile, texts)
            planned[run.experiment.id] = run
        except WorkbenchError as error:
            problems.append(f"{name}: {error}")
    if problems:
        raise PlanError("Nothing was started.\n" + "\n".join(problems))
    if not planned:
        raise PlanError(f"There is no experiment in {project.experiments}: add <id>/experiment.toml there.")
    return list(planned.values())


def _plan(experiment: Experiment, profile: str, texts: Mapping[str, str]) -> PlannedRun:
    values = experiment.profile(profile)
    experiment.timeout(profile)
    try:
        parameters = resolve(read_parameters(experiment.notebook), values, texts)
    except ParameterError as error:
        raise PlanError(f"profile {profile}\n  {error}") from error
    return PlannedRun(experiment, profile, parameters, tuple(texts))
