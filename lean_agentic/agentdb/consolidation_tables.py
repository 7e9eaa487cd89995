"""What consolidation keeps in the store: which episodes it has looked at, and the clusters still to be worked on.

`consolidated` holds a row for each episode that was looked at: under which policy, as which text, which fact stands
for it, and whether consolidation put it away. `consolidation_plan` holds the clusters of a run until each is done, so
that an interrupted run is continued with the same clusters. Forgetting an episode reaches both.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from lean_agentic.agentdb.filters import id_list
from lean_agentic.agentdb.records import Kind
from lean_agentic.agentdb.rows import Role
from lean_agentic.agentdb.store import Store

_TABLES = (
    """CREATE TABLE IF NOT EXISTS consolidated (
        record_id INTEGER PRIMARY KEY REFERENCES records ON DELETE CASCADE,
        policy TEXT NOT NULL,
        content_hash BLOB NOT NULL,
        fact_id INTEGER REFERENCES records ON DELETE SET NULL,
        put_away INTEGER NOT NULL DEFAULT 0)""",
    "CREATE INDEX IF NOT EXISTS consolidated_fact ON consolidated (fact_id)",
    """CREATE TABLE IF NOT EXISTS consolidation_plan (
        record_id INTEGER PRIMARY KEY REFERENCES records ON DELETE CASCADE,
        cluster INTEGER NOT NULL,
        absorbed INTEGER NOT NULL,
        fact_id INTEGER REFERENCES records ON DELETE SET NULL)""",
    "CREATE INDEX IF NOT EXISTS consolidation_plan_cluster ON consolidation_plan (cluster)",
    "CREATE INDEX IF NOT EXISTS consolidation_plan_fact ON consolidation_plan (fact_id)",
)


@dataclass(frozen=True)
class Group:
    """Episodes that are to become one fact."""

    core: tuple[int, ...]
    """Ids of those that say the same, ascending."""
    absorbed: tuple[int, ...] = ()
    """Ids of those around them that say little, ascending."""
    fact: int | None = None
    """The fact that takes them in, where there is one already."""
    number: int = 0
    """In the plan; 0 while it is not stored."""

    @property
    def members(self) -> tuple[int, ...]:
        """All ids."""
        return self.core + self.absorbed


@dataclass(frozen=True)
class Candidate:
    """An episode as planning sees it."""

    id: int
    session: str
    time: float
    text: str
    is_open: bool
    """In use, and no fact stands for it yet."""
    new: bool
    """Open, and not looked at under this policy."""


@dataclass(frozen=True)
class Standing:
    """An episode for which a fact in use stands, and what its strength depends on."""

    id: int
    time: float
    last_access: float | None
    access_count: int


def make_tables(store: Store) -> None:
    """Make the tables where they are missing."""
    with store.read() as connection:
        names = "('consolidated', 'consolidation_plan')"
        found = connection.execute(f"SELECT count(*) FROM sqlite_master WHERE name IN {names}").fetchone()[0]
    if found < 2:
        with store.write() as connection:
            for statement in _TABLES:
                connection.execute(statement)


def tenants_with_new(connection: sqlite3.Connection, policy: str) -> list[str]:
    """Tenants with episodes that were not looked at under a policy."""
    rows = connection.execute(
        f"SELECT DISTINCT records.tenant FROM {_JOINED} WHERE {_OPEN} AND {_NEW} ORDER BY 1", (policy,)
    )
    return [tenant for (tenant,) in rows]


def candidates(connection: sqlite3.Connection, tenant: str, policy: str) -> list[Candidate]:
    """All episodes of a tenant, the archived ones too, by id."""
    rows = connection.execute(
        f"SELECT records.id, records.session, records.time, records.text, {_OPEN}, ({_OPEN}) AND ({_NEW}) "
        f"FROM {_JOINED} WHERE records.tenant = ? ORDER BY records.id",
        (policy, tenant),
    )
    return [
        Candidate(record_id, session, time, text, bool(is_open), bool(new))
        for record_id, session, time, text, is_open, new in rows
    ]


def open_ids(connection: sqlite3.Connection, tenant: str) -> set[int]:
    """The episodes of a tenant that are in use, in no plan, and that no fact stands for."""
    rows = connection.execute(f"SELECT records.id FROM {_JOINED} WHERE records.tenant = ? AND {_OPEN}", (tenant,))
    return {record_id for (record_id,) in rows}


def texts(connection: sqlite3.Connection, tenant: str) -> list[str]:
    """The texts of all episodes of a tenant, the archived ones too."""
    rows = connection.execute("SELECT text FROM records WHERE tenant = ? AND kind = ?", (tenant, Kind.EPISODE))
    return [text for (text,) in rows]


def in_use(connection: sqlite3.Connection, ids: Collection[int]) -> list[int]:
    """Those of the ids whose records are in use, ascending."""
    rows = connection.execute(
        "SELECT id FROM records WHERE archived = 0 AND id IN (SELECT value FROM json_each(?)) ORDER BY id",
        (id_list(ids),),
    )
    return [record_id for (record_id,) in rows]


def distilled_facts(connection: sqlite3.Connection, tenant: str) -> list[tuple[int, str]]:
    """(id, session) of the tenant's facts that consolidation made, are in use and still hold, by id."""
    return connection.execute(
        "SELECT id, session FROM records WHERE tenant = ? AND archived = 0 AND kind = ? "
        "AND valid_to IS NULL AND id IN (SELECT fact_id FROM consolidated) ORDER BY id",
        (tenant, Kind.FACT),
    ).fetchall()


