"""Causal links of episodes that become a fact: the fact takes them on, since recall walks only what is in use."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from lean_agentic.agentdb.records import CausalLink, LinkKind
from lean_agentic.agentdb.store import Store

CARRIED = {"carried": "consolidation"}
"""Added to the evidence; the links of the episodes themselves stay."""


def carry_links(store: Store, sources: Collection[int], fact: int) -> int:
    """Copy the links between sources and other records to the fact; how many it has then of theirs.

    Of several to the same record of the same kind the strongest is taken. A link that would run backwards in time,
    because the fact is as late as its latest source, is left with the sources. Estimated effects are not copied: they
    are of actions, not of what was said.
    """
    inside = set(sources)
    found = [*store.links(cause=inside), *store.links(effect=inside)]
    outside = {end for link in found for end in (link.cause, link.effect)} - inside - {fact}
    times = {record.id: record.time or 0.0 for record in store.get([*outside, fact])}
    carried: dict[tuple[int, int, LinkKind], CausalLink] = {}
    for link in sorted(found, key=lambda link: (-link.strength, link.id)):
        moved = _moved(link, inside, fact)
        if link.kind is not LinkKind.EFFECT and _forward(moved, times):
            carried.setdefault((moved.cause, moved.effect, moved.kind), moved)
    store.add_links(list(carried.values()))
    return len(carried)


def _moved(link: CausalLink, inside: Collection[int], fact: int) -> CausalLink:
    cause = fact if link.cause in inside else link.cause
    effect = fact if link.effect in inside else link.effect
    return replace(link, cause=cause, effect=effect, evidence={**link.evidence, **CARRIED}, id=0)


def _forward(link: CausalLink, times: Mapping[int, float]) -> bool:
    """Whether it joins two different records, the cause not after the effect."""
    return link.cause != link.effect and times[link.cause] <= times[link.effect]
