"""A chart described once: plain series and axes that the static and the live renderer both draw.

In go arrays of numbers; out come frozen descriptions, and from them what both renderers share: stacked
and grouped geometry, axis ranges, thinning and a summary in words. `chart_figure.draw` makes a matplotlib
figure of it, `chart_panel.ChartPanel` an interactive view. Small multiples and direct labels follow
Tufte's "The Visual Display of Quantitative Information".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lean_agentic.workbench.errors import WorkbenchError
from lean_agentic.workbench.style import NumberFormat

Mark = Literal["line", "step", "points", "area", "bars"]
Floats = NDArray[np.float64]
Range = tuple[float, float]

BAR_GROUP_WIDTH = 0.8


class ChartError(WorkbenchError):
    """A series or chart that cannot be drawn as described."""


@dataclass(frozen=True, eq=False)
class Series:
    """Named numbers and the mark that shows them.

    Raises
    ------
    ChartError
        Lengths differ, there is no point, x is not finite, or x goes back under a line, step or area.
    """

    name: str
    x: ArrayLike
    """(n,) float64. For bars: positions 0, 1, ... that `Chart.x_names` names."""
    y: ArrayLike
    """(n,) float64; NaN leaves a gap."""
    mark: Mark = "line"
    """`area` layers are stacked in the order of the series; `step` keeps a value until the next x."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "x", np.asarray(self.x, dtype=np.float64))
        object.__setattr__(self, "y", np.asarray(self.y, dtype=np.float64))
        if self.mark not in get_args(Mark):
            raise ChartError(f"{self.name}: no mark is called {self.mark!r}; there are {', '.join(get_args(Mark))}.")
        if self.xs.ndim != 1 or self.xs.shape != self.ys.shape or self.xs.size == 0:
            raise ChartError(
                f"{self.name}: x and y must be equally long lists of at least one number; "
                f"their shapes are {self.xs.shape} and {self.ys.shape}."
            )
        if not np.isfinite(self.xs).all():
            raise ChartError(f"{self.name}: x holds NaN or infinity. Leave those points out; only y may have gaps.")
        if self.mark in ("line", "step", "area") and (np.diff(self.xs) < 0).any():
            raise ChartError(f"{self.name}: x must not decrease under the mark {self.mark!r}. Sort the points by x.")

    @property
    def xs(self) -> Floats:
        """`x` as (n,) float64."""
        return np.asarray(self.x, dtype=np.float64)

    @property
    def ys(self) -> Floats:
        """`y` as (n,) float64."""
        return np.asarray(self.y, dtype=np.float64)

    def __repr__(self) -> str:
        return f"Series({self.name!r}, {self.mark}, n={self.xs.size})"


@dataclass(frozen=True)
class Reference:
    """A labelled line at one value of an axis: a target, a budget, a limit."""

    value: float
    label: str
    axis: Literal["x", "y"] = "y"


@dataclass(frozen=True, eq=False)
class Chart:
    """One set of axes with its series.

    Raises
    ------
    ChartError
        No series, two of one name and mark, area layers on different x, or nothing positive on a log axis.
    FormatError
        A number format of unknown form.
    """

    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    x_log: bool = False
    y_log: bool = False
    references: tuple[Reference, ...] = ()
    x_format: str = "{:,.4g}"
    y_format: str = "{:,.4g}"
    x_names: tuple[str, ...] = ()
    """Names of the positions 0, 1, ... on the x axis, for bars over categories."""

    def __post_init__(self) -> None:
        for field in ("series", "references", "x_names"):
            object.__setattr__(self, field, tuple(getattr(self, field)))
        NumberFormat(self.x_format)
        NumberFormat(self.y_format)
        if not self.series:
            raise ChartError(f"Chart {self.title!r} has no series; give it at least one.")
        marks = [(series.name, series.mark) for series in self.series]
        if len(set(marks)) < len(marks):
            raise ChartError(f"Chart {self.title!r} has two series of one name and mark: {marks}.")
        areas = [series for series in self.series if series.mark == "area"]
        if any(not np.array_equal(series.xs, areas[0].xs) for series in areas[1:]):
            raise ChartError(f"Chart {self.title!r}: stacked areas must share their x.")
        axis_range(self, "x")
        axis_range(self, "y")

    def __repr__(self) -> str:
        return f"Chart({self.title!r}, {', '.join(series.name for series in self.series)})"

    def describe(self) -> str:
        """Say in words what the chart shows, for readers who cannot see it."""
        x_text, y_text = NumberFormat(self.x_format).text, NumberFormat(self.y_format).text
        low, high = axis_range(self, "x")
        span = ", ".join(self.x_names) if self.x_names else f"{x_text(low)} to {x_text(high)}"
        parts = [f"{self.title}. {self.y_label} over {self.x_label} ({span})."]
        for series in self.series:
            parts.append(f"{series.name}: {_extent(series, y_text)}.")
        parts += [f"{line.label}: {(x_text if line.axis == 'x' else y_text)(line.value)}." for line in self.references]
        return " ".join(parts)


