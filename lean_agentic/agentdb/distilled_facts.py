"""A fact from episodes that say the same: its statement, its vector, its confidence, and whom it stands for.

The statement is extractive: the text of the medoid (the episode nearest to the middle of the cluster), then what the
others add to it. Somebody's own function, a language model for instance, may write it instead. Either way the fact
stands only for those episodes that the statement covers, by words or by vector; the others stay as they are.

    confidence = sum of s_i * a_i over the core episodes / (their number + 1)

with s_i the cosine of the episode to the middle of the cluster (0 at least) and a_i 0 where it contradicts the medoid
(the outcome was good for one and bad for the other, or the one denies in nearly the same words what the other says),
else 1. It is cohesion times agreement, and the 1 is one doubt that more sources outweigh. Episodes that were taken in
because they say little are no evidence: an informative one alone gives .5.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lean_agentic.agentdb.consolidation_policy import ConsolidationPolicy
from lean_agentic.agentdb.embedding import Embedding, PrecomputedEmbedding
from lean_agentic.agentdb.errors import AgentDBError
from lean_agentic.agentdb.records import Episode, Fact, Provenance
from lean_agentic.agentdb.vector_index import Vectors
from lean_agentic.agentdb.word_weights import WordWeights, sentences, words

SOURCE, METHOD = "consolidation", "distilled"
NOVELTY = 0.2
"""Share of a sentence's mass of words that must be new for the sentence to be added."""
MOSTLY_NEW = 0.5
"""From this share on the whole text is added, so that it still reads as it was."""
SAME_WORDS = 0.8
"""Share of both texts' mass in common from which a single negation makes them contradict each other."""
NEGATIONS = frozenset(
    {"not", "no", "never", "none", "nothing", "cannot", "without", "isn", "wasn", "aren", "weren", "don", "doesn"}
    | {"didn", "won", "wouldn", "couldn", "shouldn", "hasn", "haven", "hadn"}
)
Writer = Callable[[Sequence[Episode]], str]
"""Writes the statement of a fact from its episodes, the medoid first."""


class StatementError(AgentDBError):
    """A statement could not be written; its cluster stays in the plan and is tried again by the next run."""


@dataclass(frozen=True)
class Draft:
    """A fact to be stored."""

    fact: Fact
    vector: Vectors | None
    """(d,) unit; None where neither text nor episodes give one."""
    stands_for: tuple[int, ...]
    """The episodes that it newly stands for, the medoid first."""


@dataclass(frozen=True)
class Material:
    """What a fact is made of."""

    core: Sequence[Episode]
    absorbed: Sequence[Episode]
    vectors: Mapping[int, Vectors]
    """(d,) of those that have one, and of the fact."""
    fact: Fact | None = None
    """The fact that is extended."""
    earlier: Sequence[Episode] = ()
    """Its sources."""


def draft_fact(
    material: Material,
    weights: WordWeights,
    policy: ConsolidationPolicy,
    embedding: Embedding | None = None,
    write: Writer | None = None,
) -> Draft | None:
    """The fact that the episodes make, or the given fact extended by them; None where it would stand for too few.

    Raises StatementError where `write` gives no text.
    """
    middle = _middle(material)
    closeness = _closeness(material, middle, weights)
    core = sorted(material.core, key=lambda each: (-closeness[each.id], each.time or 0.0, each.id))
    first = material.fact or core[0]
    agreeing = [each for each in core if not contradicts(first, each, weights)]
    episodes = [*agreeing, *sorted(material.absorbed, key=lambda each: (each.time or 0.0, each.id))]
    statement = _statement(material, episodes, weights, policy, write)
    vector = _vector(statement, middle, embedding)
    covered = [each for each in episodes if _covers(statement, vector, each, material, weights, policy)]
    enough = 1 if material.fact else 2
    if len(covered) < enough or (not material.fact and covered[0] is not core[0]):
        return None
    evidence = _evidence(material, closeness, agreeing)
    empty = policy.empty_below * weights.typical
    resting = [each for each in covered if each in agreeing or weights.information(each.text) >= empty]
    fact = _extended(material.fact or _blank(covered[0]), statement, covered, resting, evidence)
    return Draft(fact, vector, tuple(each.id for each in covered))


def contradicts(one: Episode | Fact, other: Episode, weights: WordWeights) -> bool:
    """Whether two that are close in meaning say the opposite; see the module."""
    if isinstance(one, Episode) and one.reward is not None and other.reward is not None:
        return (one.reward > 0) != (other.reward > 0)
    mine, theirs = words(one.text), words(other.text)
    if bool(mine & NEGATIONS) == bool(theirs & NEGATIONS):
        return False
    mine, theirs = _affirmed(mine), _affirmed(theirs)
    shared = weights.total(mine & theirs)
    return shared >= SAME_WORDS * max(weights.total(mine), weights.total(theirs))


def extract(texts: Sequence[str], weights: WordWeights, most_characters: int) -> str:
    """The first text, and what each further one adds to those before it, a line each, as far as there is room."""
    lines = [texts[0]]
    said = words(texts[0])
    length = len(texts[0])
    for text in texts[1:]:
        addition = _addition(text, said, weights)
        if addition and length + 1 + len(addition) <= most_characters:
            lines.append(addition)
            length += 1 + len(addition)
            said |= words(addition)
    return "\n".join(lines)


