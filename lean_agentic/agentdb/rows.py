"""Records to rows and back.

The columns of `records` hold what is filtered and sorted by; what only one kind has is JSON in `body`. Ids of other
records are never in the JSON but in `mentions`, so that forgetting a record reaches whoever names it.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from lean_agentic.agentdb.errors import InvalidRecordError
from lean_agentic.agentdb.json_values import json_text, require_number, require_text, scalar_key
from lean_agentic.agentdb.records import (
    CausalLink,
    Episode,
    Fact,
    Kind,
    LinkKind,
    Pattern,
    Provenance,
    Record,
    Step,
    Trajectory,
    Verdict,
)

COLUMNS = (
    "id", "kind", "tenant", "session", "time", "stored", "text", "task_type", "archived", "access_count",
    "last_access", "confidence", "valid_from", "valid_to", "metadata", "provenance", "body", "content_hash",
)  # fmt: skip
READ_COLUMNS = COLUMNS[:-1]


class Role(StrEnum):
    """Why a record names another."""

    CITES = "cites"
    """An episode names its causes."""
    SOURCES = "sources"
    """The episodes that a fact rests on."""
    TRAJECTORIES = "trajectories"
    """Those behind a pattern."""
    PROVENANCE = "provenance"
    """What a record was made from."""


KINDS: Mapping[type, Kind] = {
    Episode: Kind.EPISODE,
    Fact: Kind.FACT,
    Trajectory: Kind.TRAJECTORY,
    Pattern: Kind.PATTERN,
}
ROLES: Mapping[Kind, Role] = {
    Kind.EPISODE: Role.CITES,
    Kind.FACT: Role.SOURCES,
    Kind.PATTERN: Role.TRAJECTORIES,
}
"""The field of each kind, of the same name, that holds ids."""
_CLASSES = {kind: kind_class for kind_class, kind in KINDS.items()}
_SHARED = {
    "time", "tenant", "session", "metadata", "provenance", "id", "access_count", "last_access", "archived",
}  # fmt: skip
_ABSENT_FROM_BODY = {
    Kind.EPISODE: {"cites"},
    Kind.FACT: {"statement", "confidence", "sources", "valid_from", "valid_to"},
    Kind.TRAJECTORY: {"task_type", "confidence", "steps"},
    Kind.PATTERN: {"task_type", "trajectories"},
}
_BODY = {
    kind: tuple(f.name for f in fields(kind_class) if f.name not in _SHARED | _ABSENT_FROM_BODY[kind])
    for kind, kind_class in _CLASSES.items()
}
_NUMBERS = {
    kind: tuple(f.name for f in fields(kind_class) if f.type in ("int", "float", "float | None") and f.name != "id")
    for kind, kind_class in _CLASSES.items()
}
_TEXTS = {kind: tuple(f.name for f in fields(kind_class) if f.type == "str") for kind, kind_class in _CLASSES.items()}


@dataclass(frozen=True)
class Row:
    """A record, validated, as the values of its tables."""

    columns: tuple[Any, ...]
    """In the order of COLUMNS."""
    entities: tuple[tuple[str, str], ...]
    """Folded and given spelling."""
    metadata: tuple[tuple[str, str], ...]
    """Keys and `scalar_key` of those metadata that have one."""
    mentions: tuple[tuple[Role, int, int], ...]
    """Role, position and id of the records that it names."""


def fold(entity: str) -> str:
    """What two spellings of an entity share: compatibility forms composed, case folded, outer blanks and NULs gone."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", entity).casefold()).replace("\0", "").strip()


def content_hash(record: Record) -> bytes:
    """16 bytes that records of the same kind and text share."""
    return hashlib.blake2b(f"{kind_of(record)}\0{record.text}".encode(), digest_size=16).digest()


def kind_of(record: Record) -> Kind:
    """The kind of a record."""
    return KINDS[type(record)]


def to_row(record: Record, record_id: int, now: float) -> Row:
    """The row of a record under an id, stored `now` (Unix seconds).

    Raises InvalidRecordError for what could not be stored or would come back changed.
    """
    if type(record) not in KINDS:
        raise InvalidRecordError(
            f"expected an Episode, Fact, Trajectory or Pattern, got {type(record).__name__} {record!r:.80}"
        )
    kind = kind_of(record)
    _require_sound(record, kind)
    time = now if record.time is None else float(record.time)
    entities = _entities(record)
    values = {
        "id": record_id, "kind": kind.value, "tenant": record.tenant, "session": record.session, "time": time,
        "stored": now, "text": record.text, "task_type": getattr(record, "task_type", None),
        "archived": int(record.archived), "access_count": record.access_count, "last_access": record.last_access,
        "confidence": getattr(record, "confidence", None), "valid_from": getattr(record, "valid_from", None),
        "valid_to": getattr(record, "valid_to", None), "metadata": json_text(record.metadata, "metadata"),
        "provenance": _provenance_text(record.provenance), "body": _body(record, kind),
        "content_hash": content_hash(record),
    }  # fmt: skip
    metadata = tuple((key, text) for key, value in record.metadata.items() if (text := scalar_key(value)) is not None)
    return Row(tuple(values.values()), entities, metadata, _mentions(record, kind))


