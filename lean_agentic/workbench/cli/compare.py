"""`lean-agentic compare`: prints the verdict and tells it to CI by the exit status."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from pathlib import Path
from types import FrameType

import click

from lean_agentic.workbench.compare import CompareError, Comparison, compare, default_path
from lean_agentic.workbench.comparison_statistics import P_BELOW, RATIO_ABOVE, Verdict, measurement_text
from lean_agentic.workbench.errors import WorkbenchError
from lean_agentic.workbench.project import find_project
from lean_agentic.workbench.run_lock import run_lock

LOG_EVERY_S = 10.0
BROKEN = 3
"""Exit status of a defect; Python's own is 1, which here is kept for `worse`."""


class ProgressLine:
    """One line on standard error, rewritten in place on a terminal, logged at intervals elsewhere."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._next = 0.0

    def __call__(self, text: str) -> None:
        """Show a line of progress."""
        if self._terminal:
            click.echo(f"\r\x1b[K{text[:100]}", nl=False, err=True)
        elif time.monotonic() >= self._next:
            click.echo(text, err=True)
            self._next = time.monotonic() + LOG_EVERY_S

    def clear(self) -> None:
        """Leave the terminal's line empty."""
        if self._terminal:
            click.echo("\r\x1b[K", nl=False, err=True)


@click.command()
@click.argument("ref_a")
@click.argument("ref_b")
@click.argument("experiment")
@click.option("--seed", default=0, show_default=True, help="Of the order of the samples and of the bootstrap.")
@click.option(
    "--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Where to keep the comparison."
)
@click.pass_context
def command(ctx: click.Context, ref_a: str, ref_b: str, experiment: str, seed: int, json_file: Path | None) -> None:
    """Compare the speed of REF_B with that of REF_A on an experiment's benchmark.

    A revision is a branch, a tag, a sha, or . for the working tree. Samples of both are taken in turn, 30 each.
    Exit status: 0 better or no difference found, 1 worse, 2 wrong use or a benchmark that failed,
    3 a defect, 130 after Ctrl-C.
    """
    project = find_project()
    path = _writable(json_file) if json_file else default_path(project)
    progress = ProgressLine()
    # A cancelled CI job gets SIGTERM; it should leave no more behind than Ctrl-C does.
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        with run_lock(project, f"compare {ref_a} {ref_b} {experiment}"):
            result = compare(project, ref_a, ref_b, experiment, seed=seed, progress=progress)
    except KeyboardInterrupt as stop:
        signum = signal.Signals(stop.args[0] if stop.args else signal.SIGINT)
        click.echo(f"\nStopped by {signum.name}: no verdict; checkouts and processes are gone.", err=True)
        ctx.exit(128 + signum)
    except WorkbenchError:
        raise
    except Exception:
        click.echo(f"\nA defect in the comparison, no verdict:\n{traceback.format_exc()}", err=True)
        ctx.exit(BROKEN)
    finally:
        signal.signal(signal.SIGTERM, before)
        progress.clear()
    result.write(path)
    click.echo(summary(result))
    click.echo(f"Kept in {os.path.relpath(path)}")
    ctx.exit(1 if result.verdict is Verdict.WORSE else 0)


def summary(result: Comparison) -> str:
    """The comparison in a few lines for people."""
    finding, unit = result.finding, result.samples.unit
    low, high = finding.interval
    load = result.provenance["load"]
    busy = max(load) > result.provenance["machine"]["cores"]
    return "\n".join(
        [
            f"{result.experiment}: {finding.n} interleaved samples a side, load {load[0]} before and {load[1]} after",
            f"  A  {result.a}  median {measurement_text(finding.median_a, unit)}",
            f"  B  {result.b}  median {measurement_text(finding.median_b, unit)}",
            f"  B/A {finding.ratio:.3f} (95% interval {low:.3f} to {high:.3f}), Mann-Whitney p = {finding.p_value:.2g}",
            f"B is {EXPLAINED[finding.verdict]}",
            *(["The machine was busier than it has cores: a difference may have gone unseen."] if busy else []),
        ]
    )


RULE = f"p < {P_BELOW:g} and medians more than {RATIO_ABOVE - 1:.0%} apart"
EXPLAINED = {
    Verdict.WORSE: f"WORSE: slower than A ({RULE}).",
    Verdict.BETTER: f"BETTER: faster than A ({RULE}).",
    Verdict.NO_DIFFERENCE_FOUND: f"not shown to differ: NO DIFFERENCE FOUND (the rule: {RULE}).",
}


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt(signum)


def _writable(path: Path) -> Path:
    """Refuse a file that could not be written before the session starts, not after it."""
    if not path.absolute().parent.is_dir() or not os.access(path.absolute().parent, os.W_OK):
        raise CompareError(f"{path} cannot be written: its folder must exist and be writable.")
    return path
