"""Where episodes stand in a picture of their causal graph.

In: episodes and links. Out: a place for each episode. Time goes from left to right, so that every link points that way;
each session has a lane of its own, the busiest in the middle. Nothing is random: the same memory gives the same
picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lean_agentic.agentdb.records import CausalLink, Episode

COLUMN, LANE, STAGGER = 46.0, 84.0, 20.0
"""Pixels from one episode to the next, from lane to lane, and between neighbours in a lane."""


@dataclass(frozen=True)
class Place:
    """An episode's centre, in pixels from the upper left corner."""

    episode: int
    x: float
    y: float


@dataclass(frozen=True)
class Layout:
    """Places of episodes in order of time, with the size of the whole."""

    places: tuple[Place, ...]
    lanes: tuple[tuple[str, float], ...]
    """Session and the height of its middle."""
    width: float
    height: float


def causal_layout(episodes: Sequence[Episode]) -> Layout:
    """Lay episodes out by time and session.

    Parameters
    ----------
    episodes
        Stored ones, in any order.
    """
    ordered = sorted(episodes, key=lambda each: (each.time or 0.0, each.id))
    lanes = _lanes(ordered)
    seen: dict[str, int] = {}
    places = []
    for column, each in enumerate(ordered):
        turn = seen.get(each.session, 0)
        seen[each.session] = turn + 1
        # Neighbours in a lane stand at different heights, so that links along it can be told apart.
        y = lanes[each.session] + ((turn % 3) - 1) * STAGGER
        places.append(Place(each.id, COLUMN * (column + 1), y))
    return Layout(
        tuple(places),
        tuple(sorted(lanes.items(), key=lambda lane: lane[1])),
        COLUMN * (len(ordered) + 1),
        LANE * max(1, len(lanes)),
    )


def _lanes(ordered: Sequence[Episode]) -> dict[str, float]:
    """The middle of each session's lane."""
    counts: dict[str, int] = {}
    for each in ordered:
        counts[each.session] = counts.get(each.session, 0) + 1
    by_size = sorted(counts, key=lambda session: (-counts[session], session))
    middle_out: list[str] = []
    for turn, session in enumerate(by_size):
        middle_out.insert(0 if turn % 2 else len(middle_out), session)
    return {session: LANE * (position + 0.5) for position, session in enumerate(middle_out)}


def chain(links: Sequence[CausalLink], episode: int, min_strength: float = 0.0) -> tuple[set[int], set[int]]:
    """Episodes that lead to one, and those that it leads to, over links that are strong enough."""
    strong = [each for each in links if each.strength >= min_strength]
    return (
        _reach({(each.effect, each.cause) for each in strong}, episode),
        _reach({(each.cause, each.effect) for each in strong}, episode),
    )


def _reach(steps: set[tuple[int, int]], start: int) -> set[int]:
    following: dict[int, list[int]] = {}
    for one, other in steps:
        following.setdefault(one, []).append(other)
    found: set[int] = set()
    ahead = [start]
    while ahead:
        for each in following.get(ahead.pop(), ()):
            if each not in found and each != start:
                found.add(each)
                ahead.append(each)
    return found