def _addition(text: str, said: set[str], weights: WordWeights) -> str:
    if weights.coverage(text, said) <= 1 - MOSTLY_NEW:
        return text
    known = set(said)
    added = []
    for sentence in sentences(text):
        if weights.coverage(sentence, known) < 1 - NOVELTY:
            added.append(sentence)
            known |= words(sentence)
    return " ".join(added)


def _affirmed(some: set[str]) -> set[str]:
    # "isn't" is read as "isn" and "t".
    return some - NEGATIONS - {"t", "is", "was", "are", "were", "do", "does", "did"}


def _middle(material: Material) -> Vectors | None:
    """(d,) the direction of the mean of the core; the fact counts as often as it has core sources."""
    rows = [material.vectors[each.id] for each in material.core if each.id in material.vectors]
    fact = material.fact
    if fact is not None and fact.id in material.vectors:
        rows.append(float(_detail(fact, "core", len(fact.sources))) * material.vectors[fact.id])
    total = np.sum(rows, axis=0, dtype=np.float64) if rows else np.zeros(1)
    length = float(np.linalg.norm(total))
    return np.asarray(total / length, np.float32) if length > 1e-6 else None


def _closeness(material: Material, middle: Vectors | None, weights: WordWeights) -> dict[int, float]:
    """Cosine of each core episode to the middle, 0 to 1; without vectors the share of its words that others hold."""
    close = {}
    for each in material.core:
        if middle is not None and each.id in material.vectors:
            # Rounded, so that the last bit of a sum does not choose the medoid.
            close[each.id] = round(min(1.0, max(0.0, float(material.vectors[each.id] @ middle))), 5)
        else:
            others = [words(other.text) for other in material.core if other is not each]
            close[each.id] = weights.coverage(each.text, set().union(*others)) if others else 1.0
    return close


def _statement(
    material: Material,
    episodes: Sequence[Episode],
    weights: WordWeights,
    policy: ConsolidationPolicy,
    write: Writer | None,
) -> str:
    if write is None:
        before = [material.fact.statement] if material.fact else []
        return extract([*before, *(each.text for each in episodes)], weights, policy.most_characters)
    try:
        statement = write([*material.earlier, *episodes])
    except Exception as error:
        raise StatementError(f"the statement of {len(episodes)} episodes could not be written: {error}") from error
    if not isinstance(statement, str) or not statement.strip():
        raise StatementError(f"the statement of {len(episodes)} episodes must be a text, got {statement!r:.80}")
    return statement.strip()


def _vector(statement: str, middle: Vectors | None, embedding: Embedding | None) -> Vectors | None:
    if embedding is None or isinstance(embedding, PrecomputedEmbedding):
        return middle
    vector: Vectors = embedding.embed([statement])[0]
    return vector


def _covers(
    statement: str,
    vector: Vectors | None,
    episode: Episode,
    material: Material,
    weights: WordWeights,
    policy: ConsolidationPolicy,
) -> bool:
    """Whether the fact is found, by words or by meaning, where the episode would be."""
    if weights.coverage(episode.text, words(statement)) >= policy.coverage:
        return True
    own = material.vectors.get(episode.id)
    return own is not None and vector is not None and float(own @ vector) >= policy.similarity


@dataclass(frozen=True)
class _Evidence:
    supporting: float
    """Sum of the closeness of those that agree."""
    core: int
    contradicted: int

    @property
    def confidence(self) -> float:
        return self.supporting / (self.core + 1)


def _evidence(material: Material, closeness: Mapping[int, float], agreeing: Sequence[Episode]) -> _Evidence:
    supporting = sum(closeness[each.id] for each in agreeing)
    core, contradicted = len(material.core), len(material.core) - len(agreeing)
    if material.fact is not None:
        supporting += float(_detail(material.fact, "supporting", material.fact.confidence))
        core += int(_detail(material.fact, "core", len(material.fact.sources)))
        contradicted += int(_detail(material.fact, "contradicted", 0))
    return _Evidence(round(supporting, 6), core, contradicted)


def _detail(fact: Fact, name: str, otherwise: Any) -> Any:
    return fact.provenance.detail.get(name, otherwise)


def _blank(first: Episode) -> Fact:
    return Fact("", tenant=first.tenant, session=first.session, metadata=first.metadata)


def _extended(
    fact: Fact, statement: str, covered: Sequence[Episode], resting: Sequence[Episode], evidence: _Evidence
) -> Fact:
    """The fact made from further episodes, resting on some; it is as of the latest, and inherits their use."""
    everything: list[Fact | Episode] = [fact, *covered]
    # Not before all of it was known: recall as of an earlier time must not see later news.
    time = max(each.time for each in everything if each.time is not None)
    used = [each.last_access for each in everything if each.last_access is not None]
    made_from = tuple(dict.fromkeys((*fact.provenance.records, *(each.id for each in covered))))
    return replace(
        fact,
        statement=statement,
        confidence=evidence.confidence,
        sources=tuple(dict.fromkeys((*fact.sources, *(each.id for each in resting)))),
        valid_from=time,
        time=time,
        session=fact.session if all(each.session == fact.session for each in covered) else "",
        entities=tuple(dict.fromkeys((*fact.entities, *(name for each in covered for name in each.entities)))),
        metadata={k: v for k, v in fact.metadata.items() if all(each.metadata.get(k, ...) == v for each in covered)},
        provenance=Provenance(SOURCE, METHOD, made_from, {**vars(evidence), "episodes": len(made_from)}),
        access_count=fact.access_count + sum(each.access_count for each in covered),
        last_access=max(used, default=None),
    )
