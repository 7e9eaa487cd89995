"""What the memory holds: plain, frozen records.

Ids are positive integers from one space that all kinds of record share: they are never given twice, so a vector index
can use them as labels. Times are Unix seconds. A record that has not been stored yet has the id 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """The kinds of record with an id, a text and, as a rule, a vector."""

    EPISODE = "episode"
    FACT = "fact"
    TRAJECTORY = "trajectory"
    PATTERN = "pattern"


class Verdict(StrEnum):
    """What a judge said of a trajectory."""

    SUCCESS = "success"
    FAILURE = "failure"
    UNKNOWN = "unknown"
    """Nobody has judged it, or the judge abstained."""


@dataclass(frozen=True)
class Provenance:
    """Where a record comes from."""

    source: str
    """Who said it: a program, a person, a data set, `consolidation`, ..."""
    method: str = "given"
    """How: `given`, `distilled`, `merged`, `imported`, ..."""
    records: tuple[int, ...] = ()
    """Ids of the records it was made from."""
    detail: Mapping[str, Any] = field(default_factory=dict)
    """Whatever else helps to find the origin again; JSON values."""


@dataclass(frozen=True)
class Episode:
    """One thing that happened: in a situation something was done, and something came of it."""

    context: str
    action: str = ""
    outcome: str = ""
    reward: float | None = None
    """How good the outcome was, where somebody measured it."""
    entities: tuple[str, ...] = ()
    """Names of what it is about: people, functions, files."""
    time: float | None = None
    """When it happened; the time of storing where not given."""
    tenant: str = "default"
    session: str = ""
    cites: tuple[int, ...] = ()
    """Ids of earlier episodes that it names as its causes."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    provenance: Provenance = Provenance("caller")
    id: int = 0
    access_count: int = 0
    last_access: float | None = None
    archived: bool = False

    @property
    def text(self) -> str:
        """What is embedded and searched: the parts that are not empty, one a line."""
        return "\n".join(part for part in (self.context, self.action, self.outcome) if part)


@dataclass(frozen=True)
class Fact:
    """Something held to be true for a time, with the episodes that say so."""

    statement: str
    confidence: float = 1.0
    """0 to 1."""
    sources: tuple[int, ...] = ()
    """Ids of the episodes it rests on."""
    valid_from: float | None = None
    """None: since ever."""
    valid_to: float | None = None
    """First moment at which it no longer holds; None: still holds."""
    entities: tuple[str, ...] = ()
    time: float | None = None
    """When it was learned; the time of storing where not given."""
    tenant: str = "default"
    session: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    provenance: Provenance = Provenance("caller")
    id: int = 0
    access_count: int = 0
    last_access: float | None = None
    archived: bool = False

    @property
    def text(self) -> str:
        """What is embedded and searched."""
        return self.statement


@dataclass(frozen=True)
class Step:
    """One decision of a trajectory: the situation, what was done, what came of it."""

    state: Mapping[str, Any]
    action: str
    outcome: str = ""
    cost: float = 0.0
    """In the unit of the task type: dollars for routing, milliseconds of compile time for the JIT."""
    latency: float = 0.0
    """Milliseconds."""


@dataclass(frozen=True)
class Trajectory:
    """The steps taken on one task, and how it ended."""

    task_type: str
    """`jit.promotion`, `routing.request`, `airline.change_booking`, ..."""
    steps: tuple[Step, ...]
    task: str = ""
    """The task in words: what similar tasks are found by."""
    verdict: Verdict = Verdict.UNKNOWN
    confidence: float = 1.0
    """Of the verdict, 0 to 1."""
    improvement: float | None = None
    """Measured gain over doing nothing (.3: 30% better), where somebody measured it."""
    group: str = ""
    """Trajectories with the same group are trials of the same task."""
    time: float | None = None
    tenant: str = "default"
    session: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    provenance: Provenance = Provenance("caller")
    id: int = 0
    access_count: int = 0
    last_access: float | None = None
    archived: bool = False

    @property
    def text(self) -> str:
        """What is embedded and searched."""
        return self.task or self.task_type


@dataclass(frozen=True)
class Pattern:
    """What trajectories of a task type taught: do this, or avoid it, under these conditions."""

    task_type: str
    title: str
    content: str
    """The advice in a sentence or two."""
    actions: tuple[str, ...]
    """The actions (in order) it is about."""
    avoid: bool = False
    """True: distilled from failures; its actions are to be avoided."""
    conditions: Mapping[str, Any] = field(default_factory=dict)
    """Features of the situation under which it was seen, by name."""
    support: int = 0
    """Trajectories that follow it."""
    successes: float = 0.0
    """How many of those succeeded; judged ones count with their verdict's probability."""
    success_low: float = 0.0
    success_high: float = 1.0
    """95% interval of the success rate of trajectories that follow it."""
    base_rate: float = 0.0
    """Success rate of those that do not."""
    improvement: float | None = None
    """Mean measured improvement of those that follow it, where measured."""
    trajectories: tuple[int, ...] = ()
    """Ids of the trajectories behind it."""
    retired: bool = False
    """Evidence has turned: kept, and no longer recommended."""
    time: float | None = None
    tenant: str = "default"
    session: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    provenance: Provenance = Provenance("reasoning bank", "distilled")
    id: int = 0
    access_count: int = 0
    last_access: float | None = None
    archived: bool = False

    @property
    def success_rate(self) -> float:
        """Of the trajectories that follow it; 0 without any."""
        return self.successes / self.support if self.support else 0.0

    @property
    def text(self) -> str:
        """What is embedded and searched."""
        return f"{self.title}\n{self.content}"


Record = Episode | Fact | Trajectory | Pattern


class LinkKind(StrEnum):
    """Why two episodes are thought to be cause and effect."""

    GIVEN = "given"
    """The caller said so."""
    CITED = "cited"
    """The effect names the cause."""
    SEQUENCE = "sequence"
    """Next to each other in one session."""
    ENTITY = "entity"
    """Shared entities, close in time."""
    SIMILAR = "similar"
    """Similar contexts, close in time."""
    EFFECT = "effect"
    """An estimated effect of an action on an outcome."""


@dataclass(frozen=True)
class CausalLink:
    """A directed link from an earlier episode to a later one."""

    cause: int
    effect: int
    kind: LinkKind
    strength: float
    """0 to 1: the estimated probability that the link is real."""
    low: float
    high: float
    """95% interval of the strength."""
    evidence: Mapping[str, Any] = field(default_factory=dict)
    """What it rests on: seconds between, shared entities, similarity; JSON values."""
    id: int = 0

    @property
    def inferred(self) -> bool:
        """False for what the caller said."""
        return self.kind is not LinkKind.GIVEN
