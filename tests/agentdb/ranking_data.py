"""Hypothesis strategies for the evidence of a ranking, and its fusion again in plain loops."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import strategies as st

from lean_agentic.agentdb.ranking import Evidence, Loans, Weights

SHARE = st.floats(0, 1)
WEIGHT = st.floats(0, 5)
WEIGHTS = st.builds(
    Weights, similarity=WEIGHT, text=WEIGHT, neighbours=WEIGHT, session=WEIGHT, entities=WEIGHT, time=WEIGHT,
    recency=WEIGHT, use=WEIGHT, lenders=st.integers(0, 5), half_life=st.floats(1, 1e8),
)  # fmt: skip


def floats(values: list[float]) -> np.ndarray:
    return np.array(values, np.float64)


@st.composite
def evidence(draw: Any, most: int = 8) -> Evidence:
    """Any evidence of up to `most` candidates."""
    n = draw(st.integers(0, most))

    def column(values: st.SearchStrategy[float]) -> np.ndarray:
        return floats(draw(st.lists(values, min_size=n, max_size=n)))

    ids = draw(st.lists(st.integers(1, 10**9), min_size=n, max_size=n, unique=True))
    pairs = draw(st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), unique=True)) if n else []
    shares = draw(st.lists(SHARE, min_size=len(pairs), max_size=len(pairs)))
    borrowers, lenders = ([pair[side] for pair in pairs] for side in (0, 1))
    return Evidence(
        ids=np.array(ids, np.int64),
        similarity=column(st.floats(-1, 1) | st.just(math.nan)),
        text=column(st.just(0.0) | st.floats(1e-3, 50)),
        session=column(st.integers(-1, 2)).astype(np.int64),
        entities=column(SHARE),
        time=column(SHARE),
        age=column(st.floats(-1e6, 1e9)),
        uses=column(st.integers(0, 1000)),
        loans=Loans(np.array(borrowers, np.int64), np.array(lenders, np.int64), floats(shares)),
    )


def fused_by_loops(known: Evidence, weights: Weights) -> list[dict[str, float]]:
    """The contributions to each candidate by name, one after the other."""
    cosines = [each for each in known.similarity if not math.isnan(each)]
    best, worst = (max(cosines), min(cosines)) if cosines else (0.0, 0.0)
    spread = max(best - worst, 0.1)
    parts: list[dict[str, float]] = []
    for at in range(len(known.ids)):
        cosine, words = known.similarity[at], max(known.text)
        parts.append(
            {
                "similarity": 0.0 if math.isnan(cosine) else weights.similarity * (1 - (best - cosine) / spread),
                "text": weights.text * known.text[at] / words if words else 0.0,
                "entities": weights.entities * known.entities[at],
                "time": weights.time * known.time[at],
                "recency": weights.recency * 0.5 ** (max(known.age[at], 0) / weights.half_life),
                "use": weights.use * (1 - 0.5 ** (known.uses[at] / 4)),
            }
        )
    own = [part["similarity"] + part["text"] for part in parts]
    for at, part in enumerate(parts):
        session = known.session[at]
        mates = [own[other] for other in range(len(own)) if known.session[other] == session >= 0]
        part["session"] = weights.session * max(mates, default=own[at])
        lent = [
            share * own[lender]
            for borrower, lender, share in zip(known.loans.borrower, known.loans.lender, known.loans.share, strict=True)
            if borrower == at
        ]
        part["neighbours"] = weights.neighbours * sum(sorted(lent, reverse=True)[: weights.lenders])
    return parts