def to_record(row: Sequence[Any], mentions: Mapping[Role, tuple[int, ...]]) -> Record:
    """The record of a row of READ_COLUMNS and the ids it names."""
    values = dict(zip(READ_COLUMNS, row, strict=True))
    kind = Kind(values["kind"])
    body = json.loads(values["body"])
    for name, build in _BUILDERS[kind].items():
        if name in body:
            body[name] = build(body[name])
    for name in _FROM_COLUMNS[kind]:
        body[name] = values["text" if name == "statement" else name]
    if kind in ROLES:
        body[ROLES[kind].value] = mentions.get(ROLES[kind], ())
    source, method, detail = json.loads(values["provenance"])
    record: Record = _CLASSES[kind](
        **body,
        **{name: values[name] for name in ("id", "tenant", "session", "time", "access_count", "last_access")},
        archived=bool(values["archived"]),
        metadata=json.loads(values["metadata"]),
        provenance=Provenance(source, method, mentions.get(Role.PROVENANCE, ()), detail),
    )
    return record


def link_row(link: CausalLink) -> tuple[Any, ...]:
    """Cause, effect, kind, strength, low, high and evidence of a link, validated."""
    strength, low, high = (require_number(getattr(link, name), name) for name in ("strength", "low", "high"))
    if not 0 <= low <= strength <= high <= 1:
        raise InvalidRecordError(f"expected 0 <= low <= strength <= high <= 1, got {low}, {strength}, {high}")
    if link.cause == link.effect:
        raise InvalidRecordError(f"record {link.cause} cannot be its own cause")
    evidence = json_text(link.evidence, "evidence")
    return int(link.cause), int(link.effect), LinkKind(link.kind).value, strength, low, high, evidence


def to_link(row: Sequence[Any]) -> CausalLink:
    """The link of a row (id, cause, effect, kind, strength, low, high, evidence)."""
    record_id, cause, effect, kind, strength, low, high, evidence = row
    return CausalLink(cause, effect, LinkKind(kind), strength, low, high, json.loads(evidence), record_id)


def _body(record: Record, kind: Kind) -> str:
    body = {name: getattr(record, name) for name in _BODY[kind]}
    if isinstance(record, Trajectory):
        body["steps"] = [(step.state, step.action, step.outcome, step.cost, step.latency) for step in record.steps]
    return json_text(body, kind.value)


def _steps(steps: list[list[Any]]) -> tuple[Step, ...]:
    return tuple(Step(*step) for step in steps)


_BUILDERS: Mapping[Kind, Mapping[str, Callable[[Any], Any]]] = {
    Kind.EPISODE: {"entities": tuple},
    Kind.FACT: {"entities": tuple},
    Kind.TRAJECTORY: {"steps": _steps, "verdict": Verdict},
    Kind.PATTERN: {"actions": tuple},
}
_FROM_COLUMNS: Mapping[Kind, tuple[str, ...]] = {
    Kind.EPISODE: (),
    Kind.FACT: ("statement", "confidence", "valid_from", "valid_to"),
    Kind.TRAJECTORY: ("task_type", "confidence"),
    Kind.PATTERN: ("task_type",),
}


def _provenance_text(provenance: Provenance) -> str:
    return json_text((provenance.source, provenance.method, provenance.detail), "provenance")


def _entities(record: Record) -> tuple[tuple[str, str], ...]:
    return tuple((fold(require_text(entity, "an entity")), entity) for entity in getattr(record, "entities", ()))


def _mentions(record: Record, kind: Kind) -> tuple[tuple[Role, int, int], ...]:
    named = [(Role.PROVENANCE, record.provenance.records)]
    if kind in ROLES:
        named.append((ROLES[kind], getattr(record, ROLES[kind].value)))
    return tuple((role, place, int(target)) for role, targets in named for place, target in enumerate(targets))


def _require_sound(record: Record, kind: Kind) -> None:
    for name in _TEXTS[kind]:
        require_text(getattr(record, name), name)
    for name in _NUMBERS[kind]:
        if (value := getattr(record, name)) is not None:
            require_number(value, name)
    if not record.tenant:
        raise InvalidRecordError("tenant must not be empty: leave it out for the default one")
    if not 0 <= getattr(record, "confidence", 1) <= 1:
        raise InvalidRecordError(f"confidence must be 0 to 1, got {record.confidence}")  # type: ignore[union-attr]
    if isinstance(record, Fact):
        _require_interval(record.valid_from, record.valid_to)


def _require_interval(start: float | None, end: float | None) -> None:
    if start is not None and end is not None and end <= start:
        raise InvalidRecordError(f"valid_to must come after valid_from, got {start} to {end}")


_READ = f"SELECT {', '.join(READ_COLUMNS)} FROM records"


def read_records(connection: sqlite3.Connection, condition: str, parameters: Sequence[Any]) -> list[Record]:
    """The records that an SQL condition (with its ORDER BY and LIMIT) selects."""
    rows = connection.execute(f"{_READ} WHERE {condition}", parameters).fetchall()
    named: dict[int, dict[Role, list[int]]] = {}
    found = connection.execute(
        "SELECT record_id, role, target FROM mentions WHERE record_id IN (SELECT value FROM json_each(?)) "
        "ORDER BY record_id, role, position",
        (json.dumps([row[0] for row in rows]),),
    )
    for record_id, role, target in found:
        named.setdefault(record_id, {}).setdefault(Role(role), []).append(target)
    return [to_record(row, {role: tuple(ids) for role, ids in named.get(row[0], {}).items()}) for row in rows]
