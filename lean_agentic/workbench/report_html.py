"""The report as one offline page: no script, no network, readable in light and dark and without colour.

In goes a `Report`; out come `experiments/report/index.html` and the same targets table as `targets.md`.
Links lead to the runs' own folders, relative to the page.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from lean_agentic.workbench.experiment import Experiment
from lean_agentic.workbench.files import write_atomically
from lean_agentic.workbench.project import Project
from lean_agentic.workbench.report import History, Report
from lean_agentic.workbench.report_drawings import bound_svg, trend_svg
from lean_agentic.workbench.results import EXECUTED_HTML, EXECUTED_NOTEBOOK, RunResult
from lean_agentic.workbench.run_folder import ERROR_FILE, LOG_FILE
from lean_agentic.workbench.targets_table import (
    NOTHING,
    Row,
    Verdict,
    machine_text,
    markdown_table,
    run_marks,
    run_time,
    spread_text,
    value_text,
)

STYLE = Path(__file__).with_name("report.css")
SYMBOLS = {Verdict.MET: "✓", Verdict.NOT_MET: "✗", Verdict.NOT_MEASURED: "○"}
RUN_FILES = {EXECUTED_HTML: "page", EXECUTED_NOTEBOOK: "notebook", ERROR_FILE: "error", LOG_FILE: "log"}


def write_report(project: Project, report: Report) -> tuple[Path, Path]:
    """Write the page and the Markdown table; their paths come back.

    Raises
    ------
    OSError
        The folder cannot be written. Earlier files are then still whole.
    """
    project.report.mkdir(parents=True, exist_ok=True)
    page, table = project.report / "index.html", project.report / "targets.md"
    write_atomically(page, report_page(report))
    write_atomically(table, markdown_table(report.rows, lambda r: f"../{quote(r.experiment)}/runs/{quote(r.run)}/"))
    return page, table


def report_page(report: Report) -> str:
    """The whole page as HTML."""
    made = datetime.now(UTC).strftime("%Y-%m-%d %H:%M")
    experiments = {history.experiment.id: history.experiment for history in report.histories}
    body = "".join(_experiment_section(history) for history in report.histories)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Measured targets</title><style>{STYLE.read_text(encoding='utf-8')}</style></head>\n<body>"
        f"<header><h1>Measured targets</h1><p>What the experiments of lean_agentic measured, against what the "
        f"specification asks for. Made {made} UTC from the latest finished run of each experiment.</p>"
        f"{_counts(report.rows)}</header>\n"
        f"<main>{_targets_section(report.rows, experiments)}{body}</main></body></html>\n"
    )


def _counts(rows: list[Row]) -> str:
    counts = Counter(row.verdict for row in rows)
    items = "".join(
        f'<li class="{_css(verdict)}"><b>{counts[verdict]}</b> {SYMBOLS[verdict]} {verdict.value}</li>'
        for verdict in Verdict
    )
    return f'<ul class="counts">{items}</ul>'


def _targets_section(rows: Iterable[Row], experiments: Mapping[str, Experiment]) -> str:
    body = "".join(_target_row(row, experiments) for row in rows)
    caption = (
        "Targets of the specification. In the drawings the shaded side of the tick is wanted, "
        "the dot is the measured value and the line through it the spread."
    )
    return _table("targets", caption, ("Target", "Measured", "Against the bound", "Verdict", "Run"), body)


def _target_row(row: Row, experiments: Mapping[str, Experiment]) -> str:
    head = f'<th scope="row">{escape(row.target.title)}<small>wanted {escape(row.target.wanted)}</small></th>'
    verdict = f'<td><span class="verdict {_css(row.verdict)}">{SYMBOLS[row.verdict]} {row.verdict.value}</span></td>'
    if row.metric is None or row.result is None:
        return f'<tr class="empty">{head}<td>{NOTHING}</td><td></td>{verdict}<td>{NOTHING}</td></tr>\n'
    result = row.result
    return (
        f'<tr>{head}<td><b class="figure">{escape(row.measured)}</b><small>{escape(row.spread)}</small>'
        f"<small>{escape(row.note)}</small></td>"
        f"<td>{bound_svg(row.metric, row.target)}</td>{verdict}"
        f'<td><a href="#{escape(result.experiment)}">{escape(result.experiment)}</a>, {escape(result.profile)}'
        f" profile{_marks(result)}<small>{run_time(result.run)} UTC · {escape(machine_text(result.provenance))}</small>"
        f"<small>{_run_links(experiments[result.experiment], result.run)}</small></td></tr>\n"
    )


def _experiment_section(history: History) -> str:
    experiment, latest = history.experiment, history.latest
    name = escape(experiment.id)
    head = f'<section id="{name}"><h2>{escape(experiment.title)} <small>{name}</small></h2>'
    failed = _failed(history) + _explored(history)
    if latest is None:
        return f"{head}<p>No finished run. <code>lean-agentic run {name}</code> makes one.</p>{failed}</section>"
    return (
        f"{head}<p>Latest finished run: {run_time(latest.run)} UTC, {escape(latest.profile)} profile"
        f"{_marks(latest)} · {_run_links(experiment, latest.run)}</p>{failed}{_metrics_table(history, latest)}"
        f"{_data_table(latest)}{_provenance(latest)}</section>\n"
    )


def _failed(history: History) -> str:
    if not history.failed:
        return ""
    items = "".join(
        f"<li>{run_time(folder.name)} UTC · {_run_links(history.experiment, folder.name)}</li>"
        for folder in history.failed
    )
    since = "since then" if history.latest else "so far"
    return f'<div class="failed"><p>✗ {len(history.failed)} failed {since}:</p><ul>{items}</ul></div>'


def _explored(history: History) -> str:
    if not history.explored:
        return ""
    items = "".join(
        f"<li>{run_time(result.run)} UTC · {_run_links(history.experiment, result.run)}</li>"
        for result in history.explored
    )
    return f'<div class="explored"><p>Later runs with other parameters, which do not count:</p><ul>{items}</ul></div>'


def _metrics_table(history: History, latest: RunResult) -> str:
    body = "".join(
        f'<tr><th scope="row">{escape(name)}<small>{escape(metric.note)}</small></th>'
        f'<td><b class="figure">{escape(value_text(metric))}</b></td><td>{escape(spread_text(metric))}</td>'
        f"<td>{trend_svg(history.trend(name))}</td></tr>\n"
        for name, metric in latest.metrics.items()
    )
    caption = f"Recorded figures, and how they went over the finished runs of the {latest.profile} profile"
    return _table("metrics", caption, ("Metric", "Value", "Spread and samples", "Over past runs"), body)


def _data_table(result: RunResult) -> str:
    if not result.data:
        return ""
    body = "".join(
        f'<tr><th scope="row">{escape(str(entry.get("name")))}<small>{escape(entry.get("note") or "")}</small></th>'
        f"<td>{_origin(entry)}</td><td>{_hash(entry.get('sha256'))}</td></tr>\n"
        for entry in result.data
    )
    return _table("data", "Data used", ("Data set", "Origin", "SHA-256"), body)


def _origin(entry: Mapping[str, Any]) -> str:
    return '<span class="mark">generated data</span>' if entry.get("origin") == "generated" else "file"


def _provenance(result: RunResult) -> str:
    body = "".join(
        f'<tr><th scope="row">{escape(key)}</th><td>{_provenance_text(value)}</td></tr>\n'
        for key, value in result.provenance.items()
    )
    table = _table("provenance", f"Provenance of run {result.run}", ("Property", "Value"), body)
    return f"<details><summary>Provenance</summary>{table}</details>"


def _provenance_text(value: object) -> str:
    if isinstance(value, Mapping):
        pairs = "".join(f"<dt>{escape(str(k))}</dt><dd>{_provenance_text(v)}</dd>" for k, v in value.items())
        return f"<dl>{pairs}</dl>" if pairs else NOTHING
    if value is None:
        return NOTHING
    return escape(("yes" if value else "no") if isinstance(value, bool) else str(value))


def _table(name: str, caption: str, columns: Iterable[str], body: str) -> str:
    """A table in a region that the keyboard can scroll on a narrow screen."""
    heads = "".join(f'<th scope="col">{escape(column)}</th>' for column in columns)
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(caption.partition(".")[0])}">'
        f'<table class="{name}"><caption>{escape(caption)}</caption><thead><tr>{heads}</tr></thead>\n'
        f"<tbody>{body}</tbody></table></div>"
    )


def _marks(result: RunResult) -> str:
    return "".join(f' <span class="mark">{escape(mark)}</span>' for mark in run_marks(result))


def _run_links(experiment: Experiment, run: str) -> str:
    folder = f"../{quote(experiment.id)}/runs/{quote(run)}"
    there = [(name, text) for name, text in RUN_FILES.items() if (experiment.runs / run / name).is_file()]
    links = [f'<a href="{folder}/{name}">{text}</a>' for name, text in there]
    return f"<span>run {escape(run)}{''.join(f', {link}' for link in links)}</span>"


def _hash(sha256: object) -> str:
    return f'<code title="{escape(str(sha256))}">{escape(str(sha256)[:12])}</code>' if sha256 else NOTHING


def _css(verdict: Verdict) -> str:
    return verdict.name.lower().replace("_", "-")
