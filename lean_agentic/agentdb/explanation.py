"""Why a record was recalled: its evidence, what each part contributed, and a sentence that says so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from lean_agentic.agentdb.candidates import AFTER, BEFORE
from lean_agentic.agentdb.ranking import Part
from lean_agentic.agentdb.recall_html import explanation_html
from lean_agentic.agentdb.recall_trace import RecallTrace
from lean_agentic.agentdb.records import LinkKind

CLOSE = 0.5
"""Cosine from which texts are said to be close in meaning."""
_SURROUNDINGS = frozenset([Part.NEIGHBOURS, Part.SESSION, Part.RECENCY, Part.USE])
_TELLING = 0.1
"""Smallest share of the score that the sentence mentions."""


@dataclass(frozen=True)
class Lender:
    """A record nearby that matches the query, and lends this one some of its evidence."""

    record: int
    relation: str
    """It came `before` or `after` in the session, or the kind of link between them."""
    contribution: float
    """What it adds to the score."""


@dataclass(frozen=True)
class CausalStep:
    """A causal link on the way to the record."""

    cause: int
    effect: int
    kind: LinkKind
    strength: float


@dataclass(frozen=True)
class RecallExplanation:
    """Why a record was recalled at this rank."""

    record: int
    rank: int
    """From 1."""
    score: float
    contributions: Mapping[Part, float]
    """What each part adds; they sum to the score."""
    similarity: float | None
    """Cosine to the query; None where the record or the query has no vector."""
    bm25: float
    """0 where no word matches."""
    words: tuple[str, ...]
    """Words of the query that its text has, in any inflection."""
    entities: tuple[str, ...]
    """Entities named by the query that it is about."""
    dates: tuple[str, ...]
    """Dates named by the query; `contributions` says how close it is to them."""
    lenders: tuple[Lender, ...]
    """Records nearby that match, the most generous ones first."""
    chain: tuple[CausalStep, ...]
    """The strongest causal links that lead to it, from the first cause to the record itself."""
    trace: RecallTrace = field(repr=False, compare=False)
    """What the whole ranking rests on; `trace.replay()` gives it again."""

    @property
    def reason(self) -> str:
        """One readable sentence: what counted, first of itself, then of its surroundings, by how much."""
        parts = sorted(Part, key=lambda part: (part in _SURROUNDINGS, -self.contributions[part]))
        telling = [part for part in parts if self.contributions[part] > _TELLING * self.score > 0]
        said = [_SENTENCES[part](self) for part in telling or [Part.SIMILARITY]]
        sentence = "; ".join(said)
        return f"{sentence[0].upper()}{sentence[1:]}."

    def _repr_html_(self) -> str:
        return explanation_html(self)


def _of_similarity(why: RecallExplanation) -> str:
    if why.similarity is None:
        return "no vector to compare"
    return f"{'close' if why.similarity >= CLOSE else 'related'} in meaning (cosine {why.similarity:.2f})"


def _of_text(why: RecallExplanation) -> str:
    return f"it says {_listed([f'“{word}”' for word in why.words])} (BM25 {why.bm25:.1f})"


def _of_neighbours(why: RecallExplanation) -> str:
    first, *others = why.lenders
    places = {BEFORE: "just before it", AFTER: "just after it"}
    place = places.get(first.relation, f"linked to it ({first.relation})")
    more = f"{len(others)} more nearby match" if others else ""
    return f"record {first.record}, {place}, {f'and {more}' if more else 'matches'}"


def _of_session(why: RecallExplanation) -> str:
    return "its session holds good matches"


def _of_entities(why: RecallExplanation) -> str:
    return f"it is about {_listed(why.entities)}"


def _of_time(why: RecallExplanation) -> str:
    return f"its time fits {_listed(why.dates)}"


def _of_recency(why: RecallExplanation) -> str:
    return "it is recent"


def _of_use(why: RecallExplanation) -> str:
    return "it was recalled before"


_SENTENCES: Mapping[Part, Callable[[RecallExplanation], str]] = {
    Part.SIMILARITY: _of_similarity,
    Part.TEXT: _of_text,
    Part.NEIGHBOURS: _of_neighbours,
    Part.SESSION: _of_session,
    Part.ENTITIES: _of_entities,
    Part.TIME: _of_time,
    Part.RECENCY: _of_recency,
    Part.USE: _of_use,
}


def _listed(words: tuple[str, ...] | list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))
