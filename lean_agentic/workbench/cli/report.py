"""`lean-agentic report`: the targets table, the HTML report, and the README's table."""

from __future__ import annotations

import sys

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lean_agentic.workbench.project import Project, find_project
from lean_agentic.workbench.published import publish, update_readme
from lean_agentic.workbench.report import build_report
from lean_agentic.workbench.report_html import write_report
from lean_agentic.workbench.targets_table import NOTHING, ReportError, Row, Verdict, run_time

COLOURS = {Verdict.MET: "green", Verdict.NOT_MET: "red", Verdict.NOT_MEASURED: "dim"}
LOG_WIDTH = 150
"""Columns where the output is no terminal and so has no width of its own."""


@click.command()
@click.option(
    "--publish",
    "names",
    metavar="RUN|EXPERIMENT",
    multiple=True,
    help="Also copy the result of a finished run (of an experiment: its latest) to experiments/published.",
)
@click.option("--readme", is_flag=True, help="Also renew the README's table from experiments/published.")
def command(names: tuple[str, ...], readme: bool) -> None:
    """Write the targets table and the HTML report from finished runs."""
    project = find_project()
    try:
        _write(project, names, readme)
    except OSError as error:
        raise ReportError(f"The report cannot be written: {error}. It needs a writable disk with space.") from error


def _write(project: Project, names: tuple[str, ...], readme: bool) -> None:
    report = build_report(project)
    page, table = write_report(project, report)
    Console(width=None if sys.stdout.isatty() else LOG_WIDTH).print(_terminal_table(report.rows))
    click.echo(f"HTML report: {page}\nMarkdown table: {table}")
    for name in names:
        click.echo(f"Published: {publish(project, name)}")
    if readme:
        click.echo(f"Renewed the table in {update_readme(project)}")


def _terminal_table(rows: list[Row]) -> Table:
    table = Table(title="Measured targets", title_justify="left", show_edge=False)
    for column in ("Target", "Wanted", "Measured", "Spread and notes", "Verdict", "When (UTC)", "Run"):
        table.add_column(column, no_wrap=column in ("Wanted", "Measured", "Verdict"))
    for row in rows:
        verdict = f"[{COLOURS[row.verdict]}]{row.verdict.value}[/]"
        texts = (row.target.title, row.target.wanted, row.measured, "\n".join(filter(None, (row.spread, row.note))))
        table.add_row(*map(escape, texts), verdict, *map(escape, _run_cells(row)))
    return table


def _run_cells(row: Row) -> tuple[str, str]:
    if row.result is None:
        return NOTHING, NOTHING
    text = f"{row.result.experiment} ({row.result.profile})"
    return run_time(row.result.run), ", ".join([text, *row.marks])
