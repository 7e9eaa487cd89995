"""All that a ranking rests on, so that it can be kept, sent, and done again to the same result."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from lean_agentic.agentdb.ranking import Evidence, Loans, Ranking, Weights, fuse

VERSION = 1


@dataclass(frozen=True, eq=False)
class RecallTrace:
    """A recall's evidence and weights. Holds ids, no text but the query's."""

    query: str
    k: int
    now: float
    """Unix seconds that ages count from."""
    weights: Weights
    evidence: Evidence

    def ranking(self) -> Ranking:
        """Scores and contributions of all candidates, computed anew."""
        return fuse(self.evidence, self.weights)

    def replay(self) -> list[tuple[int, float]]:
        """(id, score) of the k best, best first: the recall's own answer."""
        ranking = self.ranking()
        best = ranking.order[: self.k]
        return list(zip(self.evidence.ids[best].tolist(), ranking.scores[best].tolist(), strict=True))

    def as_dict(self) -> dict[str, Any]:
        """As JSON values; NaN is None."""
        evidence = {field.name: _values(getattr(self.evidence, field.name)) for field in fields(Evidence)}
        head = {"version": VERSION, "query": self.query, "k": self.k, "now": self.now}
        return head | {"weights": asdict(self.weights), "evidence": evidence}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RecallTrace:
        """The trace of `as_dict`. Raises ValueError for anything else."""
        if values.get("version") != VERSION:
            raise ValueError(f"expected a trace of version {VERSION}, got {values.get('version')!r}")
        weights: dict[str, Any] = {
            name: tuple(each) if isinstance(each, list) else each for name, each in values["weights"].items()
        }
        evidence = values["evidence"]
        kinds = {"ids": np.int64, "session": np.int64}
        loans = evidence["loans"]
        arrays: dict[str, Any] = {
            field.name: np.array(evidence[field.name], kinds.get(field.name, np.float64))
            for field in fields(Evidence)
            if field.name != "loans"
        }
        pairs = Loans(
            np.array(loans["borrower"], np.int64), np.array(loans["lender"], np.int64), np.array(loans["share"], float)
        )
        return cls(values["query"], values["k"], values["now"], Weights(**weights), Evidence(**arrays, loans=pairs))

    def to_json(self) -> str:
        """As JSON text."""
        return json.dumps(self.as_dict(), allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> RecallTrace:
        """The trace of `to_json`. Raises ValueError for anything else."""
        return cls.from_dict(json.loads(text))

    def __repr__(self) -> str:
        return f"RecallTrace({self.query!r}, {len(self.evidence.ids)} candidates)"


def _values(value: Any) -> Any:
    if isinstance(value, Loans):
        return {field.name: getattr(value, field.name).tolist() for field in fields(Loans)}
    return [None if each != each else each for each in value.tolist()]
