"""Which types of events cause which, from a log of episodes.

First the pairs of types that follow each other more often than chance (`lag_candidates`), then what each cause adds to
its effect when the other candidate causes, the entity, the hour and the trend are held fixed (`excitation`), then
control of false discoveries among all pairs that could have been found. Only causes that make their effect more
frequent are looked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lean_agentic.agentdb.event_log import EventLog, Stream, log_of_episodes
from lean_agentic.agentdb.excitation import Excitation, excitations
from lean_agentic.agentdb.false_discovery import Procedure, adjusted_p_values
from lean_agentic.agentdb.lag_candidates import Candidates, choose_window, find_candidates, pairs_within
from lean_agentic.agentdb.records import Episode

LEAST_EVENTS = 10
"""Types with fewer events are left out: nothing can be said of them."""
EXAMPLES = 5


@dataclass(frozen=True)
class EventLink:
    """One type of event causing another."""

    cause: str
    effect: str
    strength: float
    """Expected further events of the effect's type for each event of the cause's type, within the window."""
    low: float
    high: float
    p_value: float
    """One-sided, of no effect."""
    q_value: float
    """Smallest false discovery rate at which the link counts."""
    discovered: bool
    evidence: dict[str, Any]
    """JSON values: counts of events and pairs, pairs by chance, what was held fixed, ids of example pairs."""

    def __repr__(self) -> str:
        sign = "" if self.discovered else ", not sure"
        return (
            f"EventLink({self.cause!r} -> {self.effect!r}: {self.strength:.2f} [{self.low:.2f}, {self.high:.2f}]{sign})"
        )


@dataclass(frozen=True)
class Discovery:
    """What causes what, the surest links first."""

    tested: tuple[EventLink, ...]
    """All candidate links, discovered or not."""
    types: tuple[str, ...]
    window: float
    """Seconds within which effects follow their causes."""
    rate: float
    left_out: tuple[str, ...]
    """Types with too few events."""

    @property
    def links(self) -> tuple[EventLink, ...]:
        """The discovered ones."""
        return tuple(link for link in self.tested if link.discovered)

    def frame(self) -> pd.DataFrame:
        """One row a tested link."""
        columns = ["cause", "effect", "strength", "low", "high", "p_value", "q_value", "discovered"]
        rows = [[getattr(link, name) for name in columns] for link in self.tested]
        return pd.DataFrame(rows, columns=columns)

    def to_networkx(self) -> Any:
        """The discovered links as a `networkx.DiGraph` of types; edges carry strength, low, high and evidence."""
        import networkx as nx  # type: ignore[import-untyped]

        graph = nx.DiGraph()
        graph.add_nodes_from(self.types)
        for link in self.links:
            graph.add_edge(
                link.cause, link.effect, strength=link.strength, low=link.low, high=link.high, evidence=link.evidence
            )
        return graph

    def __repr__(self) -> str:
        return f"Discovery({len(self.links)} links among {len(self.types)} types, window {self.window:.0f} s)"

    def _repr_html_(self) -> str:
        return self.frame()._repr_html_()  # type: ignore[operator, no-any-return]


def discover(
    episodes: Sequence[Episode] | EventLog,
    *,
    stream: Stream | None = None,
    window: float | None = None,
    rate: float = 0.05,
    procedure: Procedure = Procedure.BENJAMINI_HOCHBERG,
    level: float = 0.95,
    seed: int = 0,
) -> Discovery:
    """Find causes among types of events.

    Parameters
    ----------
    episodes
        Their type is their action; those without a time or an action are left out.
    stream
        What a cause and its effect share; None takes entities, sessions or nothing, by what most episodes have.
    window
        Seconds within which effects follow their causes; None reads it off the log.
    rate
        At most this share of the discovered links is false on average.
    level
        Of the intervals.
    seed
        Of the shuffles that tell what chance would give.

    Raises
    ------
    ValueError
        There are fewer than two types with ten events each, or nothing ever follows anything.
    """
    whole = episodes if isinstance(episodes, EventLog) else log_of_episodes(episodes, stream)
    log, left_out = _frequent(whole)
    seconds = window or choose_window(log, seed)
    candidates = find_candidates(log, seconds, seed)
    causes = [np.flatnonzero(candidates.chosen[:, effect]).tolist() for effect in range(len(log.names))]
    found = excitations(log, seconds, causes, level=level)
    # All pairs were looked at, so all of them count as tests.
    q_values = adjusted_p_values([each.p_value for each in found], procedure, len(log.names) * (len(log.names) - 1))
    judged = [
        _link(log, candidates, each, causes[each.effect], float(q), rate)
        for each, q in zip(found, q_values, strict=True)
    ]
    judged.sort(key=lambda link: (link.q_value, link.p_value, -link.strength, link.cause, link.effect))
    return Discovery(tuple(judged), log.names, seconds, rate, left_out)


def _frequent(log: EventLog) -> tuple[EventLog, tuple[str, ...]]:
    """The log without rare types, and their names."""
    counts = np.bincount(log.types, minlength=len(log.names))
    kept = np.flatnonzero(counts >= LEAST_EVENTS)
    if len(kept) < 2:
        raise ValueError(
            f"{len(kept)} types have {LEAST_EVENTS} events or more, at least two are needed to look for causes"
        )
    place = np.full(len(log.names), -1)
    place[kept] = np.arange(len(kept))
    rows = place[log.types] >= 0
    _, streams = np.unique(log.streams[rows], return_inverse=True)
    used = np.unique(log.streams[rows])
    frequent = EventLog(
        log.times[rows],
        place[log.types[rows]],
        streams,
        tuple(log.names[index] for index in kept),
        log.opens[used],
        log.closes[used],
        log.records[rows],
    )
    return frequent, tuple(name for name, count in zip(log.names, counts, strict=True) if count < LEAST_EVENTS)


def _link(
    log: EventLog, candidates: Candidates, found: Excitation, causes: Sequence[int], q_value: float, rate: float
) -> EventLink:
    pair = found.cause, found.effect
    evidence: dict[str, Any] = {
        "causes seen": int(np.sum(log.types == found.cause)),
        "effects seen": int(np.sum(log.types == found.effect)),
        "pairs within the window": int(candidates.observed[pair]),
        "pairs by chance": round(float(candidates.expected[pair]), 1),
        "window in seconds": round(candidates.window, 3),
        "held fixed": [log.names[other] for other in causes if other != found.cause],
        "effects repeat themselves": found.repeats,
        "standard error": found.standard_error,
        "examples": _examples(log, candidates.window, *pair),
    }
    return EventLink(
        log.names[found.cause],
        log.names[found.effect],
        found.value,
        found.low,
        found.high,
        found.p_value,
        q_value,
        bool(q_value <= rate and found.value > 0),
        evidence,
    )


def _examples(log: EventLog, window: float, cause: int, effect: int) -> list[list[int]]:
    """Ids of some pairs of episodes, cause before effect; empty where the log knows no ids."""
    relevant = np.flatnonzero((log.types == cause) | (log.types == effect))
    part = EventLog(
        log.times[relevant],
        log.types[relevant],
        log.streams[relevant],
        log.names,
        log.opens,
        log.closes,
        log.records[relevant],
    )
    first, second = pairs_within(part, window)
    wanted = (part.types[first] == cause) & (part.types[second] == effect) & (part.records[first] > 0)
    pairs = np.column_stack([part.records[first[wanted]], part.records[second[wanted]]])
    return [[int(one), int(other)] for one, other in pairs[:EXAMPLES]]
