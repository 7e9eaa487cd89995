"""Small inline SVGs of the report: a figure against its bound, and a figure over past runs.

In go figures; out comes SVG without script, coloured by the page's style sheet. The bound drawing follows
Stephen Few's bullet graph: a shaded range that is wanted, a tick at the bound, the measured value on top.
"""

from __future__ import annotations

import html
from collections.abc import Sequence

from lean_agentic.workbench.results import Metric
from lean_agentic.workbench.targets import Target
from lean_agentic.workbench.targets_table import figure_texts, with_unit

WIDTH, HEIGHT, MARGIN = 132.0, 22.0, 4.0


def bound_svg(metric: Metric, target: Target) -> str:
    """Draw a value, its spread and the wanted side of the bound on one axis from 0.

    It is hidden from assistive technology: the same figures stand beside it in words.
    """
    low, high = metric.spread or (metric.value, metric.value)
    start, end = min(0.0, low, metric.value), 1.15 * max(target.bound, high, metric.value)

    def x(value: float) -> float:
        return MARGIN + (WIDTH - 2 * MARGIN) * (value - start) / (end - start)

    bound, middle = x(target.bound), HEIGHT / 2
    wanted = (bound, WIDTH - MARGIN) if target.direction == "higher" else (MARGIN, bound)
    state = "met" if target.met_by(metric.value) else "missed"
    return (
        f'<svg class="bound {state}" width="{WIDTH:.0f}" height="{HEIGHT:.0f}" aria-hidden="true">'
        f'<rect class="track" x="{MARGIN}" y="6" width="{WIDTH - 2 * MARGIN}" height="10" rx="2"/>'
        f'<rect class="wanted" x="{wanted[0]:.1f}" y="6" width="{wanted[1] - wanted[0]:.1f}" height="10"/>'
        f'<line class="tick" x1="{bound:.1f}" x2="{bound:.1f}" y1="2" y2="20"/>'
        f'<line class="spread" x1="{x(low):.1f}" x2="{x(high):.1f}" y1="{middle}" y2="{middle}"/>'
        f'<circle class="value" cx="{x(metric.value):.1f}" cy="{middle}" r="4.5"/></svg>'
    )


def trend_svg(metrics: Sequence[Metric]) -> str:
    """Draw a metric over past runs, oldest at the left, and say the same in its label.

    Parameters
    ----------
    metrics
        At least one; all in one unit.
    """
    values = [metric.value for metric in metrics]
    if len(values) == 1:
        return '<span class="soft">first run</span>'
    low, high = min(values), max(values)
    step = (WIDTH - 2 * MARGIN) / (len(values) - 1)
    # A metric that never changed is a line in the middle.
    points = [
        (MARGIN + step * i, HEIGHT / 2 if low == high else HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * share)
        for i, share in enumerate((value - low) / ((high - low) or 1.0) for value in values)
    ]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    label = html.escape(_trend_words(metrics), quote=True)
    return (
        f'<svg class="trend" width="{WIDTH:.0f}" height="{HEIGHT:.0f}" role="img" aria-label="{label}">'
        f"<title>{label}</title>"
        f'<polyline points="{path}"/><circle cx="{points[-1][0]:.1f}" cy="{points[-1][1]:.1f}" r="3"/></svg>'
    )


def _trend_words(metrics: Sequence[Metric]) -> str:
    values = [metric.value for metric in metrics]
    texts = figure_texts([values[-1], min(values), max(values), values[0]])
    latest, low, high, first = (with_unit(text, metrics[0].unit) for text in texts)
    return f"{len(values)} runs: first {first}, latest {latest}, lowest {low}, highest {high}"
