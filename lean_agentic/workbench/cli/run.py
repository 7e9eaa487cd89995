"""`lean-agentic run`: runs experiments, or lists them."""

from __future__ import annotations

import click
from rich.console import Console

from lean_agentic.workbench.errors import WorkbenchError
from lean_agentic.workbench.experiment import Experiment, load_experiments
from lean_agentic.workbench.parameters import read_parameters
from lean_agentic.workbench.progress import BarDisplay, Display, PlainDisplay
from lean_agentic.workbench.project import Project, find_project
from lean_agentic.workbench.run_plan import plan_runs
from lean_agentic.workbench.runner import RunOutcome, failure_summary, run_experiments


@click.command()
@click.argument("names", nargs=-1, metavar="[all | EXPERIMENT...]")
@click.option("--profile", default="quick", show_default=True, help="Which of the experiments' profiles to run.")
@click.option(
    "-p", "--parameter", "parameters", multiple=True, metavar="NAME=VALUE", help="Change a parameter; may be repeated."
)
@click.option("--wait", is_flag=True, help="Wait for a run that is going on, instead of giving up.")
@click.option("--list", "listing", is_flag=True, help="List experiments, profiles and parameters, and run nothing.")
def command(names: tuple[str, ...], profile: str, parameters: tuple[str, ...], wait: bool, listing: bool) -> None:
    """Run experiments through papermill and keep their results.

    An EXPERIMENT is an id or its start, such as 04. Each runs in a kernel of its own and becomes a folder
    experiments/<id>/runs/<time>-<sha>. The exit status is 0 when all finished, 1 when one failed, 2 when
    nothing was started, 130 after Ctrl-C, 143 after SIGTERM.
    """
    project = find_project()
    if listing:
        click.echo("\n\n".join(_description(experiment) for experiment in load_experiments(project)))
        return
    if not names:
        raise click.UsageError("Name experiments, or `all`. `lean-agentic run --list` shows what there is.")
    planned = plan_runs(project, names, profile, _split(parameters))
    outcomes = run_experiments(project, planned, _display(), _Waiting() if wait else None)
    _summarise(project, outcomes)


def _split(parameters: tuple[str, ...]) -> dict[str, str]:
    texts: dict[str, str] = {}
    for given in parameters:
        name, equals, text = given.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"{given!r} is not NAME=VALUE.", param_hint="-p")
        if name in texts:
            raise click.BadParameter(f"{name} is given twice.", param_hint="-p")
        texts[name] = text
    return texts


def _display() -> Display:
    console = Console()
    return BarDisplay(console) if console.is_terminal else PlainDisplay(click.echo)


class _Waiting:
    """Says once who is waited for."""

    def __init__(self) -> None:
        self._said = ""

    def __call__(self, holder: str) -> None:
        if holder != self._said:
            click.echo(f"Waiting for {holder}.")
            self._said = holder


def _summarise(project: Project, outcomes: list[RunOutcome]) -> None:
    for outcome in outcomes:
        if outcome.result is not None:
            for name, metric in outcome.result.metrics.items():
                click.echo(f"  {outcome.planned.experiment.id}  {name}: {metric}")
    failed = failure_summary(project, outcomes)
    if failed:
        click.echo(f"{sum(outcome.result is None for outcome in outcomes)} of {len(outcomes)} failed.", err=True)
        click.echo(failed, err=True)
        click.get_current_context().exit(1)


def _description(experiment: Experiment) -> str:
    lines = [f"{experiment.id}: {experiment.title}", f"  profiles: {', '.join(experiment.profiles)}", "  parameters:"]
    try:
        lines += [f"    {parameter}" for parameter in read_parameters(experiment.notebook).values()]
    except WorkbenchError as error:
        lines.append(f"    {error}")
    return "\n".join(lines)
