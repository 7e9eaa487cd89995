"""The fusion against plain loops, and what holds for any evidence."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lean_agentic.agentdb.ranking import (
    PARTS,
    Evidence,
    Loans,
    Weights,
    fuse,
    recency,
    relative_similarity,
    relative_text,
    session_best,
)
from tests.agentdb.ranking_data import WEIGHTS, evidence, floats, fused_by_loops


@given(known=evidence(), weights=WEIGHTS)
def test_parts_are_those_of_plain_loops(known: Evidence, weights: Weights) -> None:
    ranking = fuse(known, weights)
    for row, expected in zip(ranking.contributions, fused_by_loops(known, weights), strict=True):
        np.testing.assert_allclose(row, [expected[part] for part in PARTS], rtol=1e-9, atol=1e-9)


@given(known=evidence(), weights=WEIGHTS)
def test_parts_sum_to_the_score_and_none_is_negative(known: Evidence, weights: Weights) -> None:
    ranking = fuse(known, weights)
    assert (ranking.contributions >= 0).all()
    np.testing.assert_allclose(ranking.contributions.sum(axis=1), ranking.scores, atol=1e-6)


@given(known=evidence(), weights=WEIGHTS)
def test_the_best_come_first_and_ties_go_to_the_smaller_id(known: Evidence, weights: Weights) -> None:
    ranking = fuse(known, weights)
    assert sorted(ranking.order.tolist()) == list(range(len(known.ids)))
    keys = [(-ranking.scores[at], known.ids[at]) for at in ranking.order]
    assert keys == sorted(keys)


@given(known=evidence(), weights=WEIGHTS, seed=st.integers(0, 99))
def test_the_order_of_the_candidates_does_not_matter(known: Evidence, weights: Weights, seed: int) -> None:
    moved = np.random.default_rng(seed).permutation(len(known.ids))
    place = np.argsort(moved)
    loans = Loans(place[known.loans.borrower], place[known.loans.lender], known.loans.share)
    columns = {field.name: getattr(known, field.name)[moved] for field in fields(Evidence) if field.name != "loans"}
    ranking, again = fuse(known, weights), fuse(Evidence(**columns, loans=loans), weights)
    np.testing.assert_allclose(again.contributions, ranking.contributions[moved], rtol=1e-9, atol=1e-12)


@given(known=evidence(), weights=WEIGHTS, at=st.integers(0, 7), column=st.sampled_from(["entities", "time", "uses"]))
def test_more_evidence_never_lowers_a_score(known: Evidence, weights: Weights, at: int, column: str) -> None:
    if at >= len(known.ids):
        return
    more = getattr(known, column).copy()
    more[at] = more[at] + 1
    before, after = fuse(known, weights), fuse(replace(known, **{column: more}), weights)
    assert after.scores[at] >= before.scores[at]
    others = np.arange(len(known.ids)) != at
    np.testing.assert_array_equal(after.scores[others], before.scores[others])


@given(known=evidence(), weights=WEIGHTS)
def test_a_weight_of_zero_switches_a_part_off(known: Evidence, weights: Weights) -> None:
    for at, part in enumerate(PARTS):
        assert not fuse(known, replace(weights, **{part.value: 0.0})).contributions[:, at].any()


@given(known=evidence(), weights=WEIGHTS)
def test_loans_sum_to_what_neighbours_add(known: Evidence, weights: Weights) -> None:
    ranking = fuse(known, weights)
    for at in range(len(known.ids)):
        mine = ranking.lent[known.loans.borrower == at]
        assert (mine > 0).sum() <= weights.lenders
        assert mine.sum() == pytest.approx(ranking.contributions[at, PARTS.index("neighbours")], abs=1e-9)


def test_similarity_is_relative_to_the_best_and_worst_hit() -> None:
    np.testing.assert_allclose(relative_similarity(floats([0.9, 0.4, 0.65, np.nan])), [1, 0, 0.5, 0])
    # Hits that are all alike are all good.
    np.testing.assert_allclose(relative_similarity(floats([0.9, 0.89])), [1, 0.9])
    assert relative_similarity(floats([np.nan, np.nan])).tolist() == [0, 0]
    assert relative_similarity(floats([])).tolist() == []


def test_text_is_relative_to_the_best() -> None:
    np.testing.assert_allclose(relative_text(floats([8, 2, 0])), [1, 0.25, 0])
    assert relative_text(floats([0, 0])).tolist() == [0, 0]


def test_a_session_lends_its_best_and_records_without_one_their_own() -> None:
    sessions = np.array([0, 1, 0, -1, -1])
    assert session_best(sessions, floats([1, 2, 3, 4, 5])).tolist() == [3, 2, 3, 4, 5]
    assert session_best(np.array([-1]), floats([2])).tolist() == [2]


def test_recency_halves_each_half_life_and_the_future_is_now() -> None:
    np.testing.assert_allclose(recency(floats([0, 10, 20, -5]), 10), [1, 0.5, 0.25, 1])


@pytest.mark.parametrize("field", ["similarity", "use", "cause", "half_life"])
@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf")])
def test_impossible_weights_are_refused(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=field):
        Weights(**{field: value})  # type: ignore[arg-type]


def test_impossible_shares_and_half_lives_are_refused() -> None:
    with pytest.raises(ValueError, match="before"):
        Weights(before=(0.4, -0.1))
    with pytest.raises(ValueError, match="half_life must be above 0"):
        Weights(half_life=0)
