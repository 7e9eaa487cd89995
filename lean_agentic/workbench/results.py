"""`result.json`: what one run measured and where the figures come from.

A run counts as finished when its folder holds a `result.json` that reads back; the runner puts it there
last and renames the folder into place, so a killed run never does.
"""

from __future__ import annotations

import html
import json
import logging
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lean_agentic.workbench.errors import WorkbenchError
from lean_agentic.workbench.experiment import Experiment
from lean_agentic.workbench.files import write_atomically

logger = logging.getLogger(__name__)

SCHEMA = 1
PARTIAL = ".partial-"
"""Start of the name of a run's folder while the run is going on."""
EXECUTED_NOTEBOOK = "notebook.ipynb"
EXECUTED_HTML = "notebook.html"
FIELDS: dict[str, type] = {
    "experiment": str, "profile": str, "run": str, "provenance": dict, "data": list, "tables": list,
}  # fmt: skip
"""Fields of a `result.json` beside its metrics; the JSON type that each must have."""


class ResultError(WorkbenchError):
    """A metric that is no figure, or a `result.json` that cannot be read."""


@dataclass(frozen=True)
class Metric:
    """One measured figure."""

    value: float
    unit: str
    n: int
    """How many samples it comes from."""
    spread: tuple[float, float] | None = None
    """Low and high end, in `unit`."""
    spread_kind: str = ""
    """What the spread is: `min-max over 5 seeds`, `95% bootstrap interval`."""
    note: str = ""
    """What a reader must know beside the figure."""

    def __post_init__(self) -> None:
        if not _is_figure(self.value):
            raise ResultError(
                f"A metric must be a finite number, not {self.value!r}. Leave it out when it was not measured."
            )
        if self.n < 1:
            raise ResultError(f"A metric needs at least one sample; n is {self.n}.")
        if self.spread is not None and not (
            len(self.spread) == 2 and all(map(_is_figure, self.spread)) and self.spread[0] <= self.spread[1]
        ):
            raise ResultError(f"A spread is (low, high), two finite numbers; got {self.spread!r}.")
        for text in (self.unit, self.spread_kind, self.note):
            if not isinstance(text, str):
                raise ResultError(f"Unit, kind of spread and note of a metric are texts; got {text!r}.")

    def __str__(self) -> str:
        text = f"{self.value:.4g} {self.unit}".strip()
        if self.spread is not None:
            text += f" ({self.spread[0]:.4g} to {self.spread[1]:.4g}, {self.spread_kind or 'spread'}, n={self.n})"
        return text


@dataclass(frozen=True)
class RunResult:
    """What one finished run measured, and its provenance."""

    experiment: str
    profile: str
    """`quick`, `full` or, when parameters were changed on the command line, `custom`."""
    run: str
    """Name of the run's folder: `<UTC time>-<git sha>`."""
    metrics: dict[str, Metric]
    provenance: dict[str, Any]
    data: list[dict[str, Any]] = field(default_factory=list)
    """The data sets it ran on: name, origin (`file` or `generated`) and sha256."""
    tables: list[str] = field(default_factory=list)
    """Parquet files beside `result.json`."""
    schema: int = SCHEMA

    def __repr__(self) -> str:
        figures = ", ".join(f"{name}={metric.value:.4g} {metric.unit}" for name, metric in self.metrics.items())
        return f"RunResult({self.experiment} {self.profile} {self.run}: {figures})"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th scope='row'>{html.escape(name)}</th><td>{html.escape(str(metric))}</td></tr>"
            for name, metric in self.metrics.items()
        )
        caption = html.escape(f"{self.experiment} ({self.profile}), run {self.run}")
        return f"<table><caption>{caption}</caption>{rows}</table>"

    def write(self, folder: Path) -> Path:
        """Write `result.json` into a folder, whole or not at all."""
        path = folder / "result.json"
        write_atomically(path, json.dumps(asdict(self), indent=2, sort_keys=True, allow_nan=False) + "\n")
        return path


def read_result(path: Path) -> RunResult:
    """Read a `result.json`.

    Raises
    ------
    ResultError
        The file is missing, truncated, of another schema or not a result.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.pop("schema") != SCHEMA:
            raise ResultError(f"its schema is not {SCHEMA}; run the experiment again")
        metrics = {name: read_metric(entry) for name, entry in content.pop("metrics").items()}
        _check_fields(content)
        return RunResult(metrics=metrics, **content)
    except (ResultError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ResultError(f"{path} is not a readable result: {error}.") from error


def read_metric(entry: dict[str, Any]) -> Metric:
    """A metric from its JSON form, in which a spread is a list."""
    spread = entry.pop("spread", None)
    if spread is not None:
        low, high = spread
        spread = (low, high)
    return Metric(spread=spread, **entry)


def _check_fields(content: dict[str, Any]) -> None:
    for name, kind in FIELDS.items():
        if name in content and not isinstance(content[name], kind):
            raise ResultError(f"its {name} is no {kind.__name__}")
    if not all(isinstance(entry, dict) for entry in content.get("data", [])):
        raise ResultError("its data is no list of dict")


def _is_figure(value: object) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def finished_runs(experiment: Experiment) -> list[RunResult]:
    """All finished runs of an experiment, oldest first; a damaged one is left out and logged."""
    paths = sorted(experiment.runs.glob("[0-9]*/result.json"))
    return [result for path in paths if (result := _read_if_whole(experiment, path))]


def _read_if_whole(experiment: Experiment, path: Path) -> RunResult | None:
    try:
        result = read_result(path)
        if (result.experiment, result.run) != (experiment.id, path.parent.name):
            raise ResultError(f"{path} is of run {result.run} of {result.experiment}, not of the folder it lies in.")
        return result
    except ResultError as error:
        logger.warning("Left out: %s", error)
        return None
