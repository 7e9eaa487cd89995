"""Which types of events follow which more often than chance would have it, and within what time.

Chance is what remains when each type's events are moved within their stream, all by the same whole number of days (by
any time where a stream is shorter than four): entities keep their popularity, hours of the day their share, and types
their own rhythm; only who follows whom is lost.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lean_agentic.agentdb.event_log import EventLog

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
DAY = 86_400.0
SHUFFLES = 100
WINDOW_SHUFFLES = 20
CANDIDATE_P = 0.1
"""Liberal: what is no candidate cannot be adjusted for either."""
SURE_Z = 4.0
"""Standard deviations by which a range of lags must exceed chance for the window to reach it."""


@dataclass(frozen=True)
class Candidates:
    """Pairs of types, the cause in the row and the effect in the column; all arrays are (k, k)."""

    window: float
    """Seconds within which an effect follows its cause."""
    observed: Ints
    """Pairs of events."""
    expected: Floats
    """Pairs by chance."""
    p_values: Floats
    """Share of shuffles with as many."""

    @property
    def chosen(self) -> Bools:
        """Pairs worth estimating; never a type with itself."""
        chosen = self.p_values <= CANDIDATE_P
        np.fill_diagonal(chosen, False)
        return np.asarray(chosen, bool)


def find_candidates(log: EventLog, window: float, seed: int = 0, shuffles: int = SHUFFLES) -> Candidates:
    """Count pairs within the window, and how many chance would give."""
    rng = np.random.default_rng(seed)
    observed = pair_counts(log, window)
    counts = np.array([pair_counts(shuffled(log, rng), window) for _ in range(shuffles)])
    reached = (counts >= observed).sum(axis=0)
    return Candidates(window, observed, counts.mean(axis=0), (1 + reached) / (1 + shuffles))


def choose_window(log: EventLog, seed: int = 0) -> float:
    """Seconds within which events of one type bring about events of another, read off the log.

    Lags between events of different types, on a scale of factors of the square root of 2, are compared with chance; the
    window ends where the range of lags that surely exceed it does (one doubtful step inside is bridged). Where none
    exceeds it, the window is the median time between events of a stream.
    """
    rng = np.random.default_rng(seed)
    edges = _lag_edges(log)
    observed = _lag_histogram(log, edges)
    chance = np.array([_lag_histogram(shuffled(log, rng), edges) for _ in range(WINDOW_SHUFFLES)])
    expected = chance.mean(axis=0)
    # Rates that rise or fall over weeks bring all events nearer to each other: what long lags have too is no effect.
    far = slice(-(len(expected) // 4), None)
    expected = expected * max(1.0, observed[far].sum() / max(expected[far].sum(), 1.0))
    # Shuffles are too few for a good variance of their own; counts vary at least as Poisson ones do.
    spread = np.sqrt(np.maximum(chance.var(axis=0, ddof=1), expected) + 1)
    z = (observed - expected) / spread
    if z.max() < SURE_Z:
        return float(edges[len(edges) // 2])
    last = int(np.argmax(z))
    while (z[last + 1 : last + 3] >= SURE_Z).any():
        last += 1
    # Twice as far: the longest lags are rare, and to miss them would make effects look weaker.
    return float(edges[min(last + 3, len(edges) - 1)])


def pair_counts(log: EventLog, window: float) -> Ints:
    """(k, k) pairs of events of one stream, the second later by at most the window."""
    first, second = pairs_within(log, window)
    count = len(log.names)
    flat = np.bincount(log.types[first] * count + log.types[second], minlength=count * count)
    return np.asarray(flat.reshape(count, count), np.int64)


def pairs_within(log: EventLog, window: float) -> tuple[Ints, Ints]:
    """Indexes of all pairs of events of one stream, the second later than the first by at most the window."""
    moments = _apart(log, window)
    begin = np.searchsorted(moments, moments, side="right")
    end = np.searchsorted(moments, moments + window, side="right")
    counts = np.maximum(end - begin, 0)
    first = np.repeat(np.arange(len(moments)), counts)
    within = np.arange(len(first)) - np.repeat(np.cumsum(counts) - counts, counts)
    return first, np.repeat(begin, counts) + within


def shuffled(log: EventLog, rng: np.random.Generator) -> EventLog:
    """The log with the events of each type moved around their stream, all of a type in a stream by the same time."""
    spans = log.closes - log.opens
    keys = log.streams * len(log.names) + log.types
    turns = rng.random(len(spans) * len(log.names))[keys]
    span = spans[log.streams]
    days = np.floor(span / DAY)
    move = np.where(days >= 4, np.ceil(turns * (days - 1)) * DAY, turns * span)
    # Whole days around a circle of whole days keep the hour of the day; what is beyond the last whole day stays.
    circle = np.where(days >= 4, days * DAY, np.maximum(span, 1e-9))
    since = log.times - log.opens[log.streams]
    moved = np.where(since < circle, np.mod(since + move, circle), since)
    times = log.opens[log.streams] + moved
    order = np.lexsort((times, log.streams))
    return EventLog(times[order], log.types[order], log.streams, log.names, log.opens, log.closes, log.records[order])


def _apart(log: EventLog, window: float) -> Floats:
    """Times with streams moved so far apart that no window joins two of them."""
    lengths = log.closes - log.opens + 2 * window
    starts = np.concatenate([[0.0], np.cumsum(lengths)[:-1]])
    return np.asarray(log.times - log.opens[log.streams] + starts[log.streams], np.float64)


def _lag_edges(log: EventLog) -> Floats:
    """Lags from the thousandth of pairs nearest to each other up to a tenth of the longest stream."""
    inside = np.diff(log.streams) == 0
    gaps = np.diff(log.times)[inside]
    gaps = gaps[gaps > 0]
    if not len(gaps):
        raise ValueError("no stream has two events at different times: nothing follows anything")
    least, most = float(np.quantile(gaps, 0.001)), float((log.closes - log.opens).max()) / 10
    steps = max(int(np.ceil(2 * np.log2(max(most / least, 2)))), 1)
    return np.asarray(least * 2 ** (np.arange(-1, steps + 1) / 2), np.float64)


def _lag_histogram(log: EventLog, edges: Floats) -> Ints:
    """Pairs of events of different types by lag."""
    total = np.zeros(len(edges) - 1, np.int64)
    # Events are taken a thousand at a time: all pairs at once could be too many to hold.
    moments = _apart(log, float(edges[-1]))
    ends = np.searchsorted(moments, moments + edges[-1], side="right")
    for start in range(0, len(moments), 1000):
        rows = np.arange(start, min(start + 1000, len(moments)))
        counts = ends[rows] - rows - 1
        first = np.repeat(rows, counts)
        second = first + 1 + np.arange(len(first)) - np.repeat(np.cumsum(counts) - counts, counts)
        differ = log.types[first] != log.types[second]
        total += np.histogram((moments[second] - moments[first])[differ], edges)[0]
    return total
