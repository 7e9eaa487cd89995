"""What happened when to whom, as arrays: the form in which causes among types of events are looked for.

A stream is what a cause and its effect share: an entity, a session, or everything of a tenant. An event that is about
several entities is part of the stream of each.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from lean_agentic.agentdb.records import Episode

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Stream(StrEnum):
    """What joins a cause to its effect."""

    ENTITY = "entity"
    """They are about the same entity."""
    SESSION = "session"
    """They happened in the same session."""
    ALL = "all"
    """They happened in the same memory."""


@dataclass(frozen=True)
class EventLog:
    """Events ordered by stream, and by time within streams."""

    times: Floats
    """(n,) seconds."""
    types: Ints
    """(n,) index into `names`."""
    streams: Ints
    """(n,) numbers from 0, ascending."""
    names: tuple[str, ...]
    """Of the types."""
    opens: Floats
    """(s,) when watching each stream began: nothing is known of earlier events."""
    closes: Floats
    """(s,) when it ended."""
    records: Ints
    """(n,) ids of the episodes; zeros where there are none."""

    def __len__(self) -> int:
        return len(self.times)

    def __repr__(self) -> str:
        return f"EventLog({len(self)} events of {len(self.names)} types in {len(self.opens)} streams)"


def make_log(
    times: Floats,
    types: Sequence[str],
    streams: Sequence[Hashable],
    records: Iterable[int] | None = None,
    watched: tuple[float, float] | None = None,
) -> EventLog:
    """Order events into a log.

    Parameters
    ----------
    times, types, streams, records : (n,)
    watched
        From when to when all streams were watched; None: each from its first event to its last.
    """
    names = tuple(sorted(set(types)))
    places = {name: index for index, name in enumerate(names)}
    kind = np.array([places[name] for name in types], np.int64)
    numbered = {stream: index for index, stream in enumerate(dict.fromkeys(streams))}
    stream = np.array([numbered[each] for each in streams], np.int64)
    ids = np.zeros(len(kind), np.int64) if records is None else np.fromiter(records, np.int64, len(kind))
    order = np.lexsort((times, stream))
    times, stream = times[order], stream[order]
    first = np.searchsorted(stream, np.arange(len(numbered)))
    last = np.append(first[1:], len(times)) - 1
    opens, closes = (
        (times[first], times[last]) if watched is None else np.full((2, len(numbered)), [[t] for t in watched])
    )
    return EventLog(times, kind[order], stream, names, opens, closes, ids[order])


def log_of_episodes(
    episodes: Sequence[Episode],
    stream: Stream | None = None,
    type_of: Callable[[Episode], str] = lambda episode: episode.action,
) -> EventLog:
    """The log of episodes that have a time and a type.

    Parameters
    ----------
    stream
        None takes entities where most episodes name some, else sessions where most have one, else everything.
    type_of
        Name of an episode's type; the empty string leaves it out.

    Raises
    ------
    ValueError
        No episode has a time and a type.
    """
    used = [each for each in episodes if each.time is not None and type_of(each)]
    if not used:
        raise ValueError("no episode has both a time and a type (its action): there are no events to look at")
    joined = stream or usual_stream(used)
    rows = [(each, key) for each in used for key in _keys(each, joined)]
    if not rows:
        raise ValueError(f"no episode belongs to a stream by {joined}: choose another stream")
    times = [each.time for each in used if each.time is not None]
    return make_log(
        np.array([each.time for each, _ in rows], np.float64),
        [type_of(each) for each, _ in rows],
        [key for _, key in rows],
        [each.id for each, _ in rows],
        # A session is over after its last event; entities go on existing.
        None if joined is Stream.SESSION else (min(times), max(times)),
    )


def usual_stream(episodes: Sequence[Episode]) -> Stream:
    """Entities where most episodes name some, else sessions where most have one, else everything."""
    if sum(bool(each.entities) for each in episodes) > len(episodes) / 2:
        return Stream.ENTITY
    return Stream.SESSION if sum(bool(each.session) for each in episodes) > len(episodes) / 2 else Stream.ALL


def _keys(episode: Episode, stream: Stream) -> list[Hashable]:
    if stream is Stream.ENTITY:
        return [(episode.tenant, name) for name in dict.fromkeys(name.casefold() for name in episode.entities)]
    if stream is Stream.SESSION:
        return [(episode.tenant, episode.session)] if episode.session else []
    return [episode.tenant]
