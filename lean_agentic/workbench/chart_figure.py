"""Draws charts as a static matplotlib figure: for executed copies, reports and pages without a kernel.

In go `Chart` descriptions, out comes a figure with the colours and ranges of the live panel.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from lean_agentic.workbench.charts import Chart, ChartError, Placed, Range, axis_range, place
from lean_agentic.workbench.style import PALETTE, NumberFormat

INK, SOFT, RULE = "#1f2328", "#57606a", "#d8dee4"
MARKERS = {"circle": "o", "square": "s", "diamond": "D", "triangle": "^"}
WIDTH_IN, HEIGHT_IN = 9.6, 3.3
MARGIN = 0.04
LEGEND_CHARACTERS = 64  # what fits beside each other above one chart of two


class ChartFigure(Figure):
    """A figure that shows itself in a notebook also when pyplot was never imported."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=110)
        return buffer.getvalue()


def draw(charts: Sequence[Chart], columns: int = 2) -> ChartFigure:
    """Draw charts side by side, `columns` in a row.

    Raises
    ------
    ChartError
        There is nothing to draw.
    """
    if not charts or columns < 1:
        raise ChartError(f"A figure needs at least one chart and one column, not {len(charts)} and {columns}.")
    columns = min(columns, len(charts))
    rows = -(-len(charts) // columns)
    figure = ChartFigure(
        figsize=(WIDTH_IN if columns > 1 else 0.62 * WIDTH_IN, HEIGHT_IN * rows),
        layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1, wspace=0.03, hspace=0.04),
    )
    for position, chart in enumerate(charts, start=1):
        _draw_chart(figure.add_subplot(rows, columns, position), chart)
    return figure


def _draw_chart(axes: Axes, chart: Chart) -> None:
    _draw_axes(axes, chart)
    placed = place(chart)
    for mark in placed:
        _draw_mark(axes, mark)
    for line in chart.references:
        _draw_reference(axes, line.value, line.label, line.axis)
    rows = _name_series(axes, placed)
    axes.set_title(chart.title, loc="left", pad=7 + 13 * rows, fontsize=10.5, fontweight="bold", color=INK)


def _draw_axes(axes: Axes, chart: Chart) -> None:
    axes.set_xlabel(chart.x_label, fontsize=9, color=SOFT)
    axes.set_ylabel(chart.y_label, fontsize=9, color=SOFT)
    if chart.x_log:
        axes.set_xscale("log")
    if chart.y_log:
        axes.set_yscale("log")
    axes.set_xlim(*_padded(axis_range(chart, "x"), chart.x_log))
    axes.set_ylim(*_padded(axis_range(chart, "y"), chart.y_log))
    axes.grid(True, color=RULE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(SOFT)
    axes.tick_params(length=0, labelsize=8.5, labelcolor=SOFT)
    _set_ticks(axes, chart)


def _set_ticks(axes: Axes, chart: Chart) -> None:
    for axis, log, template, ends in (
        (axes.xaxis, chart.x_log, chart.x_format, axis_range(chart, "x")),
        (axes.yaxis, chart.y_log, chart.y_format, axis_range(chart, "y")),
    ):
        axis.set_minor_locator(NullLocator())
        axis.set_major_locator(_log_locator(ends) if log else MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
        ticks = axis.get_majorticklocs()
        step = float(np.diff(ticks).min()) if len(ticks) > 1 else 1.0
        axis.set_major_formatter(FuncFormatter(_tick_text(template, 0.0 if log else step)))
    if chart.x_names:
        axes.set_xticks(range(len(chart.x_names)), chart.x_names)
        axes.grid(False, axis="x")


def _log_locator(ends: Range) -> LogLocator:
    """Powers of ten; over less than three of them also their 2- and 5-fold."""
    return LogLocator(subs=(1.0, 2.0, 5.0) if np.log10(ends[1] / ends[0]) < 3 else (1.0,), numticks=8)


def _tick_text(template: str, step: float) -> Callable[[float, int | None], str]:
    number = NumberFormat(template)
    # On a log axis each tick needs the decimals of its own size.
    return lambda value, _position: number.tick(value, step or abs(value))


def _padded(ends: Range, log: bool) -> Range:
    """Widen a range by a small margin; a zero end stays, so that areas and bars stand on the axis."""
    low, high = (np.log10(ends[0]), np.log10(ends[1])) if log else ends
    margin = MARGIN * (high - low) or 0.5 * abs(high) or 0.5
    if log:
        return float(10 ** (low - margin)), float(10 ** (high + margin))
    # Nothing but zeros still needs room above.
    return (0.0 if low == 0 else low - margin), (0.0 if high == 0 > low else high + margin)


def _draw_mark(axes: Axes, placed: Placed) -> None:
    series, look = placed.series, PALETTE.look(placed.series.name)
    dash = (0, look.dash) if look.dash else "-"
    if series.mark == "area":
        axes.fill_between(series.xs, placed.base, placed.top, color=look.colour, alpha=0.75, linewidth=0)
    elif series.mark == "bars":
        axes.bar(series.xs + placed.shift, placed.top, placed.width * 0.94, color=look.colour)
    elif series.mark == "points":
        size = 44 if series.xs.size < 30 else 9
        axes.scatter(
            series.xs, series.ys, s=size, color=look.colour, marker=MARKERS[look.marker], linewidths=0, zorder=3
        )
    else:
        style = "steps-post" if series.mark == "step" else "default"
        axes.plot(series.xs, series.ys, color=look.colour, linestyle=dash, linewidth=1.8, drawstyle=style)


def _draw_reference(axes: Axes, value: float, label: str, axis: str) -> None:
    line = axes.axhline if axis == "y" else axes.axvline
    line(value, color=SOFT, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    if axis == "y":
        place: dict[str, Any] = {"xy": (0, value), "xycoords": ("axes fraction", "data"), "xytext": (2, 3)}
    else:
        # A name right of the middle is written to the left of its line, or it would leave the chart.
        late = axes.transAxes.inverted().transform(axes.transData.transform((value, 0.5)))[0] > 0.5
        place = {"xy": (value, 0), "xycoords": ("data", "axes fraction"), "xytext": (-3 if late else 3, 4)}
        place["ha"] = "right" if late else "left"
    axes.annotate(label, textcoords="offset points", fontsize=8, color=SOFT, **place)


def _name_series(axes: Axes, placed: list[Placed]) -> int:
    """Name the series above the axes and return in how many rows; dark text, for pale colours make poor text."""
    handles = {mark.series.name: _handle(mark) for mark in placed}
    if len(handles) == 1 and placed[0].series.mark == "bars":
        return 0
    columns = max(1, min(len(handles), LEGEND_CHARACTERS // (4 + max(map(len, handles)))))
    axes.legend(
        handles.values(),
        handles.keys(),
        loc="lower left",
        bbox_to_anchor=(0, 1.0),
        ncols=columns,
        frameon=False,
        fontsize=8.5,
        labelcolor=INK,
        handlelength=1.4,
        handletextpad=0.5,
        columnspacing=1.2,
        labelspacing=0.3,
        borderpad=0,
        borderaxespad=0.4,
    )
    return -(-len(handles) // columns)


def _handle(placed: Placed) -> Line2D:
    look = PALETTE.look(placed.series.name)
    if placed.series.mark in ("line", "step"):
        return Line2D([], [], color=look.colour, linewidth=2, linestyle=(0, look.dash) if look.dash else "-")
    marker = MARKERS[look.marker] if placed.series.mark == "points" else "s"
    return Line2D([], [], color=look.colour, marker=marker, markersize=6.5, linestyle="none")
