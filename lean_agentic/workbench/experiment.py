"""Experiments: a notebook, the parameters of its profiles, and the figures it must measure.

Goes in: `experiments/<id>/experiment.toml`. Comes out: a checked `Experiment`. See
`docs/experiments.md` for the file's format.
"""

from __future__ import annotations

import shutil
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lean_agentic.workbench.errors import WorkbenchError
from lean_agentic.workbench.project import Project
from lean_agentic.workbench.targets import TARGET_BY_ID, Direction

DEFAULT_TIMEOUT_S = {"quick": 180.0, "full": 7200.0}
SETTINGS = {"title", "notebook", "timeout_s", "profiles", "measures", "benchmark"}


class ExperimentError(WorkbenchError):
    """An experiment that does not exist, or whose `experiment.toml` is wrong."""


@dataclass(frozen=True)
class Measure:
    """One figure that an experiment's notebook must record."""

    metric: str
    """The name that the notebook gives to `Recorder.metric`."""
    unit: str
    direction: Direction
    """Whether higher or lower is better."""
    target: str | None = None
    """The row of the targets table that it answers."""
    needs: str | None = None
    """A program, such as `pypy3`, that a machine may lack; a run there need not record the figure."""

    @property
    def expected(self) -> bool:
        """Whether a run on this machine must record it."""
        return self.needs is None or shutil.which(self.needs) is not None


@dataclass(frozen=True)
class Experiment:
    """One folder under `experiments/`."""

    id: str
    title: str
    folder: Path
    notebook: Path
    profiles: dict[str, dict[str, Any]]
    measures: tuple[Measure, ...]
    timeout_s: dict[str, float] = field(default_factory=lambda: dict(DEFAULT_TIMEOUT_S))
    benchmark: Path | None = None
    """A Python file whose `sample()` does the work that `lean-agentic compare` times."""

    @property
    def runs(self) -> Path:
        """Finished runs, one folder each."""
        return self.folder / "runs"

    def profile(self, name: str) -> dict[str, Any]:
        """Parameters of a profile.

        Raises
        ------
        ExperimentError
            The experiment has no such profile.
        """
        if name not in self.profiles:
            raise ExperimentError(
                f"Experiment {self.id} has no profile {name!r}. It has: {', '.join(sorted(self.profiles))}."
            )
        return dict(self.profiles[name])

    def timeout(self, profile: str) -> float:
        """Seconds that a run of a profile may take.

        Raises
        ------
        ExperimentError
            The profile has no time-out: one beside quick and full must name its own.
        """
        if profile not in self.timeout_s:
            raise ExperimentError(
                f"Experiment {self.id} has no time-out for the profile {profile!r}. "
                f"Add `{profile} = <seconds>` to [timeout_s] in {self.folder / 'experiment.toml'}."
            )
        return self.timeout_s[profile]


def load_experiments(project: Project) -> list[Experiment]:
    """All experiments of a project, in the order of their ids."""
    files = sorted(project.experiments.glob("*/experiment.toml"))
    return [load_experiment(project, path.parent) for path in files]


def find_experiment(project: Project, name: str) -> Experiment:
    """Find an experiment by its id or by the start of it (`04` for `04_routing_costs`).

    Raises
    ------
    ExperimentError
        None or several fit; the message lists what there is.
    """
    ids = sorted(path.parent.name for path in project.experiments.glob("*/experiment.toml"))
    fitting = [name] if name in ids else [known for known in ids if known.startswith(name)]
    if len(fitting) != 1:
        problem = "is the start of several ids" if fitting else "is unknown"
        raise ExperimentError(f"Experiment {name!r} {problem}. Known: {', '.join(ids) or 'none'}.")
    return load_experiment(project, project.experiments / fitting[0])


def load_experiment(project: Project, folder: Path) -> Experiment:
    """Read and check one `experiment.toml`.

    Raises
    ------
    ExperimentError
        The file is not TOML, has an unknown or missing setting, or one of the wrong kind.
    """
    path = folder / "experiment.toml"
    try:
        text = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ExperimentError(f"{path} cannot be read: {error}.") from error
    _check_settings(path, text)
    benchmark = text.get("benchmark")
    return Experiment(
        id=folder.name,
        title=text["title"],
        folder=folder,
        notebook=project.root / text["notebook"],
        profiles=text["profiles"],
        measures=_measures(path, text.get("measures", [])),
        timeout_s=DEFAULT_TIMEOUT_S | _timeouts(path, text.get("timeout_s", {})),
        benchmark=folder / benchmark if benchmark else None,
    )


def _check_settings(path: Path, text: dict[str, Any]) -> None:
    unknown = set(text) - SETTINGS
    if unknown:
        raise ExperimentError(f"{path} has unknown settings {sorted(unknown)}. Known: {', '.join(sorted(SETTINGS))}.")
    needed: dict[str, type] = {"title": str, "notebook": str, "profiles": dict}
    for setting, kind in needed.items():
        if not isinstance(text.get(setting), kind):
            raise ExperimentError(f"{path} needs `{setting}`, a {kind.__name__}; found {text.get(setting)!r}.")
    optional: dict[str, type] = {"measures": list, "timeout_s": dict, "benchmark": str}
    for setting, kind in optional.items():
        if setting in text and not isinstance(text[setting], kind):
            raise ExperimentError(f"{path}: `{setting}` must be a {kind.__name__}; found {text[setting]!r}.")
    if "quick" not in text["profiles"]:
        raise ExperimentError(f"{path} needs a [profiles.quick]: the one that `make demo` and the tests run.")
    for name, parameters in text["profiles"].items():
        if not isinstance(parameters, dict):
            raise ExperimentError(f"{path}: [profiles.{name}] must be a table of parameters; found {parameters!r}.")


def _timeouts(path: Path, entry: dict[str, Any]) -> dict[str, float]:
    for profile, seconds in entry.items():
        if type(seconds) not in (int, float) or not seconds > 0:
            raise ExperimentError(f"{path}: timeout_s.{profile} must be seconds above 0; found {seconds!r}.")
    return {profile: float(seconds) for profile, seconds in entry.items()}


def _measures(path: Path, entries: list[dict[str, Any]]) -> tuple[Measure, ...]:
    measures = tuple(_measure(path, entry) for entry in entries)
    names = [measure.metric for measure in measures]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ExperimentError(f"{path} lists {', '.join(twice)} twice under [[measures]]; name each metric once.")
    return measures


def _measure(path: Path, entry: dict[str, Any]) -> Measure:
    try:
        measure = Measure(**entry)
    except TypeError as error:
        raise ExperimentError(
            f"{path}: [[measures]] {entry} is wrong ({error}). "
            "It takes metric, unit, direction and, optionally, target and needs."
        ) from error
    if not all(isinstance(value, str) for value in entry.values()):
        raise ExperimentError(f"{path}: [[measures]] {entry} is wrong: all its values are texts.")
    if measure.direction not in ("higher", "lower"):
        raise ExperimentError(f"{path}: direction of {measure.metric} is {measure.direction!r}, not higher or lower.")
    if measure.target is not None:
        target = TARGET_BY_ID.get(measure.target)
        if target is None:
            raise ExperimentError(
                f"{path}: {measure.metric} names the unknown target {measure.target!r}. "
                f"Known: {', '.join(TARGET_BY_ID)}."
            )
        if target.unit != measure.unit or target.direction != measure.direction:
            raise ExperimentError(
                f"{path}: {measure.metric} is in {measure.unit!r}, {measure.direction} is better, but its target "
                f"{target.id} is in {target.unit!r}, {target.direction} is better."
            )
    return measure
