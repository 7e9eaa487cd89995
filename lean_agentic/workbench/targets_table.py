"""The targets table: each target of the specification beside the run that answers it.

In go the experiments, which say what metric answers which target, and one result for each experiment. Out
come `Row`s, and the Markdown table that the README and the report share. A figure is written with as many
digits as it takes that rounding carries it across no bound: 29.96% is not shown as 30%.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from lean_agentic.workbench.errors import WorkbenchError
from lean_agentic.workbench.experiment import Experiment, Measure
from lean_agentic.workbench.results import Metric, RunResult
from lean_agentic.workbench.targets import TARGETS, Target

SIGNIFICANT_DIGITS = 3
NOTHING = "–"
RUN_TIME = re.compile(r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z")


class ReportError(WorkbenchError):
    """Experiments and results that do not fit together."""


class Verdict(Enum):
    """What the table says about a target."""

    MET = "met"
    """A finished run measured a value that reaches the target."""
    NOT_MET = "not met"
    """A finished run measured a value that does not."""
    NOT_MEASURED = "not measured"
    """No finished run has a value."""


@dataclass(frozen=True)
class Row:
    """One target and, if there is one, the run that answers it."""

    target: Target
    metric: Metric | None = None
    result: RunResult | None = None

    @property
    def verdict(self) -> Verdict:
        """Judged on the measured value itself, never on a rounded one."""
        if self.metric is None:
            return Verdict.NOT_MEASURED
        return Verdict.MET if self.target.met_by(self.metric.value) else Verdict.NOT_MET

    @property
    def measured(self) -> str:
        """The value with its unit."""
        return NOTHING if self.metric is None else value_text(self.metric, self.target)

    @property
    def spread(self) -> str:
        """The spread, what it is of, and the number of samples."""
        return NOTHING if self.metric is None else spread_text(self.metric, self.target)

    @property
    def note(self) -> str:
        """What the experiment says beside its figure, such as the quality kept at a saving."""
        return "" if self.metric is None else self.metric.note

    @property
    def marks(self) -> tuple[str, ...]:
        """What a reader must know beside the figure."""
        return () if self.result is None else run_marks(self.result)

    def __repr__(self) -> str:
        run = f" by {self.result.experiment} {self.result.run}" if self.result else ""
        return f"Row({self.target.id}: {self.measured}, {self.verdict.value}{run})"


def target_rows(experiments: Iterable[Experiment], results: Mapping[str, RunResult]) -> list[Row]:
    """One row for each target, in the order of `TARGETS`.

    Parameters
    ----------
    results
        The result that counts for each experiment, by the experiment's id.

    Raises
    ------
    ReportError
        Two measures claim one target, or a result has another unit than its experiment announces.
    """
    claims = _claims(experiments)
    return [_row(target, claims.get(target.id), results) for target in TARGETS]


def _claims(experiments: Iterable[Experiment]) -> dict[str, tuple[Experiment, Measure]]:
    claims: dict[str, tuple[Experiment, Measure]] = {}
    for experiment in experiments:
        for measure in experiment.measures:
            if measure.target is None:
                continue
            if measure.target in claims:
                other, first = claims[measure.target]
                raise ReportError(
                    f"Target {measure.target} is claimed twice: by {first.metric} of {other.id} and by "
                    f"{measure.metric} of {experiment.id}. Remove `target` from one of the two experiment.toml."
                )
            claims[measure.target] = (experiment, measure)
    return claims


def _row(target: Target, claim: tuple[Experiment, Measure] | None, results: Mapping[str, RunResult]) -> Row:
    if claim is None or claim[0].id not in results:
        return Row(target)
    experiment, measure = claim
    result = results[experiment.id]
    metric = result.metrics.get(measure.metric)
    if metric is None:
        return Row(target)
    if metric.unit != target.unit:
        raise ReportError(
            f"Run {result.run} of {experiment.id} has {measure.metric} in {metric.unit!r}, but target {target.id} is "
            f"in {target.unit!r}. Run the experiment again."
        )
    return Row(target, metric, result)


def value_text(metric: Metric, target: Target | None = None) -> str:
    """The value with its unit, as the tables show it."""
    return with_unit(_texts(metric, target)[0], metric.unit)


def spread_text(metric: Metric, target: Target | None = None) -> str:
    """`29.5 to 32.0 % (min-max over 5 seeds), n=5`; only the number of samples where no spread was recorded."""
    count = f"n={metric.n:,}"
    if metric.spread is None:
        return count
    _, low, high = _texts(metric, target)
    return f"{low} to {with_unit(high, metric.unit)} ({metric.spread_kind or 'spread'}), {count}"


def with_unit(text: str, unit: str) -> str:
    """`31.2%` and `1.30x`, but `8.10 ms`."""
    return f"{text}{unit}" if unit in ("%", "x") else f"{text} {unit}".strip()


def figure_texts(values: Sequence[float], target: Target | None = None) -> list[str]:
    """Write figures with equal decimals, without carrying one across the target's bound.

    The first figure gets three significant digits; where rounding would make any of them look better or
    worse against the target than it is, all get more.
    """
    first = abs(values[0])
    if first and not 1e-6 <= first < 1e15:
        return [repr(value) for value in values]
    decimals = max(0, SIGNIFICANT_DIGITS - 1 - math.floor(math.log10(first))) if first else 0
    while target is not None and any(_misleads(value, decimals, target) for value in values):
        decimals += 1
    return [f"{value:z,.{decimals}f}" for value in values]


def _texts(metric: Metric, target: Target | None) -> list[str]:
    return figure_texts([metric.value, *(metric.spread or ())], target)


def _misleads(value: float, decimals: int, target: Target) -> bool:
    return target.met_by(float(f"{value:.{decimals}f}")) != target.met_by(value)


def run_marks(result: RunResult) -> tuple[str, ...]:
    """Reservations about a run: uncommitted changes, generated data."""
    marks = []
    dirty = result.provenance.get("git_dirty")
    if dirty is not False:
        marks.append("uncommitted changes" if dirty else "revision unknown")
    if any(entry.get("origin") == "generated" for entry in result.data):
        marks.append("generated data")
    return tuple(marks)


def run_time(run: str) -> str:
    """`2026-01-31 09:05` from a run's name; the name itself where it holds no time."""
    found = RUN_TIME.search(run)
    if found is None:
        return run
    year, month, day, hour, minute, _ = found.groups()
    return f"{year}-{month}-{day} {hour}:{minute}"


