"""Compares the speed of two revisions on one experiment's benchmark.

Goes in: a project, two revisions and an experiment with a `benchmark`. Comes out: a `Comparison`: the verdict,
the figures behind it, every measurement and the provenance of both sides. The same benchmark file runs on both
sides, so that the work is the same and only the package differs.
"""

from __future__ import annotations

import html
import json
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lean_agentic.workbench.comparison_statistics import SAMPLES, Finding, Verdict, judge, measurement_text
from lean_agentic.workbench.environments import interpreters
from lean_agentic.workbench.errors import WorkbenchError
from lean_agentic.workbench.experiment import Experiment, find_experiment
from lean_agentic.workbench.files import sha256_of, write_atomically
from lean_agentic.workbench.project import Project
from lean_agentic.workbench.provenance import describe_machine, load_average
from lean_agentic.workbench.sampling import Progress, Sampler, Samples, interleave
from lean_agentic.workbench.worktrees import Checkout, checkouts

SCHEMA = 1


class CompareError(WorkbenchError):
    """A comparison that cannot be made or kept."""


@dataclass(frozen=True, repr=False)
class Comparison:
    """B against A on one benchmark. Higher measurements are taken to be slower."""

    experiment: str
    a: str
    """Name and short sha of the revision."""
    b: str
    finding: Finding
    samples: Samples
    provenance: dict[str, Any]
    """Both revisions, the benchmark file, seed, machine, load before and after, and how long it took."""

    @property
    def verdict(self) -> Verdict:
        """What the measurements say about B."""
        return self.finding.verdict

    def __repr__(self) -> str:
        return f"Comparison({self.experiment}: A {self.a}, B {self.b}: {self.finding!r})"

    def _repr_html_(self) -> str:
        low, high = self.finding.interval
        rows = {
            "A": f"{self.a}, median {measurement_text(self.finding.median_a, self.samples.unit)}",
            "B": f"{self.b}, median {measurement_text(self.finding.median_b, self.samples.unit)}",
            "B / A": f"{self.finding.ratio:.3f} (95% interval {low:.3f} to {high:.3f})",
            "Mann-Whitney p": f"{self.finding.p_value:.2g}, {self.finding.n} samples a side",
            "Verdict": self.verdict.value,
        }
        body = "".join(
            f"<tr><th scope='row'>{html.escape(name)}</th><td>{html.escape(text)}</td></tr>"
            for name, text in rows.items()
        )
        return f"<table><caption>Comparison on {html.escape(self.experiment)}</caption>{body}</table>"

    def write(self, path: Path) -> None:
        """Write everything as JSON, whole or not at all.

        Raises
        ------
        CompareError
            The file cannot be written.
        """
        content = asdict(self) | {"schema": SCHEMA}
        content["finding"]["verdict"] = self.verdict.value
        try:
            write_atomically(path, json.dumps(content, indent=2, sort_keys=True, allow_nan=False) + "\n")
        except OSError as error:
            raise CompareError(f"{path} cannot be written ({error}); name another file with --json.") from error


def compare(
    project: Project, ref_a: str, ref_b: str, experiment: str, *, seed: int = 0, progress: Progress = lambda text: None
) -> Comparison:
    """Build both revisions, take their samples in turn and judge B against A.

    Parameters
    ----------
    ref_a, ref_b
        Anything that git understands as a commit, or `.` for the working tree as it is.
    experiment
        Id of an experiment, or the start of one.
    seed
        Of the order of the samples and of the bootstrap.
    progress
        Called with a line of text as the comparison goes on.

    Raises
    ------
    WorkbenchError
        An unknown revision or experiment, one without a benchmark, or a side that gave no usable measurement.
        Checkouts and processes are gone by then.
    """
    chosen = find_experiment(project, experiment)
    if chosen.benchmark is None:
        raise CompareError(
            f"Experiment {chosen.id} has no benchmark. Write {chosen.folder.name}/benchmark.py with a sample() that "
            f'does the work once, and set benchmark = "benchmark.py" in its experiment.toml.'
        )
    started, load = time.monotonic(), load_average()
    progress("Checking out both revisions")
    with checkouts(project, ref_a, ref_b) as sides:
        benchmark = _benchmark(project, chosen, sides[1])
        pythons = interpreters(project, sides, progress)
        with (
            Sampler("A", sides[0], pythons[0], benchmark) as a,
            Sampler("B", sides[1], pythons[1], benchmark) as b,
        ):
            samples = interleave(a, b, pairs=SAMPLES, seed=seed, progress=progress)
        provenance = {
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "a": {"ref": ref_a, **sides[0].revision},
            "b": {"ref": ref_b, **sides[1].revision},
            "benchmark_sha256": sha256_of(benchmark),
            "seed": seed,
            "machine": describe_machine(),
            "load": [load, load_average()],
            "wall_s": round(time.monotonic() - started, 3),
        }
        finding = judge(samples.a, samples.b, seed=seed)
        return Comparison(chosen.id, sides[0].label, sides[1].label, finding, samples, provenance)


def default_path(project: Project, now: datetime | None = None) -> Path:
    """Where a comparison is kept when the caller names no file: `.cache/compare/<UTC time>.json`."""
    folder = project.root / ".cache" / "compare"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CompareError(f"{folder} cannot be made ({error}); name a file elsewhere with --json.") from error
    return folder / f"{(now or datetime.now(UTC)):%Y%m%dT%H%M%S.%fZ}.json"


def _benchmark(project: Project, experiment: Experiment, side_b: Checkout) -> Path:
    """B's version of the benchmark, since B may have changed its own interface; else the working tree's."""
    assert experiment.benchmark is not None
    own = side_b.project.root / experiment.benchmark.relative_to(project.root)
    if own.is_file():
        return own
    if experiment.benchmark.is_file():
        return experiment.benchmark
    raise CompareError(
        f"Experiment {experiment.id} names the benchmark {experiment.benchmark.name}, which neither B nor the "
        f"working tree has. Write it: a Python file with a sample() that does the work once."
    )
