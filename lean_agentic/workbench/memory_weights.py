"""Weights of the memory's ranking, fitted to questions whose answers are known.

In: traces of recalls (`RecallResult.trace`) and the ids that should have been found. Out: weights. A record is taken to
be right with a probability that grows with its score (softmax over the candidates of its question); the weights are
those that make the right records most probable. What lies outside the candidates cannot be learned from.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from lean_agentic.agentdb.ranking import PARTS, Part, Weights, fuse
from lean_agentic.agentdb.recall_trace import RecallTrace

LEARNED = (Part.SIMILARITY, Part.TEXT, Part.NEIGHBOURS, Part.SESSION, Part.ENTITIES, Part.TIME)
"""Recency and use depend on when a memory is asked, which old conversations do not tell."""
_RIDGE = 1e-3
Floats = npt.NDArray[np.float64]


def fit_weights(examples: Sequence[tuple[RecallTrace, Collection[int]]], start: Weights | None = None) -> Weights:
    """The weights that make right records most probable.

    Parameters
    ----------
    examples
        A trace and the ids of the right records for each question.
    start
        Keeps what is not learned: shares of neighbours, recency, use.

    Raises
    ------
    ValueError
        No example has a right record among its candidates.
    """
    start = start or Weights()
    usable = [(features(trace, start), np.isin(trace.evidence.ids, list(right))) for trace, right in examples]
    usable = [(columns, right) for columns, right in usable if right.any()]
    if not usable:
        raise ValueError("no question has a right record among its candidates: there is nothing to learn from")
    found = minimize(
        _loss, np.ones(len(LEARNED)), args=(usable,), jac=True, method="L-BFGS-B", bounds=[(0, None)] * len(LEARNED)
    )
    learned = dict(zip(LEARNED, found.x, strict=True))
    # A score of 1 is what the best match in meaning and words has by itself.
    scale = learned[Part.SIMILARITY] + learned[Part.TEXT] or 1.0
    changes: dict[str, Any] = {part.value: float(value / scale) for part, value in learned.items()}
    return replace(start, **changes)


def features(trace: RecallTrace, weights: Weights) -> Floats:
    """(n, learned parts) what each part gives to each candidate, before its weight."""
    ones: dict[str, Any] = {part.value: 1.0 for part in LEARNED if part not in (Part.SIMILARITY, Part.TEXT)}
    columns = fuse(trace.evidence, replace(weights, **ones)).contributions[:, [PARTS.index(part) for part in LEARNED]]
    # Neighbours and session lend a mixture of the two as it is; the two themselves are learned.
    for part in (Part.SIMILARITY, Part.TEXT):
        weight = getattr(weights, part.value)
        columns[:, LEARNED.index(part)] /= weight or 1.0
    return columns


def _loss(weights: Floats, examples: Sequence[tuple[Floats, npt.NDArray[np.bool_]]]) -> tuple[float, Floats]:
    """Mean negative log-probability of the right records, and its gradient."""
    loss, gradient = _RIDGE * float(weights @ weights), 2 * _RIDGE * weights
    for columns, right in examples:
        scores = columns @ weights
        scores -= scores.max()
        probabilities = np.exp(scores) / np.exp(scores).sum()
        loss -= float(np.log(probabilities[right]).mean()) / len(examples)
        gradient = gradient + columns.T @ (probabilities - right / right.sum()) / len(examples)
    return loss, gradient
