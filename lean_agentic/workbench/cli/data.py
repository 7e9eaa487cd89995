"""`lean-agentic data`: list, fetch and verify the public data sets of `data/manifest.json`."""

from __future__ import annotations

import sys

import click

from lean_agentic.workbench import datasets
from lean_agentic.workbench.project import find_project


@click.group()
def command() -> None:
    """List, fetch and verify the public data sets."""


@command.command("list")
def list_command() -> None:
    """Show every data set: size, licence, source and where a copy lies (`verify` checks it)."""
    project = find_project()
    for dataset in datasets.load_manifest(project).values():
        copies = [folder / dataset.file for folder in datasets.data_folders(project)]
        here = next((str(path) for path in copies if path.exists()), "not here")
        click.echo(f"{dataset.name}  ({dataset.bytes / 1e6:.2f} MB, {dataset.licence})")
        click.echo(f"  {dataset.what}\n  source  {dataset.source}\n  copy    {here}")


@command.command()
@click.argument("names", nargs=-1)
def fetch(names: tuple[str, ...]) -> None:
    """Download data sets (default: all) that have no valid copy here."""
    failed = 0
    for name in _chosen(names):
        try:
            found = datasets.fetch(name, progress=sys.stderr.isatty())
            click.echo(f"{name}: valid at {found.path}")
        except datasets.DatasetError as error:
            click.echo(f"{name}: failed. {error}", err=True)
            failed += 1
    if failed:
        raise click.exceptions.Exit(1)


@command.command()
@click.argument("names", nargs=-1)
def verify(names: tuple[str, ...]) -> None:
    """Check the checksum of every copy; exit status 1 when one is wrong, 0 when some are only missing."""
    wrong = 0
    for name in _chosen(names):
        try:
            found = datasets.locate(name)
            click.echo(f"{name}: valid at {found.path}" if found else f"{name}: missing")
        except datasets.DatasetError as error:
            click.echo(f"{name}: wrong. {error}", err=True)
            wrong += 1
    if wrong:
        raise click.exceptions.Exit(1)


def _chosen(names: tuple[str, ...]) -> list[str]:
    """The named data sets, or all; an unknown name is refused before anything starts."""
    manifest = datasets.load_manifest()
    return [datasets.find_dataset(name).name for name in names] or list(manifest)
