"""The `lean-agentic` command line: one module a command, imported only when it is called.

Commands print; the library below them logs and raises. A `WorkbenchError` becomes a message on standard
error and its exit code; anything else is a defect and keeps its traceback.
"""

from __future__ import annotations

import importlib
import logging
import os
from pathlib import Path

import click

from lean_agentic import __version__
from lean_agentic.workbench.datasets import DATA_VARIABLE
from lean_agentic.workbench.errors import WorkbenchError
from lean_agentic.workbench.project import HOME_VARIABLE

# Command name -> (module in this package, one line of help). Help lives here so that listing the commands
# imports none of them.
COMMANDS = {
    "run": ("run", "Run experiments through papermill and keep their results."),
    "report": ("report", "Write the targets table and the HTML report from finished runs."),
    "compare": ("compare", "Compare the speed of two revisions on one experiment's benchmark."),
    "data": ("data", "List, fetch and verify the public data sets."),
    "lab": ("lab", "Open the notebooks in JupyterLab."),
}

STOPPED = 130
"""Exit status after Ctrl-C, as shells give it."""


class LazyGroup(click.Group):
    """A group that imports a command's module when the command is called, not before."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of `COMMANDS`."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command; None when there is no such command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"lean_agentic.workbench.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> object:
        """Run a command, turning a user's error into a message and an exit code.

        Commands that have something to clean up or to say answer Ctrl-C themselves; this is for the time before,
        and for the others. click alone would end with status 1, which `compare` keeps for a slower revision.
        """
        try:
            return super().invoke(ctx)
        except WorkbenchError as error:
            click.echo(f"lean-agentic: {error}", err=True)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            click.echo("lean-agentic: Stopped by SIGINT.", err=True)
            ctx.exit(STOPPED)


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="lean-agentic")
@click.option("-v", "--verbose", is_flag=True, help="Show what the library logs.")
def main(verbose: bool) -> None:
    """Research workbench for agents that optimise code and remember what they learned."""
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING, format="%(levelname)s %(name)s: %(message)s"
    )
    # Kernels and benchmarks inherit these and run in folders of their own, where a relative path leads elsewhere.
    for name in (HOME_VARIABLE, DATA_VARIABLE):
        if os.environ.get(name):
            os.environ[name] = str(Path(os.environ[name]).expanduser().absolute())
