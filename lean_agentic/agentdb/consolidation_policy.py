"""What consolidation may do: which episodes become one fact, which of them are put away, and when."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from enum import StrEnum

from lean_agentic.agentdb.decay import HALF_LIFE


class Scope(StrEnum):
    """Among which episodes similar ones are sought; always of one tenant."""

    TENANT = "tenant"
    """All of the tenant."""
    SESSION = "session"
    """Those of the same session."""


class Removal(StrEnum):
    """What becomes of an episode that a fact stands for, once it is weak."""

    ARCHIVE = "archive"
    """It leaves search and stays in the tables."""
    DELETE = "delete"
    """It is archived, and destroyed when it is weaker still; each fact keeps one of its sources."""


@dataclass(frozen=True)
class ConsolidationPolicy:
    """Settings. The defaults were found on conversations (LoCoMo, see `workbench.memory_consolidation`)."""

    similarity: float = 0.95
    """Cosine from which two episodes say the same: the radius of the clusters."""
    min_points: int = 2
    """Episodes within the radius, itself counted, that make a core point."""
    neighbours: int = 32
    """How many each episode is compared with."""
    scope: Scope = Scope.TENANT
    absorb_below: float = 0.8
    """An episode that tells less than this share of the tenant's median (`WordWeights.information`) says little by
    itself (a greeting, an acknowledgement, a question): it joins an informative one near it in its session. 0 switches
    this off."""
    reach: int = 3
    """How many episodes away in the session that may be."""
    most_absorbed: int = 2
    """Episodes that one may take in so."""
    empty_below: float = 0.25
    """One that tells less than this share of the median is no source of the fact that takes it in: nothing rests on it.
    Its provenance names it all the same."""
    coverage: float = 0.8
    """Share of an episode's mass of words that a statement must hold to stand for it, unless it is as similar to the
    episode as `similarity`."""
    most_characters: int = 2000
    """Of a statement; what does not fit stays an episode of its own."""
    half_life: float = HALF_LIFE
    """Seconds."""
    weak_below: float = 0.5
    """Strength (`decay`) below which an episode that a fact stands for is archived: by default after 30 days unused."""
    removal: Removal = Removal.ARCHIVE
    delete_below: float = 0.05
    """Strength below which archived ones are destroyed under `Removal.DELETE`: by default after 130 days unused."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "scope", Scope(self.scope))
        object.__setattr__(self, "removal", Removal(self.removal))
        if not 0 < self.similarity <= 1 or not 0 < self.coverage <= 1:
            raise ValueError(f"similarity and coverage are above 0, to 1; got {self.similarity} and {self.coverage}")
        if self.min_points < 2 or self.neighbours < 1 or self.reach < 1 or self.most_absorbed < 1:
            raise ValueError(
                "min_points is 2 or more; neighbours, reach and most_absorbed are 1 or more; "
                f"got {self.min_points}, {self.neighbours}, {self.reach} and {self.most_absorbed}"
            )
        if self.most_characters < 1 or not (self.half_life > 0 and math.isfinite(self.half_life)):
            raise ValueError(
                "most_characters and half_life must be positive; "
                f"got {self.most_characters} characters and {self.half_life} seconds"
            )
        if (
            min(self.absorb_below, self.empty_below, self.weak_below, self.delete_below) < 0
            or self.delete_below > self.weak_below
        ):
            raise ValueError(
                "absorb_below, empty_below, weak_below and delete_below are 0 or more, nothing is deleted before it is "
                f"weak; got {self.absorb_below}, {self.empty_below}, {self.weak_below} and {self.delete_below}"
            )

    @property
    def key(self) -> str:
        """Policies with the same key find the same clusters; under another one, episodes are looked at again."""
        deciding = (
            self.similarity, self.min_points, self.neighbours, str(self.scope), self.absorb_below, self.reach,
            self.most_absorbed, self.empty_below, self.coverage, self.most_characters,
        )  # fmt: skip
        return hashlib.blake2b(json.dumps(deciding).encode(), digest_size=8).hexdigest()
