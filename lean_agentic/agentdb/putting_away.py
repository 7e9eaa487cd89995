"""Putting episodes away for which a fact stands: archived when they are weak, destroyed when they are weaker still.

Never the last trace of something: only an episode that a fact in use covers is archived, and only one from which
nothing else was made, and which is not the first source of its fact, is destroyed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from lean_agentic.agentdb import consolidation_tables as tables
from lean_agentic.agentdb.consolidation_policy import ConsolidationPolicy, Removal
from lean_agentic.agentdb.consolidation_tables import Standing
from lean_agentic.agentdb.decay import strengths
from lean_agentic.agentdb.distilled_facts import Draft
from lean_agentic.agentdb.records import Episode
from lean_agentic.agentdb.store import Store

AT_ONCE = 500
"""Episodes put away in one transaction, so that other writers get their turn."""


@dataclass(frozen=True)
class Foreseen:
    """What would be put away, by id ascending."""

    archived: tuple[int, ...]
    deleted: tuple[int, ...]


def archive_weak(store: Store, policy: ConsolidationPolicy, now: float, among: Collection[int] | None = None) -> int:
    """Archive the weak episodes for which a fact stands (among some); how many."""
    with store.read() as connection:
        ids = _weak(tables.standing_for(connection, among), policy.weak_below, policy, now)
    archived = 0
    for start in range(0, len(ids), AT_ONCE):
        with store.write() as connection:
            # Used, or bereft of their fact, since they were looked at.
            still = tables.standing_for(connection, ids[start : start + AT_ONCE])
            part = _weak(still, policy.weak_below, policy, now)
            store.archive(part)
            tables.note_put_away(connection, part)
        archived += len(part)
    return archived


def delete_weak(store: Store, policy: ConsolidationPolicy, now: float) -> int:
    """Destroy archived episodes that nothing needs, where the policy says so; how many."""
    deleted = 0
    while policy.removal is Removal.DELETE:
        with store.write() as connection:
            ids = _weak(tables.deletable(connection), policy.delete_below, policy, now)[:AT_ONCE]
            if not ids:
                break
            deleted += store.forget(ids)
    return deleted


def foreseen(store: Store, policy: ConsolidationPolicy, now: float, drafts: Sequence[Draft]) -> Foreseen:
    """What `archive_weak` and `delete_weak` would put away once the drafts are stored."""
    covered = [each for draft in drafts for each in draft.stands_for]
    firsts = {draft.stands_for[0] for draft in drafts if not draft.fact.id}
    with store.read() as connection:
        standing = {each.id: each for each in tables.standing_for(connection)}
        standing |= {each.id: _standing(each) for each in store.get(covered) if isinstance(each, Episode)}
        archived = _weak(standing.values(), policy.weak_below, policy, now)
        deleted = {each.id: each for each in tables.deletable(connection)}
        kept = firsts | tables.first_sources(connection)
        for each in tables.needless(connection, [each for each in archived if each not in kept]):
            deleted[each] = standing[each]
    weaker = _weak(deleted.values(), policy.delete_below, policy, now) if policy.removal is Removal.DELETE else []
    return Foreseen(tuple(archived), tuple(weaker))


def _standing(episode: Episode) -> Standing:
    return Standing(episode.id, episode.time or 0.0, episode.last_access, episode.access_count)


def _weak(episodes: Iterable[Standing], below: float, policy: ConsolidationPolicy, now: float) -> list[int]:
    """The ids of those that are weaker, ascending."""
    rows = sorted(episodes, key=lambda each: each.id)
    found = strengths(
        [each.time for each in rows],
        [float("nan") if each.last_access is None else each.last_access for each in rows],
        [each.access_count for each in rows],
        now,
        policy.half_life,
    )
    return [each.id for each, strength in zip(rows, found.tolist(), strict=True) if strength < below]
