"""Fitted weights find what the evidence tells, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lean_agentic.agentdb.ranking import PARTS, Evidence, Loans, Part, Weights, fuse
from lean_agentic.agentdb.recall_trace import RecallTrace
from lean_agentic.workbench.memory_weights import LEARNED, _loss, features, fit_weights

NO_LOANS = Loans(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))


def example(rng: np.random.Generator, telling: str, n: int = 12) -> tuple[RecallTrace, set[int]]:
    """A question whose right record is the one with the most of one kind of evidence."""
    columns = {name: rng.random(n) for name in ("similarity", "text", "entities", "time")}
    evidence = Evidence(
        ids=np.arange(1, n + 1), session=np.full(n, -1), age=np.zeros(n), uses=np.zeros(n), loans=NO_LOANS, **columns
    )
    return RecallTrace("q", 1, 0.0, Weights(), evidence), {int(np.argmax(columns[telling])) + 1}


@pytest.mark.parametrize("telling", ["similarity", "text", "entities", "time"])
def test_the_part_that_tells_gets_the_weight(telling: str) -> None:
    rng = np.random.default_rng(1)
    examples = [example(rng, telling) for _ in range(60)]
    weights = fit_weights(examples)
    found = {name: getattr(weights, name) for name in ("similarity", "text", "entities", "time")}
    assert max(found, key=found.__getitem__) == telling
    right = [replace(trace, weights=weights).replay()[0][0] in ids for trace, ids in examples]
    assert np.mean(right) > 0.9
    assert weights.similarity + weights.text == pytest.approx(1, abs=1e-9) or telling not in ("similarity", "text")


def test_what_is_not_learned_is_kept() -> None:
    rng = np.random.default_rng(2)
    start = Weights(recency=0.4, use=0.3, before=(0.1,), half_life=5.0)
    weights = fit_weights([example(rng, "text") for _ in range(5)], start)
    assert (weights.recency, weights.use, weights.before, weights.half_life) == (0.4, 0.3, (0.1,), 5.0)


def test_the_gradient_is_that_of_the_loss() -> None:
    rng = np.random.default_rng(3)
    examples = [(features(trace, Weights()), np.isin(trace.evidence.ids, list(ids))) for trace, ids in
                (example(rng, "text") for _ in range(4))]  # fmt: skip
    weights = rng.random(len(LEARNED))
    _, gradient = _loss(weights, examples)
    for at in range(len(LEARNED)):
        step = np.zeros(len(LEARNED))
        step[at] = 1e-6
        slope = (_loss(weights + step, examples)[0] - _loss(weights - step, examples)[0]) / 2e-6
        assert gradient[at] == pytest.approx(slope, abs=1e-6)


def test_features_are_contributions_before_their_weights() -> None:
    trace, _ = example(np.random.default_rng(4), "text")
    whole = fuse(trace.evidence, Weights()).contributions
    columns = features(trace, Weights())
    for part in (Part.SIMILARITY, Part.TEXT, Part.ENTITIES, Part.TIME):
        weighted = columns[:, LEARNED.index(part)] * getattr(Weights(), part.value)
        np.testing.assert_allclose(weighted, whole[:, PARTS.index(part)])


def test_nothing_to_learn_from_is_said() -> None:
    trace, _ = example(np.random.default_rng(5), "text")
    with pytest.raises(ValueError, match="nothing to learn from"):
        fit_weights([(trace, {999})])
