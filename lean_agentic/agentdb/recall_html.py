"""Recalls as HTML tables: everything escaped, readable without colours, bars beside figures, light and dark pages."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING

from lean_agentic.agentdb.ranking import PARTS, Part

if TYPE_CHECKING:
    from lean_agentic.agentdb.explanation import RecallExplanation
    from lean_agentic.agentdb.recall_result import RecallHit, RecallResult

LONGEST_TEXT = 240
"""Letters of a record that the table shows."""
LEAST_SHOWN = 5e-4
"""Contributions that round to .000 are left out."""
COLOURS = {
    Part.SIMILARITY: "#4477aa",
    Part.TEXT: "#228833",
    Part.NEIGHBOURS: "#ccbb44",
    Part.SESSION: "#aa3377",
    Part.ENTITIES: "#ee6677",
    Part.TIME: "#66ccee",
    Part.RECENCY: "#bbbbbb",
    Part.USE: "#777777",
}
"""Told apart by people with the common colour-vision deficiencies (Paul Tol's bright scheme)."""
_STYLE = """<style>
.agentdb-recall {border-collapse: collapse; font-size: 0.9em; max-width: 70em}
dl.agentdb-recall {display: grid; grid-template-columns: max-content auto; column-gap: 1em}
dl.agentdb-recall dd {margin: 0}
.agentdb-recall caption {text-align: left; padding: 0.3em 0; font-weight: 600}
.agentdb-recall th, .agentdb-recall td {text-align: left; vertical-align: top; padding: 0.35em 0.8em 0.35em 0}
.agentdb-recall tbody tr {border-top: 1px solid color-mix(in srgb, currentColor 25%, transparent)}
.agentdb-recall .figure {text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap}
.agentdb-recall .bar {display: flex; width: 14em; height: 0.8em; margin-top: 0.3em}
.agentdb-recall .bar span {display: block; height: 100%}
.agentdb-recall .aside {opacity: 0.75; font-size: 0.9em}
</style>"""


def result_html(result: RecallResult) -> str:
    """A table with a row for each hit: rank, text, score with a bar of its parts, reason."""
    caption = escape(
        f"{len(result)} recalled for “{_cut(result.query)}”" if result.query else f"{len(result)} recalled"
    )
    largest = max((hit.score for hit in result), default=0.0)
    rows = "".join(_hit_row(hit, largest) for hit in result)
    heads = "".join(f'<th scope="col">{head}</th>' for head in ("Rank", "Record", "Score", "Why"))
    return (
        f'{_STYLE}<table class="agentdb-recall"><caption>{caption}</caption>'
        f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>{_legend(result)}"
    )


def explanation_html(why: RecallExplanation) -> str:
    """A table with a row for each part that contributes, and what else is known below it."""
    largest = max(why.contributions.values())
    rows = "".join(
        _part_row(part, why.contributions[part], largest) for part in PARTS if why.contributions[part] >= LEAST_SHOWN
    )
    caption = escape(f"Record {why.record}, rank {why.rank}")
    heads = '<th scope="col">Part</th><th scope="col">Adds</th><th scope="col"></th>'
    total = f'<tr><th scope="row">score</th><td class="figure">{why.score:.4f}</td><td></td></tr>'
    return (
        f'{_STYLE}<table class="agentdb-recall"><caption>{caption}</caption><thead><tr>{heads}</tr></thead>'
        f"<tbody>{rows}{total}</tbody></table><p>{escape(why.reason)}</p>{_details(why)}"
    )


def bar(contributions: Sequence[tuple[Part, float]], score: float, largest: float) -> str:
    """A bar of coloured stretches, as long as the score is to the largest; read out as its figures."""
    shown = [(part, value) for part, value in contributions if value >= LEAST_SHOWN]
    read = ", ".join(f"{part} {value:.3f}" for part, value in shown) or "nothing"
    stretches = "".join(
        f'<span style="width:{100 * value / largest:.2f}%; background:{COLOURS[part]}" title="{part}"></span>'
        for part, value in shown
        if largest > 0
    )
    return f'<div class="bar" role="img" aria-label="{score:.3f}: {read}">{stretches}</div>'


def _hit_row(hit: RecallHit, largest: float) -> str:
    why = hit.explanation
    record = hit.record
    when = "" if record.time is None else datetime.fromtimestamp(record.time, UTC).strftime("%Y-%m-%d %H:%M")
    aside = escape(" · ".join(filter(None, [f"{type(record).__name__} {record.id}", when, record.session])))
    picture = bar([(part, why.contributions[part]) for part in PARTS], hit.score, largest)
    return (
        f'<tr><th scope="row" class="figure">{why.rank}</th>'
        f'<td>{escape(_cut(record.text))}<div class="aside">{aside}</div></td>'
        f'<td><span class="figure">{hit.score:.3f}</span>{picture}</td><td>{escape(why.reason)}</td></tr>'
    )


def _part_row(part: Part, value: float, largest: float) -> str:
    return (
        f'<tr><th scope="row">{part}</th><td class="figure">{value:.4f}</td><td>{bar([(part, value)], value, largest)}'
        "</td></tr>"
    )


def _legend(result: RecallResult) -> str:
    used = [part for part in PARTS if any(hit.explanation.contributions[part] >= LEAST_SHOWN for hit in result)]
    marks = " ".join(f'<span aria-hidden="true" style="color:{COLOURS[part]}">■</span>&nbsp;{part}' for part in used)
    return f'<div class="agentdb-recall">{marks}<div class="aside">{escape(str(result.timings))}</div></div>'


def _details(why: RecallExplanation) -> str:
    facts = {
        "Cosine": "" if why.similarity is None else f"{why.similarity:.3f}",
        "BM25": f"{why.bm25:.2f} for {', '.join(why.words)}" if why.words else "",
        "Entities": ", ".join(why.entities),
        "Dates": ", ".join(why.dates),
        "Nearby": ", ".join(f"{each.record} ({each.relation}, {each.contribution:.3f})" for each in why.lenders),
        "Causes": ", ".join(f"{step.cause} → {step.effect} ({step.kind}, {step.strength:.2f})" for step in why.chain),
    }
    items = "".join(f"<dt>{name}</dt><dd>{escape(text)}</dd>" for name, text in facts.items() if text)
    return f'<dl class="agentdb-recall">{items}</dl>'


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"
