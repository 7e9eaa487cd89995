"""Which episodes of a tenant are to become one fact.

Three ways, in this order. A new episode within the radius of a fact that consolidation made joins it. Episodes that
are close to each other by density make a cluster. An episode that says little by itself (its words weigh little,
`word_weights`) is taken in by the nearest informative one of its session, which gives it its meaning: an
acknowledgement belongs to what it acknowledges, a question to its answer. Only groups with a new episode count, so
that planning again without news plans nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from lean_agentic.agentdb.clustering import NOISE, Progress, density_clusters
from lean_agentic.agentdb.consolidation_policy import ConsolidationPolicy, Scope
from lean_agentic.agentdb.consolidation_tables import Candidate, Group
from lean_agentic.agentdb.vector_index import VectorIndex
from lean_agentic.agentdb.word_weights import WordWeights

NEAREST_FACTS = 8
"""Facts that a new episode is compared with."""
BATCH = 512


def plan_groups(
    episodes: Sequence[Candidate],
    facts: Sequence[tuple[int, str]],
    index: VectorIndex | None,
    weights: WordWeights,
    policy: ConsolidationPolicy,
    progress: Progress | None = None,
) -> list[Group]:
    """The groups of one tenant's episodes, by their lowest ids; the order of the episodes makes no difference.

    Parameters
    ----------
    episodes
        All of the tenant; only the open ones are grouped, the others keep the places in their sessions.
    facts
        (id, session) of the facts that take episodes in.
    index
        With the vectors of the tenant's episodes and facts; None where there are none.
    weights
        Of the words of the tenant's episodes.
    """
    joining = _joining(episodes, facts, index, policy)
    rest = [each for each in episodes if each.is_open and each.id not in joining]
    cluster_of = _clusters(rest, index, policy, progress)
    absorbed = _absorbed(episodes, {each.id for each in rest}, cluster_of, weights, policy)
    groups = [*_by_fact(joining), *_grouped(cluster_of, absorbed)]
    new = {each.id for each in episodes if each.new}
    return sorted((group for group in groups if not new.isdisjoint(group.members)), key=lambda group: group.members)


def _joining(
    episodes: Sequence[Candidate],
    facts: Sequence[tuple[int, str]],
    index: VectorIndex | None,
    policy: ConsolidationPolicy,
) -> dict[int, int]:
    """The fact that each new episode joins: the most similar within the radius, the lower id among equals."""
    if index is None or not facts:
        return {}
    session_of = {fact: session for fact, session in facts if fact in index}
    new = sorted((each for each in episodes if each.new and each.id in index), key=lambda each: each.id)
    allowed = np.array(sorted(session_of), np.int64)
    joining: dict[int, int] = {}
    for start in range(0, len(new) if len(allowed) else 0, BATCH):
        batch = new[start : start + BATCH]
        hits = index.search(index.vectors(np.array([each.id for each in batch])), NEAREST_FACTS, allowed)
        for each, found, cosines in zip(batch, hits.ids, hits.similarities, strict=True):
            near = [
                (-float(cosine), int(fact))
                for fact, cosine in zip(found, cosines, strict=True)
                if cosine >= policy.similarity
                and (policy.scope is Scope.TENANT or session_of[int(fact)] == each.session)
            ]
            if near:
                joining[each.id] = min(near)[1]
    return joining


def _clusters(
    episodes: Sequence[Candidate], index: VectorIndex | None, policy: ConsolidationPolicy, progress: Progress | None
) -> dict[int, int]:
    """The lowest core id of each episode's cluster; its own id where it is in none."""
    cluster_of = {each.id: each.id for each in episodes}
    known = [] if index is None else [each for each in episodes if each.id in index]
    if index is None or len(known) < 2:
        return cluster_of
    sessions = None
    if policy.scope is Scope.SESSION:
        # Without a session an episode belongs with no other.
        sessions = np.unique([each.session or f"\0{each.id}" for each in known], return_inverse=True)[1]
    found = density_clusters(
        index,
        [each.id for each in known],
        similarity=policy.similarity,
        min_points=policy.min_points,
        neighbours=policy.neighbours,
        groups=sessions,
        progress=progress,
    )
    for record_id, label in zip(found.ids.tolist(), found.labels.tolist(), strict=True):
        if label != NOISE:
            cluster_of[record_id] = label
    return cluster_of


def _absorbed(
    episodes: Sequence[Candidate],
    groupable: Collection[int],
    cluster_of: Mapping[int, int],
    weights: WordWeights,
    policy: ConsolidationPolicy,
) -> dict[int, int]:
    """Which cluster takes in each episode that says little and is similar to no other."""
    if not policy.absorb_below:
        return {}
    least = policy.absorb_below * weights.typical
    low = {each.id for each in episodes if weights.information(each.text) < least}
    sizes: dict[int, int] = {}
    for cluster in cluster_of.values():
        sizes[cluster] = sizes.get(cluster, 0) + 1
    absorbable = {each for each in low if each in groupable and sizes[cluster_of[each]] == 1}
    takers = {each for each in groupable if each not in low}
    absorbed: dict[int, int] = {}
    taken: dict[int, int] = {}
    for each, taker in _near_pairs(episodes, absorbable, takers, policy.reach):
        if each not in absorbed and taken.get(taker, 0) < policy.most_absorbed:
            taken[taker] = taken.get(taker, 0) + 1
            absorbed[each] = cluster_of[taker]
    return absorbed


def _near_pairs(
    episodes: Sequence[Candidate], absorbable: Collection[int], takers: Collection[int], reach: int
) -> list[tuple[int, int]]:
    """(episode, taker) of the same session at most `reach` apart: the nearest first, what came before it first."""
    sessions: dict[str, list[Candidate]] = {}
    for each in episodes:
        if each.session:
            sessions.setdefault(each.session, []).append(each)
    pairs = []
    for members in sessions.values():
        ordered = [each.id for each in sorted(members, key=lambda each: (each.time, each.id))]
        for place, low in enumerate(ordered):
            if low in absorbable:
                near = range(max(0, place - reach), min(len(ordered), place + reach + 1))
                pairs += [(abs(at - place), low, at > place, ordered[at]) for at in near if ordered[at] in takers]
    return [(low, taker) for _, low, _, taker in sorted(pairs)]


def _by_fact(joining: Mapping[int, int]) -> list[Group]:
    members: dict[int, list[int]] = {}
    for record_id, fact in sorted(joining.items()):
        members.setdefault(fact, []).append(record_id)
    return [Group(tuple(ids), fact=fact) for fact, ids in members.items()]


def _grouped(cluster_of: Mapping[int, int], absorbed: Mapping[int, int]) -> list[Group]:
    """Groups of two and more."""
    core: dict[int, list[int]] = {}
    around: dict[int, list[int]] = {}
    for record_id in sorted(cluster_of):
        if record_id in absorbed:
            around.setdefault(absorbed[record_id], []).append(record_id)
        else:
            core.setdefault(cluster_of[record_id], []).append(record_id)
    return [
        Group(tuple(ids), tuple(around.get(cluster, ())))
        for cluster, ids in core.items()
        if len(ids) + len(around.get(cluster, ())) > 1
    ]
