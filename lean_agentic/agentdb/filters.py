"""Which records: a filter, and the SQL condition that it is. Values only ever travel as bound parameters."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lean_agentic.agentdb.errors import FilterError
from lean_agentic.agentdb.json_values import scalar_key
from lean_agentic.agentdb.records import Kind
from lean_agentic.agentdb.rows import fold

WITH_TASK_TYPE = (Kind.TRAJECTORY, Kind.PATTERN)


@dataclass(frozen=True, kw_only=True)
class Filter:
    """All of its fields must hold; None is no condition, an empty collection lets nothing through.

    Raises FilterError where fields contradict each other or could never match.
    """

    kinds: Collection[Kind] | None = None
    tenant: str | None = None
    session: str | None = None
    ids: Collection[int] | None = None
    after: float | None = None
    """Unix seconds: that time or later."""
    before: float | None = None
    """Unix seconds: earlier than that."""
    as_of: float | None = None
    """Facts that held at that time; of the other kinds, what had happened by then."""
    entities: Collection[str] | None = None
    """Any of them, whatever their case."""
    archived: bool | None = False
    """Only records out of use (True), only those in use (False), or both (None)."""
    where: Mapping[str, Any] = field(default_factory=dict)
    """Metadata with these scalar values; true is not 1, and null is not the same as absent."""
    task_type: str | None = None
    everything: bool = False
    """Every record, the archived ones too: the word that `forget` wants before it forgets all."""

    def __post_init__(self) -> None:
        for name in ("kinds", "entities", "ids"):
            object.__setattr__(self, name, _collected(name, getattr(self, name)))
        object.__setattr__(self, "where", dict(self.where))
        if self.everything and self.restricts:
            raise FilterError("everything=True contradicts the other conditions: give one or the other")
        for name in ("tenant", "session", "task_type"):
            _require_string(name, getattr(self, name))
        if self.tenant == "":
            raise FilterError("tenant='' matches nothing: leave it out, or name one")
        for name in ("after", "before", "as_of"):
            _require_time(name, getattr(self, name))
        if self.after is not None and self.before is not None and self.after >= self.before:
            raise FilterError(f"after {self.after} and before {self.before} leave no time between")
        if self.task_type is not None and self.kinds and not set(self.kinds) & set(WITH_TASK_TYPE):
            raise FilterError(f"only trajectories and patterns have a task type, and kinds are {list(self.kinds)}")
        _require_scalars(self.where)

    @property
    def restricts(self) -> bool:
        """Whether there is any condition besides being in use or archived."""
        named = (self.kinds, self.tenant, self.session, self.ids, self.after, self.before, self.as_of, self.entities)
        return any(value is not None for value in (*named, self.task_type)) or bool(self.where)

    @property
    def allows_all_live(self) -> bool:
        """Whether it lets through every record in use, without looking."""
        return not self.restricts and (self.everything or self.archived is not True)

    @property
    def key(self) -> str:
        """Filters with the same key mean the same."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return json.dumps(values, sort_keys=True)


@dataclass(frozen=True)
class Condition:
    """An SQL expression over the columns of `records`, and its parameters."""

    sql: str
    parameters: tuple[Any, ...] = ()


def condition(where: Filter | None) -> Condition:
    """What to put behind WHERE; None is every record in use."""
    where = where or Filter()
    parts = [*_archived(where), *_columns(where), *_as_of(where), *_collections(where), *_metadata(where)]
    sql = " AND ".join(f"({part.sql})" for part in parts) or "1"
    return Condition(sql, tuple(value for part in parts for value in part.parameters))


def id_list(ids: Collection[int]) -> str:
    """Ids as one parameter: `IN (SELECT value FROM json_each(?))` takes any number of them."""
    return json.dumps([int(record_id) for record_id in ids])


def _archived(where: Filter) -> list[Condition]:
    if where.everything:
        return []
    # Named values, not a missing condition, so that the indexes that start with it can be used.
    allowed = (0, 1) if where.archived is None else (int(where.archived),)
    few = _names_records(where) or where.session or where.task_type
    return [Condition(f"{'+' if few else ''}records.archived IN ({', '.join('?' * len(allowed))})", allowed)]


def _names_records(where: Filter) -> bool:
    """Whether an index of details finds the records.

    Conditions that many records meet then carry a plus, which keeps SQLite from going through an index of those.
    """
    return where.ids is not None or where.entities is not None or bool(where.where)


def _columns(where: Filter) -> list[Condition]:
    tests = {
        f"{'+' if _names_records(where) else ''}records.tenant = ?": where.tenant,
        "records.session = ?": where.session,
        "records.task_type = ?": where.task_type,
        "records.time >= ?": where.after,
        "records.time < ?": where.before,
    }
    found = [Condition(sql, (value,)) for sql, value in tests.items() if value is not None]
    if where.session:
        found.append(Condition("records.session <> ''"))
    return found


def _as_of(where: Filter) -> list[Condition]:
    if where.as_of is None:
        return []
    held = "coalesce(records.valid_from <= ?, 1) AND coalesce(records.valid_to > ?, 1)"
    sql = f"CASE records.kind WHEN '{Kind.FACT}' THEN {held} ELSE records.time <= ? END"
    return [Condition(sql, (where.as_of,) * 3)]


def _collections(where: Filter) -> list[Condition]:
    found = []
    if where.kinds is not None:
        found.append(Condition(f"records.kind IN ({', '.join('?' * len(where.kinds))})", tuple(where.kinds)))
    if where.ids is not None:
        found.append(Condition("records.id IN (SELECT value FROM json_each(?))", (id_list(where.ids),)))
    if where.entities is not None:
        named = "SELECT record_id FROM record_entities WHERE folded IN (SELECT value FROM json_each(?))"
        found.append(Condition(f"records.id IN ({named})", (json.dumps([fold(entity) for entity in where.entities]),)))
    return found


def _metadata(where: Filter) -> list[Condition]:
    sql = "records.id IN (SELECT record_id FROM record_metadata WHERE key = ? AND value = ?)"
    return [Condition(sql, (key, scalar_key(value))) for key, value in where.where.items()]


def _collected(name: str, values: Any) -> Sequence[Any] | None:
    if values is None:
        return None
    # A string is a collection of its letters, which nobody means.
    members = [values] if isinstance(values, str) else list(values)
    try:
        if name == "kinds":
            return tuple(sorted({Kind(kind) for kind in members}))
        if name == "ids":
            return tuple(sorted({int(record_id) for record_id in members}))
    except (TypeError, ValueError) as error:
        raise FilterError(f"{name} cannot be {values!r:.80}: {error}") from None
    for member in members:
        _require_string("an entity", member)
    return tuple(sorted(set(members)))


def _require_string(name: str, value: Any) -> None:
    if value is not None and not isinstance(value, str):
        raise FilterError(f"{name} must be a string, got {value!r:.80}")


def _require_time(name: str, value: Any) -> None:
    if value is not None and not (isinstance(value, int | float) and math.isfinite(value)):
        raise FilterError(f"{name} must be a finite time in Unix seconds, got {value!r:.80}")


def _require_scalars(where: Mapping[str, Any]) -> None:
    for key, value in where.items():
        if not isinstance(key, str):
            raise FilterError(f"metadata keys are strings, got {key!r:.80}")
        if isinstance(value, float) and not math.isfinite(value):
            raise FilterError(f"metadata never hold {value}: {key!r} cannot equal it")
        if scalar_key(value) is None:
            raise FilterError(f"{key!r} can only be compared with a string, number, boolean or None, got {value!r:.80}")
