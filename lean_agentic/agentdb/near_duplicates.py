"""The same thing said again: on write, near-duplicates are merged into the record that is there, linked, or kept.

A record repeats a stored one when they are of one kind and tenant, their vectors are close, and the stored text says
all its words in the same order, and few more: nothing is lost by keeping that. What small differences can turn into
something else must agree: numbers, negations, names, entities, rewards, and whether a fact still holds. Only episodes
and facts are compared: each trial of a task counts by itself, and patterns are merged where they are distilled.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import cast

import numpy as np
import numpy.typing as npt

from lean_agentic.agentdb.errors import InvalidVectorError
from lean_agentic.agentdb.filters import Filter
from lean_agentic.agentdb.index_sync import IndexSync
from lean_agentic.agentdb.merging import can_merge, merged
from lean_agentic.agentdb.records import Episode, Fact, Kind, Record
from lean_agentic.agentdb.rows import fold, kind_of
from lean_agentic.agentdb.store import Store
from lean_agentic.agentdb.text_search import STOP_WORDS, split_words
from lean_agentic.agentdb.vector_index import Vectors, unit_rows

COSINE = 0.92
OVERLAP = 0.9
NEAREST = 5
"""Stored records that each new one is compared with."""
LEAST_STEM = 3
"""Letters that are left of a word without its ending, at least."""
_BLOCK = 1024
"""New records that are compared with the earlier ones at a time."""
METHOD = "near-duplicate"
"""Provenance of a record that is linked to the one it repeats."""
_NEGATIONS = frozenset(["not", "no", "never", "none", "nothing", "without", "cannot", "n't", "nor", "neither"])
_NEGATED = re.compile(r"n['’]t\b", re.IGNORECASE)
_NAME = re.compile(r"(?<![.!?:]\s)(?<!^)\b[A-Z]\w*", re.MULTILINE)
_NUMBER = re.compile(r"\d+(?:[.,:/-]\d+)*")


class DuplicatePolicy(StrEnum):
    """What happens to a record that is a near-duplicate of a stored one."""

    MERGE = "merge"
    """The stored record takes in entities, time range, provenance and uses; no new record is made."""
    LINK = "link"
    """It is stored, and its provenance names the other: it is forgotten with it."""
    KEEP = "keep"
    """It is stored like anything else; nothing is compared."""


class Outcome(StrEnum):
    """What became of a record."""

    STORED = "stored"
    MERGED = "merged"
    LINKED = "linked"


@dataclass(frozen=True)
class Written:
    """What became of one record."""

    id: int
    """Of the record that now stands for it."""
    outcome: Outcome
    original: int | None = None
    """The stored record that it repeats."""
    similarity: float | None = None
    """Cosine to that."""


class NearDuplicates:
    """Writes records, near-duplicates by the policy.

    Parameters
    ----------
    store : Store
    index : IndexSync
        Of that store.
    policy : DuplicatePolicy
    cosine : float
        Smallest cosine of near-duplicates.
    overlap : float
        Smallest overlap of their texts, see `overlap`.
    """

    def __init__(
        self,
        store: Store,
        index: IndexSync,
        policy: DuplicatePolicy | str = DuplicatePolicy.MERGE,
        *,
        cosine: float = COSINE,
        overlap: float = OVERLAP,
    ) -> None:
        if not 0 < cosine <= 1 or not 0 < overlap <= 1:
            raise ValueError(f"cosine and overlap must be above 0 and at most 1, got {cosine} and {overlap}")
        self._store = store
        self._index = index
        self.policy = DuplicatePolicy(policy)
        self.cosine = cosine
        self.overlap = overlap

    def write(
        self, records: Sequence[Record], vectors: npt.ArrayLike | None, now: float | None = None
    ) -> list[Written]:
        """Store new records with their (n, d) vectors, all or none; what became of each, in order.

        Without vectors nothing is compared. `now` (Unix seconds) is the time of those that have none. Errors are
        those of `Store.add`.
        """
        moment = time.time() if now is None else now
        timed = [replace(record, time=moment) if record.time is None else record for record in records]
        if self.policy is DuplicatePolicy.KEEP or vectors is None or not timed:
            return [Written(record_id, Outcome.STORED) for record_id in self._store.add(timed, vectors)]
        rows = unit_rows(vectors, np.shape(vectors)[-1])
        if len(rows) != len(timed):
            raise InvalidVectorError(f"{len(rows)} vectors for {len(timed)} records: give one each")
        # The write transaction keeps others from storing the same between looking and storing.
        with self._store.write():
            return _Batch(self._store, timed, rows, self._near_stored(timed, rows), self).write()

    def _near_stored(self, records: Sequence[Record], rows: Vectors) -> list[dict[int, float]]:
        """For each record, ids and cosines of the committed ones that are close enough."""
        near: list[dict[int, float]] = [{} for _ in records]
        groups: dict[tuple[str, Kind], list[int]] = {}
        for at, record in enumerate(records):
            if isinstance(record, Episode | Fact):
                groups.setdefault((record.tenant, kind_of(record)), []).append(at)
        for (tenant, kind), places in groups.items():
            hits = self._index.search(rows[places], NEAREST, Filter(tenant=tenant, kinds=[kind]))
            for at, ids, cosines in zip(places, hits.ids, hits.similarities, strict=True):
                close = cosines >= self.cosine
                near[at] = dict(zip(ids[close].tolist(), cosines[close].tolist(), strict=True))
        return near

    def repeats(self, record: Record, stored: Record) -> bool:
        """Whether a record whose vector is close to a stored one's says the same."""
        return (
            isinstance(record, Episode | Fact)
            and isinstance(stored, Episode | Fact)
            and type(record) is type(stored)
            and record.tenant == stored.tenant
            and overlap(record.text, stored.text) >= self.overlap
            and _telling(record.text) == _telling(stored.text)
            and _entities_agree(record, stored)
            and can_merge(stored, record)
        )


