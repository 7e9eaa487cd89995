"""Which patterns fit a situation: by their conditions, by likeness to the tasks behind them, by their strength."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lean_agentic.agentdb.move_wording import condition_in_words
from lean_agentic.agentdb.pattern_records import conditions_of
from lean_agentic.agentdb.records import Pattern
from lean_agentic.agentdb.trajectory_features import Scalar, flatten

GENERAL = 0.75
"""What a pattern without conditions counts beside one whose conditions are met."""
OPEN = 0.5
"""What a condition counts of which the situation says nothing."""
PRIOR_SUPPORT = 10.0
"""Trajectories at which half of the difference seen is believed."""
NEAREST = 3
"""Tasks behind a pattern whose likeness is averaged."""


@dataclass(frozen=True)
class PatternHit:
    """A pattern that fits, and why."""

    pattern: Pattern
    score: float
    """match x likeness x strength, 0 to 1."""
    match: float
    """How far its conditions are met, 0 to 1."""
    likeness: float
    """(1 + similarity) / 2; 1 where nothing was compared."""
    strength: float
    """How much following it (or not, where it is to be avoided) changed the success rate, shrunk by its support."""
    similarity: float | None
    """Cosine similarity of the situation and the likest tasks behind it; None where there was no text or embedding."""
    met: tuple[str, ...]
    """Conditions that hold, in words."""
    open: tuple[str, ...]
    """Conditions of which the situation says nothing."""

    @property
    def explanation(self) -> str:
        """What it says and what speaks for it."""
        p = self.pattern
        said = [
            f"{p.title}: {p.successes:.4g} of {p.support} that did so succeeded ({p.success_rate:.0%}, 95% interval "
            f"{p.success_low:.0%} to {p.success_high:.0%}), of comparable ones that did not {p.base_rate:.0%}"
        ]
        said += [f"here {' and '.join(self.met)}"] * bool(self.met)
        said += [f"not known whether {' and '.join(self.open)}"] * bool(self.open)
        said += [] if self.similarity is None else [f"similarity to the tasks behind it {self.similarity:.2f}"]
        return "; ".join(said)

    def __repr__(self) -> str:
        return f"<PatternHit {self.score:.2f} {self.pattern.title}>"


def rank(
    patterns: Sequence[Pattern],
    state: Mapping[str, Any],
    similarities: Mapping[int, float],
    k: int,
) -> list[PatternHit]:
    """The k best hits, the best first; patterns whose conditions the state contradicts are no hits.

    Parameters
    ----------
    state
        The situation; nested values are found by dotted paths.
    similarities
        By id of pattern, where known.
    """
    flat = dict(flatten(state))
    hits = [hit for each in patterns if (hit := hit_of(each, flat, similarities.get(each.id))) is not None]
    return sorted(hits, key=lambda hit: (-hit.score, hit.pattern.id, hit.pattern.title))[:k]


def hit_of(pattern: Pattern, flat: Mapping[str, Scalar], similarity: float | None) -> PatternHit | None:
    """The pattern as a hit for a flattened state; None where a condition is known not to hold."""
    answers = [(condition_in_words(condition), condition.holds(flat)) for condition in conditions_of(pattern)]
    if any(holds is False for _, holds in answers):
        return None
    match = float(np.mean([1.0 if holds else OPEN for _, holds in answers])) if answers else GENERAL
    likeness = 1.0 if similarity is None else (1 + similarity) / 2
    strength = strength_of(pattern)
    met = tuple(words for words, holds in answers if holds)
    unknown = tuple(words for words, holds in answers if holds is None)
    return PatternHit(pattern, match * likeness * strength, match, likeness, strength, similarity, met, unknown)


def strength_of(pattern: Pattern) -> float:
    """Difference of the success rates, shrunk where few trajectories support it; 0 to 1."""
    return abs(pattern.success_rate - pattern.base_rate) * pattern.support / (pattern.support + PRIOR_SUPPORT)
