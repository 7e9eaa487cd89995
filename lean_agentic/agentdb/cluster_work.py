"""The work on one cluster: draft its fact outside of any transaction, store it in one."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace

from lean_agentic.agentdb import consolidation_tables as tables
from lean_agentic.agentdb.carried_links import carry_links
from lean_agentic.agentdb.consolidation_policy import ConsolidationPolicy
from lean_agentic.agentdb.consolidation_tables import Group
from lean_agentic.agentdb.distilled_facts import Draft, Material, Writer, draft_fact
from lean_agentic.agentdb.embedding import Embedding
from lean_agentic.agentdb.errors import AgentDBError
from lean_agentic.agentdb.putting_away import archive_weak
from lean_agentic.agentdb.records import Episode, Fact, Record
from lean_agentic.agentdb.store import Store
from lean_agentic.agentdb.word_weights import WordWeights

TRIES = 5
"""Times that a cluster is drafted because its episodes changed meanwhile."""


class ChangingError(AgentDBError):
    """The episodes of a cluster changed during each attempt to consolidate them."""


@dataclass(frozen=True)
class Outcome:
    """What came of a cluster."""

    fact: bool = False
    """A new one."""
    extended: bool = False
    archived: int = 0


@dataclass(frozen=True)
class ClusterWork:
    """How clusters become facts, for the length of one run."""

    store: Store
    policy: ConsolidationPolicy
    embedding: Embedding | None
    write: Writer | None
    now: float
    weights: dict[str, WordWeights]
    """By tenant; filled as needed."""

    def perform(self, group: Group) -> Outcome:
        """Store the fact of a cluster, archive its weak episodes and tick it off, all or nothing.

        Raises StatementError, and ChangingError where other writers are always faster.
        """
        for _ in range(TRIES):
            members = self._members(group)
            draft = self._draft(group, members)
            with self.store.write() as connection:
                if tables.planned(connection, group.number) != [group]:
                    return Outcome()  # another process was faster, or some were forgotten
                if _steady(self._members(group)) == _steady(members):
                    return self._keep(connection, group, draft)
        raise ChangingError(f"the episodes {group.members[:10]} keep changing: their cluster waits for the next run")

    def draft(self, group: Group) -> Draft | None:
        """What `perform` would store."""
        return self._draft(group, self._members(group))

    def _keep(self, connection: sqlite3.Connection, group: Group, draft: Draft | None) -> Outcome:
        """Part of the caller's transaction."""
        if draft is None:
            tables.finish(connection, group, None, ())
            return Outcome()
        fact_id = draft.fact.id
        if fact_id:
            self.store.update(draft.fact, draft.vector)
        else:
            (fact_id,) = self.store.add([draft.fact], None if draft.vector is None else draft.vector[None])
        carry_links(self.store, draft.stands_for, fact_id)
        tables.finish(connection, group, fact_id, draft.stands_for)
        archived = archive_weak(self.store, self.policy, self.now, draft.stands_for)
        return Outcome(not draft.fact.id, bool(draft.fact.id), archived)

    def _draft(self, group: Group, members: Sequence[Record]) -> Draft | None:
        episodes = [each for each in members if isinstance(each, Episode)]
        core = [each for each in episodes if each.id in group.core]
        if not core:
            return None
        fact = next((each for each in members if isinstance(each, Fact)), None)
        earlier = self.store.get(fact.sources) if fact is not None and self.write is not None else []
        ids = [each.id for each in members]
        with self.store.read():
            known = [each for each, has in zip(ids, self.store.has_vector(ids), strict=True) if has]
            vectors = dict(zip(known, self.store.vectors(known), strict=True))
        material = Material(
            core,
            [each for each in episodes if each.id in group.absorbed],
            vectors,
            fact,
            [each for each in earlier if isinstance(each, Episode)],
        )
        return draft_fact(material, self._weights(core[0].tenant), self.policy, self.embedding, self.write)

    def _members(self, group: Group) -> list[Record]:
        """The episodes of a group that are in use, and its fact if it is."""
        wanted = group.members if group.fact is None else (*group.members, group.fact)
        with self.store.read() as connection:
            return self.store.get(tables.in_use(connection, wanted))

    def _weights(self, tenant: str) -> WordWeights:
        if tenant not in self.weights:
            with self.store.read() as connection:
                self.weights[tenant] = WordWeights(tables.texts(connection, tenant))
        return self.weights[tenant]


def _steady(records: Sequence[Record]) -> list[Record]:
    """Without what every recall changes."""
    return [replace(record, access_count=0, last_access=None) for record in records]
