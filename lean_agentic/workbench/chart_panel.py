"""An interactive view of charts for JupyterLab: inline SVG with read-outs, drawn by `chart_panel.js`.

In go the same `Chart` descriptions that `chart_figure.draw` takes; setting `panel.charts` redraws. Curves
are thinned to what a screen can show and travel as binary float64, so that a redraw costs milliseconds.
The numbers stay readable in the page: `data-chart`, `data-series`, `data-value`, `data-draw-ms`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import traitlets

from lean_agentic.workbench.charts import Chart, Floats, Placed, axis_range, place, thin
from lean_agentic.workbench.controls import NUMBER_FORMAT_JS, PAGE_CSS
from lean_agentic.workbench.style import PALETTE

HERE = Path(__file__).parent

# Two points for each of 400 pixel columns: a chart in a two-column panel is about that wide.
POINTS_SHOWN = 800


class ChartPanel(anywidget.AnyWidget):
    """Charts in responsive columns, with legend, cursor and keyboard read-out.

    Parameters
    ----------
    charts
        What to draw. Assigning `panel.charts` draws anew; unchanged charts are not sent.
    columns
        How many stand side by side where the page is wide enough.

    Examples
    --------
    >>> panel = ChartPanel([Chart("Cost", "request", "cost", [Series("adaptive", [1, 2], [0.1, 0.3])])])
    >>> panel.charts = [Chart("Cost", "request", "cost", [Series("adaptive", [1, 2], [0.2, 0.4])])]
    """

    _esm = NUMBER_FORMAT_JS + (HERE / "chart_panel.js").read_text(encoding="utf-8")
    _css = PAGE_CSS + (HERE / "chart_panel.css").read_text(encoding="utf-8")

    frame = traitlets.Dict().tag(sync=True)
    columns = traitlets.Int(2, min=1).tag(sync=True)
    stale = traitlets.Bool().tag(sync=True)
    """The charts belong to older values than the controls show; they are drawn faint."""
    note = traitlets.Unicode().tag(sync=True)
    """Small print under the charts."""

    def __init__(self, charts: Sequence[Chart] = (), columns: int = 2) -> None:
        self._charts: tuple[Chart, ...] = ()
        super().__init__(columns=columns)
        self.charts = tuple(charts)

    @property
    def charts(self) -> tuple[Chart, ...]:
        """The charts that are shown."""
        return self._charts

    @charts.setter
    def charts(self, charts: Sequence[Chart]) -> None:
        self._charts = tuple(charts)
        self.frame = {"charts": [chart_message(chart) for chart in self._charts]}

    def __repr__(self) -> str:
        return f"ChartPanel({', '.join(chart.title for chart in self._charts)})"


def chart_message(chart: Chart, limit: int = POINTS_SHOWN) -> dict[str, Any]:
    """Turn a chart into what travels to the browser.

    Parameters
    ----------
    limit
        Most points a series may keep; stacked areas share theirs, so they may keep up to that many a layer.

    Returns
    -------
    JSON values, except `x`, `y` and `base` of each series: little-endian float64 bytes.
    """
    placed = place(chart)
    areas = [mark.top for mark in placed if mark.series.mark == "area"]
    shared = np.unique(np.concatenate([thin(top, limit) for top in areas])) if areas else None
    return {
        "title": chart.title,
        "alt": chart.describe(),
        "x": {"label": chart.x_label, "log": chart.x_log, "format": chart.x_format, "range": axis_range(chart, "x")},
        "y": {"label": chart.y_label, "log": chart.y_log, "format": chart.y_format, "range": axis_range(chart, "y")},
        "names": list(chart.x_names),
        "references": [{"value": line.value, "label": line.label, "axis": line.axis} for line in chart.references],
        "series": [_series_message(mark, shared, limit) for mark in placed],
    }


def _series_message(placed: Placed, shared: np.ndarray[Any, Any] | None, limit: int) -> dict[str, Any]:
    series, look = placed.series, PALETTE.look(placed.series.name)
    order = np.argsort(series.xs, kind="stable")
    kept = order[thin(series.ys[order], limit)] if series.mark != "area" or shared is None else shared
    return {
        "name": series.name,
        "mark": series.mark,
        "colour": look.colour,
        "dash": " ".join(f"{length:g}" for length in look.dash),
        "marker": look.marker,
        "shift": placed.shift,
        "width": placed.width,
        "total": int(series.xs.size),
        "x": _bytes(series.xs[kept]),
        "y": _bytes(series.ys[kept]),
        "base": _bytes(placed.base[kept]) if series.mark == "area" else b"",
    }


def _bytes(values: Floats) -> bytes:
    return values.astype("<f8").tobytes()