class _Batch:
    """One call of `write`, inside its transaction. Records are stored together as far as none repeats another."""

    def __init__(
        self,
        store: Store,
        records: Sequence[Record],
        rows: Vectors,
        near: Sequence[Mapping[int, float]],
        rule: NearDuplicates,
    ) -> None:
        self._store = store
        self._records = records
        self._rows = rows
        self._near = near
        self._rule = rule
        self._earlier = _close_pairs(rows, rule.cosine)
        self._written: list[Written] = []
        self._pending: list[Record] = []

    def write(self) -> list[Written]:
        for at, record in enumerate(self._records):
            original = self._original(at)
            if original is None:
                self._pending.append(record)
                continue
            self._flush()
            self._written.append(self._repeated(at, *original))
        self._flush()
        return self._written

    def _original(self, at: int) -> tuple[Record, float] | None:
        """The most similar record, stored or earlier in this call, that a record repeats, and the cosine."""
        if any(earlier >= len(self._written) for earlier, _ in self._earlier[at]):
            self._flush()
        near = dict(self._near[at])
        near |= {self._written[earlier].id: cosine for earlier, cosine in self._earlier[at]}
        # What an enclosing transaction has forgotten is still in the index.
        there = self._store.ids(Filter(ids=list(near))).tolist() if near else []
        stored = sorted(self._store.get(there), key=lambda each: (-near[each.id], each.id))
        repeated = (each for each in stored if self._rule.repeats(self._records[at], each))
        return next(((each, near[each.id]) for each in repeated), None)

    def _repeated(self, at: int, original: Record, cosine: float) -> Written:
        record, row = self._records[at], self._rows[at]
        if self._rule.policy is DuplicatePolicy.MERGE:
            # `repeats` is true of two episodes or two facts alone.
            self._store.update(merged(cast(Episode, original), cast(Episode, record)))
            return Written(original.id, Outcome.MERGED, original.id, cosine)
        before = record.provenance
        provenance = replace(before, method=METHOD, records=tuple(dict.fromkeys((*before.records, original.id))))
        [record_id] = self._store.add([replace(record, provenance=provenance)], row[None])
        return Written(record_id, Outcome.LINKED, original.id, cosine)

    def _flush(self) -> None:
        """Store what is pending: the records after those written."""
        start = len(self._written)
        ids = self._store.add(self._pending, self._rows[start : start + len(self._pending)])
        self._written += [Written(record_id, Outcome.STORED) for record_id in ids]
        self._pending = []


def _close_pairs(rows: Vectors, cosine: float) -> list[list[tuple[int, float]]]:
    """For each of (n, d) unit rows, the earlier ones that are close enough, with their cosines."""
    pairs: list[list[tuple[int, float]]] = [[] for _ in rows]
    for start in range(0, len(rows), _BLOCK):
        block = rows[start : start + _BLOCK] @ rows[: start + _BLOCK].T
        for at, earlier in zip(*np.nonzero(block >= cosine), strict=True):
            if earlier < start + at:
                pairs[start + at].append((int(earlier), float(block[at, earlier])))
    return pairs


def overlap(text: str, stored: str) -> float:
    """Twice the words of a text over those of both; 0 where it says a word that the stored text does not, in order.

    Case, punctuation, inflections and stop words do not count.
    """
    words, others = (_content_words(each) for each in (text, stored))
    rest = iter(others)
    # Each word is looked for behind the one before it.
    said = all(word in rest for word in words)
    return 2 * len(words) / (len(words) + len(others)) if said and words else 0.0


def _content_words(text: str) -> list[str]:
    words = split_words(text.lower())
    return [_stem(word) for word in words if word not in STOP_WORDS or word in _NEGATIONS] or words


def _stem(word: str) -> str:
    """The word without an English ending of inflection."""
    for ending in ("ing", "ed", "es", "s", "e"):
        if word.endswith(ending) and len(word) - len(ending) >= LEAST_STEM:
            return word[: -len(ending)]
    return word


def _telling(text: str) -> tuple[list[str], int, set[str]]:
    """What must agree: numbers in order, how many negations, names within sentences."""
    negations = sum(word in _NEGATIONS for word in split_words(text.lower())) + len(_NEGATED.findall(text))
    return _NUMBER.findall(text), negations, set(_NAME.findall(text))


def _entities_agree(record: Episode | Fact, stored: Episode | Fact) -> bool:
    """Whether one is about everything the other is about."""
    mine, theirs = ({fold(entity) for entity in each.entities} for each in (record, stored))
    return mine <= theirs or theirs <= mine
