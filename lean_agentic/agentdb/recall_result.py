"""What a recall gives back: records, best first, each with its score and why, and where the time went."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

from lean_agentic.agentdb.explanation import RecallExplanation
from lean_agentic.agentdb.recall_html import result_html
from lean_agentic.agentdb.recall_trace import RecallTrace
from lean_agentic.agentdb.records import Record


@dataclass(frozen=True)
class Timings:
    """Milliseconds of one recall; of a batch, the even share of what is done for all at once."""

    embed: float = 0.0
    """The query to a vector."""
    search: float = 0.0
    """Vector index, full text, entities, neighbours."""
    fuse: float = 0.0
    explain: float = 0.0
    """Reading the records, and what the explanations need."""
    note: float = 0.0
    """Writing down use and what was recalled; durable, so that it costs a sync of the disk."""

    @property
    def total(self) -> float:
        """All together."""
        return self.embed + self.search + self.fuse + self.explain + self.note

    def __str__(self) -> str:
        parts = ("embed", "search", "fuse", "explain", "note")
        return f"{self.total:.1f} ms: " + ", ".join(f"{part} {getattr(self, part):.1f}" for part in parts)


@dataclass(frozen=True)
class RecallHit:
    """A recalled record."""

    record: Record
    """Its texts are `RecalledText`: storing them again as news is noticed."""
    score: float
    explanation: RecallExplanation


@dataclass(frozen=True, repr=False, eq=False)
class RecallResult(Sequence[RecallHit]):
    """The hits for a query, best first."""

    query: str
    hits: tuple[RecallHit, ...]
    trace: RecallTrace
    """Replays to the same ranking."""
    timings: Timings

    @property
    def records(self) -> list[Record]:
        """The recalled records, best first."""
        return [hit.record for hit in self.hits]

    @property
    def ids(self) -> list[int]:
        """Their ids."""
        return [hit.record.id for hit in self.hits]

    def __len__(self) -> int:
        return len(self.hits)

    def __iter__(self) -> Iterator[RecallHit]:
        return iter(self.hits)

    @overload
    def __getitem__(self, at: int) -> RecallHit: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[RecallHit, ...]: ...
    def __getitem__(self, at: int | slice) -> RecallHit | tuple[RecallHit, ...]:
        return self.hits[at]

    def __repr__(self) -> str:
        return f"RecallResult({self.query!r}: {len(self)} hits, ids {self.ids[:5]}{'...' if len(self) > 5 else ''})"

    def _repr_html_(self) -> str:
        return result_html(self)
