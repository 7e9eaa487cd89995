"""Logs of episodes with a causal graph planted in them, to hold discovery against the truth.

Events of several types happen to several entities at irregular times. An edge from A to B means: each A makes a B
happen to the same entity with a fixed probability, after a random delay. What misleads is planted too: causes that two
types have in common, entities to which everything happens more often, hours of the day at which everything does, and
rates that rise or fall over the log. Pairs without an edge are null.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lean_agentic.agentdb.records import Episode, Provenance

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
DAY = 86_400.0


@dataclass(frozen=True)
class PlantedSettings:
    """How a log is made. Times in seconds, rates per entity and day."""

    types: int = 10
    edges: int = 12
    common_causes: int = 3
    """Of the edges, pairs that leave one type: their ends are correlated without an edge between them."""
    entities: int = 30
    days: float = 30.0
    rate: float = 0.35
    """Median of the spontaneous rates of the types; each is drawn around it by a factor of 2."""
    popularity: float = 0.7
    """Standard deviation of the log of how often anything happens to an entity."""
    rhythm: float = 0.8
    """0: all hours alike; 1: nothing happens at the quietest hour."""
    drift: float = 0.5
    """Rates at the end over rates at the beginning, minus 1."""
    chance: tuple[float, float] = (0.2, 0.5)
    """Range of the probabilities of edges."""
    delay: tuple[float, float] = (300.0, 3600.0)
    """Range of the median delays of edges; a single delay varies around it by a factor of 2."""
    repeats: float = 0.0
    """Probability that an event happens again, after a delay like that of an edge: no cause but itself."""

    def __post_init__(self) -> None:
        room = self.types * (self.types - 1) // 2 - self.common_causes
        if not 2 * self.common_causes <= self.edges <= room or 6 * self.common_causes > room:
            raise ValueError(
                f"{self.edges} edges with {self.common_causes} common causes do not fit {self.types} types: "
                f"at most {room} edges, two for each common cause, and at most {room // 6} of those"
            )


@dataclass(frozen=True)
class PlantedLog:
    """Events in order of time, and the truth behind them."""

    times: Floats
    """(n,) seconds from the beginning."""
    types: Ints
    """(n,)"""
    entities: Ints
    """(n,)"""
    parents: Ints
    """(n,) index of the event that caused it; -1 where it happened by itself."""
    edges: Mapping[tuple[int, int], float]
    """Probability that an event of the first type causes one of the second."""
    settings: PlantedSettings

    def __len__(self) -> int:
        return len(self.times)

    def effect(self, cause: int, effect: int) -> float:
        """Expected events of a type that one of another type brings about directly, their repeats included."""
        return self.edges.get((cause, effect), 0.0) / (1 - self.settings.repeats)

    def episodes(self) -> list[Episode]:
        """The events as episodes; nothing in them tells what caused what."""
        provenance = Provenance("planted causal graph", "generated")
        return [
            Episode(
                context=f"about {entity_name(entity)}",
                action=type_name(kind),
                entities=(entity_name(entity),),
                time=float(time),
                provenance=provenance,
            )
            for time, kind, entity in zip(self.times, self.types, self.entities, strict=True)
        ]


def type_name(kind: int) -> str:
    """How a type is called in episodes."""
    return f"event {kind}"


def entity_name(entity: int) -> str:
    """How an entity is called in episodes."""
    return f"entity {entity}"


def plant(settings: PlantedSettings, seed: int) -> PlantedLog:
    """Make a log."""
    rng = np.random.default_rng(seed)
    edges = {pair: float(rng.uniform(*settings.chance)) for pair in _graph(settings, rng)}
    chances = edges | {(kind, kind): settings.repeats for kind in range(settings.types) if settings.repeats > 0}
    delays = {pair: float(np.exp(rng.uniform(*np.log(settings.delay)))) for pair in chances}
    times, types, entities = _spontaneous(settings, rng)
    generations = [(times, types, entities, np.full(len(times), -1, np.int64))]
    first = 0
    # The graph has no cycle and repeats are no certainty, so that every chain of causes ends.
    while len(generations[-1][0]):
        generations.append(_caused(generations[-1], first, chances, delays, settings, rng))
        first += len(generations[-2][0])
    return _in_order(generations, edges, settings)


def _graph(settings: PlantedSettings, rng: np.random.Generator) -> list[tuple[int, int]]:
    """A random acyclic graph: edges run from earlier to later types of a random order."""
    order = rng.permutation(settings.types)
    chosen: set[tuple[int, int]] = set()
    apart: set[tuple[int, int]] = set()
    while len(chosen) < 2 * settings.common_causes:
        cause, first, second = np.sort(rng.choice(settings.types, 3, replace=False))
        fork = {(int(cause), int(first)), (int(cause), int(second))}
        if (first, second) in chosen or fork & (chosen | apart):
            continue
        chosen |= fork
        apart.add((int(first), int(second)))
    possible = [(i, j) for i in range(settings.types) for j in range(i + 1, settings.types)]
    rest = [pair for pair in possible if pair not in chosen | apart]
    more = rng.permutation(len(rest))[: settings.edges - len(chosen)]
    chosen |= {rest[index] for index in more}
    return [(int(order[i]), int(order[j])) for i, j in sorted(chosen)]


def _spontaneous(settings: PlantedSettings, rng: np.random.Generator) -> tuple[Floats, Ints, Ints]:
    """Events that nothing causes: Poisson processes whose rate follows type, entity, hour and drift."""
    by_type = settings.rate * 2 ** rng.uniform(-1, 1, settings.types)
    by_entity = np.exp(settings.popularity * rng.normal(size=settings.entities) - settings.popularity**2 / 2)
    quiet = rng.uniform(0, DAY)
    most = (1 + settings.rhythm) * (1 + max(settings.drift, 0))
    counts = rng.poisson(np.outer(by_type, by_entity) * settings.days * most)
    types, entities = (np.repeat(index.ravel(), counts.ravel()) for index in np.indices(counts.shape))
    times = rng.uniform(0, settings.days * DAY, len(types))
    rate = (1 - settings.rhythm * np.cos(2 * np.pi * (times - quiet) / DAY)) * (
        1 + settings.drift * times / (settings.days * DAY)
    )
    kept = rng.random(len(times)) < rate / most
    return times[kept], types[kept].astype(np.int64), entities[kept].astype(np.int64)


def _caused(
    generation: tuple[Floats, Ints, Ints, Ints],
    first: int,
    edges: Mapping[tuple[int, int], float],
    delays: Mapping[tuple[int, int], float],
    settings: PlantedSettings,
    rng: np.random.Generator,
) -> tuple[Floats, Ints, Ints, Ints]:
    """What the events of one generation, numbered from `first`, cause."""
    times, types, entities, _ = generation
    found: list[tuple[Floats, Ints, Ints, Ints]] = []
    for (cause, effect), chance in edges.items():
        acting = np.flatnonzero((types == cause) & (rng.random(len(types)) < chance))
        moments = times[acting] + delays[cause, effect] * 2 ** rng.normal(0, 0.5, len(acting))
        acting, moments = acting[moments < settings.days * DAY], moments[moments < settings.days * DAY]
        found.append((moments, np.full(len(acting), effect, np.int64), entities[acting], first + acting))
    return tuple(np.concatenate(part) for part in zip(*found, strict=True))  # type: ignore[return-value]


def _in_order(
    generations: list[tuple[Floats, Ints, Ints, Ints]],
    edges: Mapping[tuple[int, int], float],
    settings: PlantedSettings,
) -> PlantedLog:
    times, types, entities, parents = (np.concatenate(part) for part in zip(*generations, strict=True))
    order = np.argsort(times, kind="stable")
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    moved = np.where(parents >= 0, place[np.maximum(parents, 0)], -1)
    return PlantedLog(times[order], types[order], entities[order], moved[order], edges, settings)
