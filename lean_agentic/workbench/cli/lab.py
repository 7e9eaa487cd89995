"""`lean-agentic lab`: the notebooks in JupyterLab."""

from __future__ import annotations

import click

from lean_agentic.workbench.lab import prepare_lab
from lean_agentic.workbench.project import find_project


@click.command("lab")
@click.option("--port", type=int, help="TCP port on this machine; a free one by default.")
@click.option("--no-browser", is_flag=True, help="Print the address and open no browser.")
@click.argument("notebook", required=False)
def command(port: int | None, no_browser: bool, notebook: str | None) -> None:
    """Open JupyterLab on the project's notebooks.

    NOTEBOOK is a path, or how a name in notebooks/ begins, such as 04. The server listens on this machine only
    and asks for a token, which is part of the address printed. Ctrl-C ends it.
    """
    lab = prepare_lab(find_project(), port, notebook, open_browser=not no_browser)
    click.echo(f"JupyterLab: {lab.url}\nCtrl-C ends it.")
    lab.become()
