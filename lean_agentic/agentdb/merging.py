"""One record of two that say the same: entities, time range, provenance and uses of both are kept.

The text and vector are those of the record that is there. Its `time` stays the earliest, so that what was known when
remains right; `metadata["merged"]` says how often it was told, and when first and last. Where one of the two was told
first hand, the merged one names no records that it was made from: forgetting those must not take it along.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from lean_agentic.agentdb.records import Episode, Fact, Provenance
from lean_agentic.agentdb.rows import fold

MERGED = "merged"
"""Key of the metadata that says what was merged: occurrences, first_time, last_time."""
METHOD = "merged"
R = TypeVar("R", Episode, Fact)


def can_merge(stored: Episode | Fact, record: Episode | Fact) -> bool:
    """Whether what is beside the text agrees: measured rewards, and stretches in which facts hold."""
    if isinstance(stored, Episode) and isinstance(record, Episode):
        return stored.reward is None or record.reward is None or stored.reward == record.reward
    if isinstance(stored, Fact) and isinstance(record, Fact):
        starts = [-float("inf") if fact.valid_from is None else fact.valid_from for fact in (stored, record)]
        ends = [float("inf") if fact.valid_to is None else fact.valid_to for fact in (stored, record)]
        # A fact that holds again after a gap is another stretch of time.
        return max(starts) <= min(ends)
    return False


def merged(stored: R, record: R) -> R:
    """The stored record with what a new one, which says the same, adds to it."""
    own = _stands_alone(stored) or _stands_alone(record)
    changes: dict[str, Any] = {
        "entities": _union(stored.entities, record.entities),
        "time": _least(stored.time, record.time),
        "metadata": {**record.metadata, **stored.metadata, MERGED: _occurrences(stored, record)},
        "provenance": _provenance(stored.provenance, record.provenance, own),
        "access_count": stored.access_count + record.access_count,
        "last_access": _greatest(stored.last_access, record.last_access),
    }
    if isinstance(stored, Episode) and isinstance(record, Episode):
        changes |= {
            "reward": record.reward if stored.reward is None else stored.reward,
            "cites": _ids(stored.cites, record.cites, stored.id),
        }
    elif isinstance(stored, Fact) and isinstance(record, Fact):
        changes |= {
            "confidence": max(stored.confidence, record.confidence),
            "sources": () if own else _ids(stored.sources, record.sources, stored.id),
            "valid_from": _widest(stored.valid_from, record.valid_from, min),
            "valid_to": _widest(stored.valid_to, record.valid_to, max),
        }
    return replace(stored, **changes)


def _stands_alone(record: Episode | Fact) -> bool:
    """Whether it was made from no other record.

    What one of two was told first hand must outlive the records that the other was made from.
    """
    return not record.provenance.records and not getattr(record, "sources", ())


def _occurrences(stored: Episode | Fact, record: Episode | Fact) -> Mapping[str, Any]:
    before = [_history(each) for each in (stored, record)]
    times = [time for history in before for time in (history["first_time"], history["last_time"]) if time is not None]
    return {
        "occurrences": sum(history["occurrences"] for history in before),
        "first_time": min(times, default=None),
        "last_time": max(times, default=None),
    }


def _history(record: Episode | Fact) -> Mapping[str, Any]:
    """Of what was merged into a record before; itself alone otherwise."""
    known = record.metadata.get(MERGED)
    if isinstance(known, Mapping) and {"occurrences", "first_time", "last_time"} <= known.keys():
        return known
    return {"occurrences": 1, "first_time": record.time, "last_time": record.time}


def _provenance(stored: Provenance, record: Provenance, own: bool) -> Provenance:
    """The stored one; where the new one differs, it is kept among the details."""
    records = () if own else _ids(stored.records, record.records, 0)
    if (record.source, record.method, record.detail) == (stored.source, stored.method, stored.detail):
        return replace(stored, records=records)
    also = [*stored.detail.get("also", ()), {"source": record.source, "method": record.method, "detail": record.detail}]
    unique = [each for at, each in enumerate(also) if each not in also[:at]]
    return Provenance(stored.source, stored.method, records, {**stored.detail, "also": unique})


def _union(first: Iterable[str], second: Iterable[str]) -> tuple[str, ...]:
    """The entities of both, each in the spelling that came first."""
    found: dict[str, str] = {}
    for entity in (*first, *second):
        found.setdefault(fold(entity), entity)
    return tuple(found.values())


def _ids(first: Iterable[int], second: Iterable[int], own: int) -> tuple[int, ...]:
    return tuple(dict.fromkeys(each for each in (*first, *second) if each != own))


def _least(first: float | None, second: float | None) -> float | None:
    return min((each for each in (first, second) if each is not None), default=None)


def _greatest(first: float | None, second: float | None) -> float | None:
    return max((each for each in (first, second) if each is not None), default=None)


def _widest(first: float | None, second: float | None, outer: Any) -> float | None:
    """The outer end of two stretches; None is open."""
    return None if first is None or second is None else float(outer(first, second))
