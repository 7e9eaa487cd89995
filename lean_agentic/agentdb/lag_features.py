"""A stream of events cut into stretches of time in which nothing that a rate may depend on changes.

For each stretch: how many events of each type lie how far back, and how busy the stream is at this hour and at this
time. Everything is exact: no time is rounded, no moment is sampled.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lean_agentic.agentdb.event_log import EventLog

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
DAY = 86_400.0
HOURS = 12
"""Parts of the day whose rates may differ."""
LAGS = (0.0, 1 / 48, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)
"""Edges of the ranges of lags, in windows: fine where effects come soon."""


@dataclass(frozen=True)
class Stretches:
    """One stream; r stretches of time."""

    features: Floats
    """(r, k * (lags - 1) + baseline): counts of recent events by type and lag, then the baseline."""
    seconds: Floats
    """(r,) lengths."""
    middles: Floats
    """(r,) Unix seconds."""
    events: Floats
    """(r, k) events at the end of each stretch, by type."""


@dataclass(frozen=True)
class Layout:
    """Which column of the features is what."""

    types: int
    lags: Floats
    """Edges of the ranges of lags, seconds."""
    baseline: int
    """Columns for the hour of the day and the trend."""

    @property
    def columns(self) -> int:
        """Of the features."""
        return self.types * (len(self.lags) - 1) + self.baseline

    def of_type(self, kind: int) -> Ints:
        """Columns that count events of a type."""
        ranges = len(self.lags) - 1
        return np.arange(kind * ranges, (kind + 1) * ranges)

    def of_baseline(self) -> Ints:
        """Columns of the hours and the trend."""
        return np.arange(self.columns - self.baseline, self.columns)


def layout_of(log: EventLog, window: float) -> Layout:
    """The columns for a log; hours are told apart where streams last for days."""
    return Layout(len(log.names), window * np.array(LAGS), 2 + (HOURS if _has_days(log) else 0))


def stretches_of(log: EventLog, stream: int, layout: Layout) -> Stretches:
    """Cut one stream."""
    first, last = np.searchsorted(log.streams, [stream, stream + 1])
    times, types = log.times[first:last], log.types[first:last]
    opens, closes = float(log.opens[stream]), float(log.closes[stream])
    shifted = times[:, None] + layout.lags
    grid = _grid(log, opens, closes)
    cuts = np.unique(np.concatenate([grid, shifted.ravel(), [opens, closes]]))
    cuts = cuts[(cuts >= opens) & (cuts <= closes)]
    rows = len(cuts) - 1
    counted = _recent(shifted, types, cuts, layout)
    seconds, middles = np.diff(cuts), (cuts[1:] + cuts[:-1]) / 2
    # Events at the very beginning end no stretch: nothing is known of what was before them.
    at = np.searchsorted(cuts, times, side="left") - 1
    events = np.zeros((rows, layout.types))
    np.add.at(events, (at[at >= 0], types[at >= 0]), 1.0)
    busy = len(times) / max(closes - opens, 1e-9)
    return Stretches(np.hstack([counted, busy * _baseline(log, middles, layout)]), seconds, middles, events)


def _has_days(log: EventLog) -> bool:
    return bool(np.median(log.closes - log.opens) >= 2 * DAY)


def _grid(log: EventLog, opens: float, closes: float) -> Floats:
    """Where the part of the day changes."""
    if not _has_days(log):
        return np.empty(0)
    step = DAY / HOURS
    return np.arange(np.ceil(opens / step), np.floor(closes / step) + 1) * step


def _recent(shifted: Floats, types: Ints, cuts: Floats, layout: Layout) -> Floats:
    """(r, k * ranges) events in each range of lags before each stretch: each enters a range and leaves it later."""
    ranges = shifted.shape[1] - 1
    width = layout.types * ranges
    columns = (types[:, None] * ranges + np.arange(ranges)).ravel()
    rows = len(cuts) - 1
    enters = np.minimum(np.searchsorted(cuts, shifted[:, :-1].ravel()), rows)
    leaves = np.minimum(np.searchsorted(cuts, shifted[:, 1:].ravel()), rows)
    size = (rows + 1) * width
    change = np.bincount(enters * width + columns, minlength=size) - np.bincount(
        leaves * width + columns, minlength=size
    )
    return np.cumsum(change.reshape(rows + 1, width)[:-1], axis=0, dtype=np.float64)


def _baseline(log: EventLog, middles: Floats, layout: Layout) -> Floats:
    """Trend and hour of the day, to be scaled by how busy the stream is: popular entities have larger rhythms."""
    opens, closes = float(log.opens.min()), float(log.closes.max())
    along = 2 * (middles - opens) / max(closes - opens, 1e-9) - 1
    pieces = [along, along**2]
    if layout.baseline > 2:
        part = np.floor(np.mod(middles, DAY) / (DAY / HOURS)).astype(np.int64)
        pieces += list(np.eye(HOURS)[part].T)
    return np.column_stack(pieces)