def _extent(series: Series, text: object) -> str:
    assert callable(text)
    finite = series.ys[np.isfinite(series.ys)]
    if finite.size == 0:
        return "no values"
    if finite.size == 1:
        return str(text(finite[0]))
    return f"{finite.size:,} values from {text(finite.min())} to {text(finite.max())}, last {text(finite[-1])}"


@dataclass(frozen=True, eq=False)
class Placed:
    """A series with the geometry that depends on its neighbours."""

    series: Series
    base: Floats
    """(n,) lower edge: the layers below an area, 0 for bars, unused for other marks."""
    top: Floats
    """(n,) upper edge, the value itself where nothing is stacked."""
    shift: float = 0.0
    """How far a bar stands from its position, in units of x."""
    width: float = 0.0
    """Width of a bar, in units of x."""


def place(chart: Chart) -> list[Placed]:
    """Stack the areas and set the bars of a chart side by side, in the order of its series."""
    return list(_placed(chart))


def _placed(chart: Chart) -> Iterator[Placed]:
    bars = [series for series in chart.series if series.mark == "bars"]
    width = BAR_GROUP_WIDTH * _bar_spacing(bars) / max(len(bars), 1)
    below: Floats | None = None
    for series in chart.series:
        base, shift = np.zeros_like(series.ys), 0.0
        if series.mark == "area":
            base = base if below is None else below
            below = base + np.nan_to_num(series.ys)
            yield Placed(series, base, below)
        else:
            if series.mark == "bars":
                shift = (bars.index(series) - (len(bars) - 1) / 2) * width
            yield Placed(series, base, series.ys, shift, width if series.mark == "bars" else 0.0)


def _bar_spacing(bars: list[Series]) -> float:
    """Smallest distance between two bar positions; 1 where there is only one."""
    positions = np.unique(np.concatenate([series.xs for series in bars])) if bars else np.zeros(1)
    return float(np.diff(positions).min()) if positions.size > 1 else 1.0


def axis_range(chart: Chart, axis: Literal["x", "y"]) -> Range:
    """Lowest and highest value on an axis, before margins: all marks, references, and 0 under areas and bars.

    Raises
    ------
    ChartError
        Nothing to show: no finite value, or on a log axis no positive one.
    """
    log = chart.x_log if axis == "x" else chart.y_log
    values = np.concatenate([_occupied(placed, axis) for placed in place(chart)])
    values = np.append(values, [line.value for line in chart.references if line.axis == axis])
    values = values[np.isfinite(values) & ((values > 0) if log else True)]
    if values.size == 0:
        raise ChartError(
            f"Chart {chart.title!r}: no {'positive' if log else 'finite'} value for its {axis} axis. "
            f"Check the series{', or leave the axis linear' if log else ''}."
        )
    return float(values.min()), float(values.max())


def _occupied(placed: Placed, axis: Literal["x", "y"]) -> Floats:
    if axis == "x":
        half = placed.width / 2
        edges = placed.series.xs + placed.shift
        return np.concatenate([edges - half, edges + half])
    if placed.series.mark in ("area", "bars"):
        return np.concatenate([placed.base, placed.top])
    return placed.top


def thin(y: Floats, limit: int) -> NDArray[np.intp]:
    """Choose at most `limit` points of a curve so that its drawing stays the same.

    The curve is cut into equally long buckets; each keeps its lowest and highest point, and the curve keeps
    its ends. No peak is lost, unlike with plain subsampling (the M4 idea of Jugel et al., VLDB 2014, with
    two points a bucket).

    Parameters
    ----------
    y
        (n,) values in the order of x; a bucket of nothing but NaN keeps its gap.
    limit
        At least 4.

    Returns
    -------
    (m,) increasing indexes, m <= limit.
    """
    if limit < 4:
        raise ChartError(f"A thinned curve needs at least 4 points, not {limit}.")
    if y.size <= limit:
        return np.arange(y.size)
    length = -(-y.size // (limit // 2 - 1))
    buckets = -(-y.size // length)
    grid = np.pad(y, (0, buckets * length - y.size), constant_values=np.nan).reshape(buckets, length)
    starts = np.arange(buckets) * length
    lowest = starts + np.argmin(np.where(np.isnan(grid), np.inf, grid), axis=1)
    highest = starts + np.argmax(np.where(np.isnan(grid), -np.inf, grid), axis=1)
    return np.unique(np.concatenate([[0], lowest, highest, [y.size - 1]]))
