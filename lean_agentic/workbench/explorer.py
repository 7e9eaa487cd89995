"""Ties controls to a function and shows what it returns: charts, a table, one line of summary.

In goes `compute(**values) -> View` and one control for each of its parameters; out comes a widget that
recomputes whenever a control moves. A static picture of the first view stands behind the widget for readers
without a kernel: executed copies, HTML pages, GitHub.
"""

from __future__ import annotations

import base64
import html
import inspect
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import anywidget
import ipywidgets
import traitlets

from lean_agentic.workbench.chart_figure import draw
from lean_agentic.workbench.chart_panel import ChartPanel
from lean_agentic.workbench.charts import Chart
from lean_agentic.workbench.controls import PAGE_CSS, Control, ControlError
from lean_agentic.workbench.tables import Table

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class View:
    """What one setting of the controls shows."""

    charts: Sequence[Chart]
    table: Table | None = None
    summary: str = ""
    """One sentence, read aloud when it changes."""

    def _repr_html_(self) -> str:
        png = base64.b64encode(draw(self.charts)._repr_png_()).decode()
        alt = html.escape(" ".join(chart.describe() for chart in self.charts), quote=True)
        picture = f"<img alt='{alt}' style='max-width: 100%' src='data:image/png;base64,{png}'>"
        table = self.table._repr_html_() if self.table else ""
        return f"<p><strong>{html.escape(self.summary)}</strong></p>{picture}{table}"


class Region(anywidget.AnyWidget):
    """A part of the page whose HTML can be replaced, with an ARIA role such as `status` or `alert`.

    The element stays and only its content changes, which is what makes a screen reader announce it.
    """

    _esm = """
    function render({ model, el }) {
      const region = document.createElement("div");
      region.className = model.get("css_class");
      if (model.get("role")) region.setAttribute("role", model.get("role"));
      const show = () => { region.innerHTML = model.get("html"); };
      el.classList.add("la-page");
      el.append(region);
      model.on("change:html", show);
      show();
    }
    export default { render };
    """
    _css = PAGE_CSS

    html = traitlets.Unicode().tag(sync=True)
    role = traitlets.Unicode().tag(sync=True)
    css_class = traitlets.Unicode().tag(sync=True)


class Explorer(ipywidgets.VBox):  # type: ignore[misc]  # ipywidgets carries no types
    """The widget that `explore` makes.

    `view` is what is shown, `redraw_ms` the time in ms that Python took for the last one.
    """

    def __init__(self, compute: Callable[..., View], controls: Mapping[str, Control], columns: int) -> None:
        self._compute = compute
        self.controls = dict(controls)
        self.panel = ChartPanel(columns=columns)
        self._summary = Region(role="status", css_class="la-summary")
        self._alert = Region(role="alert", css_class="la-alert")
        self._table = Region(css_class="la-scroll")
        grid = ipywidgets.Layout(
            display="grid", grid_template_columns="repeat(auto-fit, minmax(190px, 1fr))", grid_gap="10px 24px"
        )
        row = ipywidgets.Box(list(self.controls.values()), layout=grid)
        parts = [row, self._alert, self._summary, self.panel, self._table]
        super().__init__(parts, layout=ipywidgets.Layout(grid_gap="10px", padding="4px"))
        # A mistake in the notebook must fail its cell; only later ones, which no cell can report, go to the page.
        self._show()
        for control in self.controls.values():
            control.observe(self._on_change, names="value")

    @property
    def values(self) -> dict[str, Any]:
        """What the controls are set to."""
        return {name: control.value for name, control in self.controls.items()}

    def _on_change(self, _change: object) -> None:
        try:
            self._show()
        except Exception as error:
            log.exception("Recomputing with %s failed", self.values)
            values = ", ".join(f"{name}={value}" for name, value in self.values.items())
            text = f"{type(error).__name__}: {error}\nwith {values}. The faint charts show the last values that worked."
            self._alert.html = html.escape(text)
            self._summary.html = self._table.html = ""
            self.panel.stale = True

    def _show(self) -> None:
        start = time.perf_counter()
        view = self._compute(**self.values)
        computed = time.perf_counter()
        self.panel.charts = tuple(view.charts)
        self._table.html = view.table._repr_html_() if view.table else ""
        self._summary.html = html.escape(view.summary)
        self._alert.html, self.panel.stale = "", False
        self.view, self.redraw_ms = view, (time.perf_counter() - start) * 1e3
        self.panel.note = f"computed in {(computed - start) * 1e3:.0f} ms, sent after {self.redraw_ms:.0f} ms"

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        bundle: dict[str, Any] = super()._repr_mimebundle_(**kwargs)
        # Front ends prefer the live widget; where there is no kernel the picture is what can be shown.
        return bundle | {"text/html": self.view._repr_html_()}

    def __repr__(self) -> str:
        return f"Explorer({', '.join(f'{name}={value!r}' for name, value in self.values.items())})"


def explore(compute: Callable[..., View], controls: Mapping[str, Control], columns: int = 2) -> Explorer:
    """Show `compute(**values)` and recompute it whenever a control moves.

    Parameters
    ----------
    compute
        Takes the value of each control by name and returns a `View`. It runs in the kernel for every change,
        so it should take well under 300 ms.
    controls
        Parameter name of `compute` -> `slider`, `toggle` or `choice`, shown in this order.
    columns
        How many charts stand side by side where the page is wide enough.

    Returns
    -------
    A widget. An error in `compute` is raised for the first view and shown in the widget (and logged with its
    traceback) for later ones; the charts then turn faint.

    Raises
    ------
    ControlError
        The controls are not the parameters of `compute`.
    """
    try:
        inspect.signature(compute).bind(**dict.fromkeys(controls))
    except TypeError as error:
        raise ControlError(
            f"The controls {', '.join(controls)} do not fit {compute.__name__}{inspect.signature(compute)}: {error}. "
            f"Give one control for each parameter, under its name."
        ) from error
    return Explorer(compute, controls, columns)