def store_plan(connection: sqlite3.Connection, policy: str, looked_at: Collection[int], groups: Iterable[Group]) -> int:
    """Note that episodes were looked at, and the clusters to be worked on; how many clusters."""
    connection.execute(
        "INSERT INTO consolidated (record_id, policy, content_hash) SELECT id, ?, content_hash FROM records "
        "WHERE id IN (SELECT value FROM json_each(?)) ON CONFLICT (record_id) DO UPDATE SET "
        "policy = excluded.policy, content_hash = excluded.content_hash, fact_id = NULL, put_away = 0",
        (policy, id_list(looked_at)),
    )
    number = int(connection.execute("SELECT coalesce(max(cluster), 0) FROM consolidation_plan").fetchone()[0])
    first = number
    for group in groups:
        number += 1
        connection.executemany(
            "INSERT OR REPLACE INTO consolidation_plan (record_id, cluster, absorbed, fact_id) VALUES (?, ?, ?, ?)",
            [(each, number, int(each in group.absorbed), group.fact) for each in group.members],
        )
    return number - first


def planned(connection: sqlite3.Connection, number: int | None = None) -> list[Group]:
    """The clusters still to be worked on (or the one of that number), in the order of the plan."""
    which, parameters = ("1", ()) if number is None else ("cluster = ?", (number,))
    rows = connection.execute(
        f"SELECT cluster, record_id, absorbed, fact_id FROM consolidation_plan WHERE {which} "
        "ORDER BY cluster, record_id",
        parameters,
    ).fetchall()
    by_number: dict[int, list[tuple[int, bool, int | None]]] = {}
    for cluster, record_id, absorbed, fact in rows:
        by_number.setdefault(cluster, []).append((record_id, bool(absorbed), fact))
    return [
        Group(
            tuple(record_id for record_id, absorbed, _ in members if not absorbed),
            tuple(record_id for record_id, absorbed, _ in members if absorbed),
            members[0][2],
            cluster,
        )
        for cluster, members in by_number.items()
    ]


def finish(connection: sqlite3.Connection, group: Group, fact: int | None, sources: Sequence[int]) -> None:
    """A cluster is done: the fact, if it made one, stands for these episodes."""
    connection.execute("DELETE FROM consolidation_plan WHERE cluster = ?", (group.number,))
    connection.execute(
        "UPDATE consolidated SET fact_id = ? WHERE record_id IN (SELECT value FROM json_each(?))",
        (fact, id_list(sources)),
    )


def standing_for(connection: sqlite3.Connection, among: Collection[int] | None = None) -> list[Standing]:
    """Episodes in use (among some) for which a fact in use stands, by id."""
    some = "" if among is None else " AND records.id IN (SELECT value FROM json_each(?))"
    parameters = () if among is None else (id_list(among),)
    rows = connection.execute(f"{_STANDING} AND records.archived = 0{some} ORDER BY records.id", parameters)
    return [Standing(*row) for row in rows]


