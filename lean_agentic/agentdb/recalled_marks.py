"""Recalled text is marked, so that it does not come back as news and confirm itself.

Twice over: the texts of recalled records are `RecalledText`, strings that know where they come from; and the memory
keeps fingerprints of what was recalled lately (hashes of every five words in a row), which outlive copying, quoting,
a model that repeats its context, and the process. A new record most of whose words are recalled ones is refused, or
stored as coming from the originals.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, TypeVar

from lean_agentic.agentdb.errors import RecalledTextError
from lean_agentic.agentdb.filters import id_list
from lean_agentic.agentdb.records import Episode, Fact, Pattern, Provenance, Record, Trajectory
from lean_agentic.agentdb.store import Store
from lean_agentic.agentdb.text_search import split_words

SHINGLE = 5
"""Words in a row that are one fingerprint."""
LEAST_WORDS = 8
"""Shorter texts ("yes, please do that") are said again without being recalled, and are fingerprinted no more."""
WEEK = 7 * 86400.0
MOST_RECORDS = 5000
"""Recalled records with fingerprints; the ones recalled longest ago go first."""
METHOD = "recalled"
"""Provenance of a record that repeats recalled ones."""
_FIELDS: Mapping[type, tuple[str, ...]] = {
    Episode: ("context", "action", "outcome"),
    Fact: ("statement",),
    Trajectory: ("task",),
    Pattern: ("title", "content"),
}
_CHECKED = (Episode, Fact)
"""Trials of a task share its words, and patterns are made from what is there: both may repeat."""
R = TypeVar("R", bound=Record)


class RecalledText(str):
    """A text that came out of the memory. Otherwise a plain string; what is made from it is one again."""

    __slots__ = ("record_id",)
    record_id: int
    """The record that it is from."""

    def __new__(cls, text: str, record_id: int) -> RecalledText:
        """Mark a text."""
        marked = super().__new__(cls, text)
        marked.record_id = record_id
        return marked

    def __reduce__(self) -> tuple[type[RecalledText], tuple[str, int]]:
        return RecalledText, (str(self), self.record_id)


class RecalledPolicy(StrEnum):
    """What happens when recalled text is about to be stored as news."""

    REFUSE = "refuse"
    """RecalledTextError."""
    LINK = "link"
    """It is stored, and its provenance names the originals: it is forgotten with the last of them."""
    ALLOW = "allow"
    """It is stored like anything else."""


@dataclass(frozen=True)
class Repetition:
    """How much of a record's text was recalled."""

    share: float
    """Of its words, 0 to 1."""
    originals: tuple[int, ...]
    """Records that the words were recalled from, the ones with the most words first."""


def marked(record: R) -> R:
    """The record with its texts as RecalledText."""
    texts: dict[str, Any] = {name: RecalledText(getattr(record, name), record.id) for name in _FIELDS[type(record)]}
    return replace(record, **texts)