def machine_text(provenance: Mapping[str, Any]) -> str:
    """`AMD EPYC 9R14, 2 cores`."""
    cpu, cores = provenance.get("cpu") or "CPU unknown", provenance.get("cores")
    return f"{cpu}, {cores} cores" if cores else str(cpu)


def markdown_table(rows: Iterable[Row], link: Callable[[RunResult], str]) -> str:
    """The table in Markdown, one line a target; `link` gives the address of a run."""
    head = ("Target", "Wanted", "Measured", "Spread and notes", "Verdict", "When (UTC)", "Machine", "Run")
    lines = [head, ("---",) * len(head), *(_markdown_cells(row, link) for row in rows)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _markdown_cells(row: Row, link: Callable[[RunResult], str]) -> tuple[str, ...]:
    detail = "; ".join(text for text in (row.spread, row.note) if text)
    texts = [row.target.title, row.target.wanted, row.measured, detail, row.verdict.value]
    if row.result is None:
        return (*map(_markdown, texts), NOTHING, NOTHING, NOTHING)
    texts += [run_time(row.result.run), machine_text(row.result.provenance)]
    run = f"[{_markdown(row.result.experiment)}]({link(row.result)}) ({_markdown(row.result.profile)})"
    return (*map(_markdown, texts), ", ".join([run, *(f"**{mark}**" for mark in row.marks)]))


def _markdown(text: str) -> str:
    """Keep a text from ending its cell or becoming a tag."""
    return re.sub(r"\s+", " ", text).replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")
