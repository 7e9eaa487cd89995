"""Fusion: one score from all that speaks for a record, with the share of each part kept.

Pure functions over arrays. A record's own evidence is how similar it is in meaning (relative to the best and worst
hit) and how well its words match (relative to the best). Records near a match lend it some of theirs: the ones before
and after in its session, and those that causal links join it to. The session lends its best. Entities and dates that
the query names, recency and use are added. Every part is weighted and the parts sum to the score.

The weights come from conversations (LoCoMo, see `workbench.memory_locomo`), as rounded means of what fits each four of
five of them; a score of 1 is what the best match in both meaning and words has by itself.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from lean_agentic.agentdb.vector_index import Ids

Floats = npt.NDArray[np.float64]
MONTH = 30 * 86400.0
LEAST_SPREAD = 0.1
"""Cosine: hits that are closer together than this count as nearly alike."""
USES_HALF = 4.0
"""Uses that give half of the weight of use."""


class Part(StrEnum):
    """What contributes to a score."""

    SIMILARITY = "similarity"
    TEXT = "text"
    NEIGHBOURS = "neighbours"
    SESSION = "session"
    ENTITIES = "entities"
    TIME = "time"
    RECENCY = "recency"
    USE = "use"


PARTS = tuple(Part)


@dataclass(frozen=True)
class Weights:
    """What each part counts; 0 switches it off."""

    similarity: float = 0.27
    text: float = 0.73
    neighbours: float = 1.0
    """Of what neighbours lend; the shares that they lend are in `before`, `after`, `cause` and `effect`."""
    session: float = 0.8
    entities: float = 0.18
    time: float = 0.95
    recency: float = 0.05
    use: float = 0.03
    before: tuple[float, ...] = (0.45, 0.4)
    """Shares that the records before in the session lend, nearest first."""
    after: tuple[float, ...] = (0.25, 0.2)
    """Shares that the records after in the session lend, nearest first."""
    cause: float = 0.45
    """Share that a certain cause lends to its effect; less certain ones lend in proportion."""
    effect: float = 0.25
    """Share that a certain effect lends to its cause."""
    lenders: int = 4
    """How many neighbours lend to one record, the most generous ones."""
    half_life: float = MONTH
    """Seconds after which recency counts half."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not all(np.isfinite(each) and each >= 0 for each in (value if isinstance(value, tuple) else (value,))):
                raise ValueError(f"the weight {field.name} must be finite and not negative, got {value}")
        if not self.half_life > 0:
            raise ValueError(f"half_life must be above 0 seconds, got {self.half_life}")


@dataclass(frozen=True, eq=False)
class Loans:
    """Who is near whom: (m,) arrays, one row for each pair in one direction."""

    borrower: npt.NDArray[np.int64]
    """Place among the candidates."""
    lender: npt.NDArray[np.int64]
    """Place among the candidates."""
    share: Floats
    """Share of the lender's own evidence, 0 to 1."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """All that is known of (n,) candidates, raw."""

    ids: Ids
    similarity: Floats
    """Cosine to the query; NaN for candidates that are not among the most similar."""
    text: Floats
    """BM25; 0 where nothing matches."""
    session: npt.NDArray[np.int64]
    """Candidates of one session share a number; -1 without a session."""
    entities: Floats
    """Weight of the entities named by the query that it is about, 0 to 1."""
    time: Floats
    """Closeness to the dates that the query names, 0 to 1."""
    age: Floats
    """Seconds."""
    uses: Floats
    """How often it was recalled before."""
    loans: Loans


@dataclass(frozen=True, eq=False)
class Ranking:
    """Scores of the candidates and where they come from."""

    order: npt.NDArray[np.int64]
    """(n,) places of the candidates, best first; ties go to the smaller id."""
    scores: Floats
    """(n,), in the order of the candidates."""
    contributions: Floats
    """(n, parts) in the order of PARTS; a row sums to the score."""
    lent: Floats
    """(m,) what each loan adds to its borrower's score; 0 for those that are not among its largest."""


def fuse(evidence: Evidence, weights: Weights) -> Ranking:
    """Score and order the candidates. The same evidence and weights give the same ranking, whatever its order."""
    similarity = weights.similarity * relative_similarity(evidence.similarity)
    text = weights.text * relative_text(evidence.text)
    own = similarity + text
    lent = weights.neighbours * _lent(evidence, own, weights.lenders)
    neighbours = np.bincount(evidence.loans.borrower, lent, len(own))
    contributions = np.stack(
        [
            similarity,
            text,
            neighbours,
            weights.session * session_best(evidence.session, own),
            weights.entities * evidence.entities,
            weights.time * evidence.time,
            weights.recency * recency(evidence.age, weights.half_life),
            weights.use * (1 - 2 ** (-evidence.uses / USES_HALF)),
        ],
        axis=1,
    )
    scores = contributions.sum(axis=1)
    return Ranking(np.lexsort((evidence.ids, -scores)), scores, contributions, lent)


def relative_similarity(cosines: Floats) -> Floats:
    """(n,) 1 for the most similar, 0 for the least similar hit and for NaN, in proportion between."""
    hits = np.isfinite(cosines)
    if not hits.any():
        return np.zeros(len(cosines))
    best, worst = cosines[hits].max(), cosines[hits].min()
    return np.where(hits, 1 - (best - np.where(hits, cosines, best)) / max(best - worst, LEAST_SPREAD), 0.0)


def relative_text(scores: Floats) -> Floats:
    """(n,) BM25 in proportion to the best; 0 where nothing matches."""
    best = scores.max(initial=0.0)
    return scores / best if best > 0 else np.zeros(len(scores))


def session_best(session: npt.NDArray[np.int64], own: Floats) -> Floats:
    """(n,) the best evidence in each candidate's session; its own where it has no session."""
    best = np.full(int(session.max(initial=-1)) + 1, -np.inf)
    inside = session >= 0
    np.maximum.at(best, session[inside], own[inside])
    return np.where(inside, best[session] if len(best) else own, own)


def recency(age: Floats, half_life: float) -> Floats:
    """(n,) 1 now or in the future, halved every half-life (seconds)."""
    return np.asarray(2 ** (-np.maximum(age, 0) / half_life), np.float64)


def _lent(evidence: Evidence, own: Floats, most: int) -> Floats:
    """(m,) the loans, of which only the `most` largest to each borrower count; ties go to the smaller id."""
    loans = evidence.loans
    lent = loans.share * own[loans.lender]
    # By borrower, and for each the largest first.
    order = np.lexsort((evidence.ids[loans.lender], -lent, loans.borrower))
    borrowers = loans.borrower[order]
    place = np.arange(len(order)) - np.searchsorted(borrowers, borrowers)
    counted = np.zeros(len(lent))
    counted[order] = np.where(place < most, lent[order], 0)
    return counted