class RecalledMarks:
    """What was recalled lately, and whether a new record repeats it.

    Parameters
    ----------
    store : Store
        Keeps the fingerprints; they go with the record when it is forgotten or its text changes.
    policy : RecalledPolicy
    share : float
        A record repeats when this share of its words, or more, was recalled.
    keep : float
        Seconds for which a recall counts.
    """

    def __init__(
        self,
        store: Store,
        policy: RecalledPolicy | str = RecalledPolicy.REFUSE,
        *,
        share: float = 0.8,
        keep: float = WEEK,
    ) -> None:
        if not 0 < share <= 1 or not keep > 0:
            raise ValueError(f"share must be above 0 and at most 1, keep above 0 seconds; got {share} and {keep}")
        self._store = store
        self.policy = RecalledPolicy(policy)
        self._share = share
        self._keep = keep

    def note(self, records: Sequence[Record], now: float) -> None:
        """Remember that these records were recalled `now` (Unix seconds). Ones forgotten meanwhile are left out."""
        shingles = {record.id: _fingerprint(split_words(record.text.lower())) for record in records}
        with self._store.write() as connection:
            ids = id_list(shingles)
            new = connection.execute(
                "SELECT id FROM records WHERE id IN (SELECT value FROM json_each(?1)) AND id NOT IN "
                "(SELECT record_id FROM recalls WHERE record_id IN (SELECT value FROM json_each(?1)))",
                (ids,),
            ).fetchall()
            connection.execute(
                "UPDATE recalls SET recalled = max(recalled, ?) WHERE record_id IN (SELECT value FROM json_each(?))",
                (now, ids),
            )
            connection.executemany("INSERT INTO recalls VALUES (?, ?)", ((record_id, now) for (record_id,) in new))
            connection.executemany(
                "INSERT INTO recalled_shingles VALUES (?, ?)",
                ((shingle, record_id) for (record_id,) in new for shingle in set(shingles[record_id])),
            )
            if new:
                connection.execute(
                    "DELETE FROM recalls WHERE recalled < ? OR record_id NOT IN "
                    "(SELECT record_id FROM recalls ORDER BY recalled DESC, record_id DESC LIMIT ?)",
                    (now - self._keep, MOST_RECORDS),
                )

    def repetition(self, record: Record, now: float) -> Repetition:
        """How much of a record's text was recalled, in its own tenant, in the last `keep` seconds before `now`."""
        words, known, origins = [], [], Counter[int]()
        for name in _FIELDS[type(record)]:
            text = getattr(record, name)
            mine = split_words(text.lower())
            words += mine
            known += [isinstance(text, RecalledText)] * len(mine)
            if isinstance(text, RecalledText):
                origins[text.record_id] += len(mine)
        if len(words) >= LEAST_WORDS:
            for at, ids in self._recalled(_fingerprint(words), record.tenant, now):
                known[at : at + SHINGLE] = [True] * SHINGLE
                origins.update(ids)
        share = sum(known) / len(known) if known else 0.0
        return Repetition(share, tuple(origin for origin, _ in origins.most_common()))

    def check(self, records: Sequence[R], now: float) -> list[R]:
        """The records as they may be stored: refused, linked to their originals, or as they are, by the policy.

        Raises
        ------
        RecalledTextError
            The policy refuses, and a record repeats what was recalled. None of them may be stored then.
        """
        if self.policy is RecalledPolicy.ALLOW:
            return list(records)
        return [self._checked(record, now) if isinstance(record, _CHECKED) else record for record in records]

    def _checked(self, record: R, now: float) -> R:
        repetition = self.repetition(record, now)
        if repetition.share < self._share or not repetition.originals:
            return record
        if self.policy is RecalledPolicy.REFUSE:
            raise RecalledTextError(
                f"{repetition.share:.0%} of the words of {str(record.text)[:80]!r} were recalled from the records "
                f"{list(repetition.originals[:5])}: they are no news. Store what is new, or use the policy 'link', "
                "which keeps it as coming from them"
            )
        return self._linked(record, repetition.originals)

    def _linked(self, record: R, originals: Sequence[int]) -> R:
        with self._store.read() as connection:
            # A marked text may be of a record that was forgotten since, or of another memory.
            rows = connection.execute(
                "SELECT id FROM records WHERE tenant = ? AND id IN (SELECT value FROM json_each(?))",
                (record.tenant, id_list(originals)),
            )
            there: set[int] = {record_id for (record_id,) in rows}
        before: Provenance = record.provenance
        named = (*before.records, *(each for each in originals if each in there and each not in before.records))
        return replace(record, provenance=replace(before, method=METHOD, records=named))

    def _recalled(self, shingles: Sequence[int], tenant: str, now: float) -> list[tuple[int, list[int]]]:
        """Places of the shingles that were recalled, and the records they were recalled from."""
        with self._store.read() as connection:
            rows = connection.execute(
                "SELECT shingle, record_id FROM recalled_shingles CROSS JOIN recalls USING (record_id) "
                "CROSS JOIN records ON records.id = record_id "
                "WHERE shingle IN (SELECT value FROM json_each(?)) AND tenant = ? AND recalled >= ?",
                (json.dumps(list(shingles)), tenant, now - self._keep),
            ).fetchall()
        origins: dict[int, list[int]] = {}
        for shingle, record_id in rows:
            origins.setdefault(shingle, []).append(record_id)
        return [(at, origins[shingle]) for at, shingle in enumerate(shingles) if shingle in origins]


def _fingerprint(words: Sequence[str]) -> list[int]:
    """A number for every SHINGLE words in a row; none for a short text."""
    if len(words) < LEAST_WORDS:
        return []
    windows = (" ".join(words[at : at + SHINGLE]) for at in range(len(words) - SHINGLE + 1))
    return [int.from_bytes(hashlib.blake2b(each.encode(), digest_size=8).digest(), signed=True) for each in windows]