def deletable(connection: sqlite3.Connection) -> list[Standing]:
    """Episodes that consolidation put away and that nothing needs: the first source of each fact stays; by id."""
    rows = connection.execute(
        f"{_STANDING} AND consolidated.put_away AND records.archived AND {_NEEDLESS} ORDER BY records.id",
        (*_NEEDLESS_ROLES, Role.SOURCES),
    )
    return [Standing(*row) for row in rows]


def needless(connection: sqlite3.Connection, ids: Collection[int]) -> list[int]:
    """Those of the ids from which nothing was made but what consolidation made; ascending."""
    rows = connection.execute(
        "SELECT records.id FROM records LEFT JOIN consolidated ON record_id = records.id "
        f"WHERE records.id IN (SELECT value FROM json_each(?)) AND {_UNUSED} ORDER BY 1",
        (id_list(ids), *_NEEDLESS_ROLES),
    )
    return [record_id for (record_id,) in rows]


def first_sources(connection: sqlite3.Connection) -> set[int]:
    """The first source of each fact that consolidation made."""
    rows = connection.execute(
        "SELECT target FROM (SELECT target, min(position) FROM mentions WHERE role = ? "
        "AND record_id IN (SELECT fact_id FROM consolidated) GROUP BY record_id)",
        (Role.SOURCES,),
    )
    return {record_id for (record_id,) in rows}


def note_put_away(connection: sqlite3.Connection, ids: Collection[int]) -> None:
    """Consolidation archived these."""
    connection.execute(
        "UPDATE consolidated SET put_away = 1 WHERE record_id IN (SELECT value FROM json_each(?))", (id_list(ids),)
    )


def bereft(connection: sqlite3.Connection) -> list[int]:
    """Episodes that consolidation put away and whose fact is gone or out of use, by id."""
    rows = connection.execute(
        "SELECT record_id FROM consolidated JOIN records ON records.id = record_id "
        "LEFT JOIN records AS facts ON facts.id = fact_id "
        "WHERE put_away AND records.archived AND coalesce(facts.archived, 1) ORDER BY record_id"
    )
    return [record_id for (record_id,) in rows]


def note_revived(connection: sqlite3.Connection, ids: Collection[int]) -> None:
    """Nothing stands for these episodes any more; they count as looked at, lest the same fact comes back at once."""
    connection.execute(
        "UPDATE consolidated SET fact_id = NULL, put_away = 0 WHERE record_id IN (SELECT value FROM json_each(?))",
        (id_list(ids),),
    )


def live_vectors(connection: sqlite3.Connection) -> int:
    """How many records in use have a vector."""
    found = connection.execute("SELECT count(*) FROM vectors JOIN records ON id = record_id WHERE NOT archived")
    return int(found.fetchone()[0])


_JOINED = "records LEFT JOIN consolidated ON consolidated.record_id = records.id"
_CHANGED = "coalesce(consolidated.content_hash <> records.content_hash, 1)"
_OPEN = (
    "records.kind = 'episode' AND records.archived = 0 AND (consolidated.fact_id IS NULL OR "
    f"{_CHANGED}) AND records.id NOT IN (SELECT record_id FROM consolidation_plan)"
)
_NEW = f"({_CHANGED} OR consolidated.policy <> ?)"
_STANDING = (
    "SELECT records.id, records.time, records.last_access, records.access_count FROM consolidated "
    "JOIN records ON records.id = consolidated.record_id JOIN records AS facts ON facts.id = consolidated.fact_id "
    "WHERE facts.archived = 0 AND consolidated.content_hash = records.content_hash"
)
# What else was made from an episode would lose a source, or go with it.
_UNUSED = (
    "NOT EXISTS (SELECT 1 FROM mentions WHERE target = records.id AND role <> ? "
    "AND record_id <> coalesce(consolidated.fact_id, 0))"
)
_NEEDLESS = (
    f"{_UNUSED} AND records.id <> ("
    "SELECT target FROM mentions WHERE record_id = consolidated.fact_id AND role = ? ORDER BY position LIMIT 1)"
)
_NEEDLESS_ROLES = (Role.CITES,)
