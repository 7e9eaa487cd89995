"""Which patterns fit a situation: the score by its formula, and its laws."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lean_agentic.agentdb.pattern_search import GENERAL, OPEN, hit_of, rank, strength_of
from lean_agentic.agentdb.records import Pattern
from tests.agentdb.made_trajectories import FEW


def pattern(id=1, *, support=30, successes=24.0, base=0.4, **conditions) -> Pattern:
    return Pattern(
        "t", f"Take {id}", "", ("a",), conditions=conditions, support=support, successes=successes, base_rate=base,
        success_low=0.6, success_high=0.9, id=id,
    )  # fmt: skip


def test_score_is_match_times_likeness_times_strength():
    hit = hit_of(pattern(cabin="economy", bags={"at least": 2}), {"cabin": "economy"}, similarity=0.5)
    assert hit is not None
    assert hit.match == (1 + OPEN) / 2
    assert hit.likeness == 0.75
    assert hit.strength == pytest.approx(0.4 * 30 / 40)
    assert hit.score == pytest.approx(hit.match * hit.likeness * hit.strength)
    assert hit.met == ("cabin is economy",)
    assert hit.open == ("bags is at least 2",)


def test_a_contradicted_condition_is_no_hit_and_none_is_less_than_a_met_one():
    assert hit_of(pattern(cabin="economy"), {"cabin": "business"}, None) is None
    assert hit_of(pattern(bags={"at least": 2}), {"bags": 1}, None) is None
    general, met = (
        hit_of(pattern(), {"cabin": "economy"}, None),
        hit_of(pattern(cabin="economy"), {"cabin": "economy"}, None),
    )
    assert (general.match, met.match) == (GENERAL, 1)
    assert met.score > general.score


def test_strength_is_shrunk_by_support():
    assert strength_of(pattern(support=0, successes=0)) == 0
    assert strength_of(pattern(support=3, successes=3, base=0)) < strength_of(
        pattern(support=300, successes=150, base=0)
    )


def test_nested_situations_are_found_by_dotted_paths():
    found = rank(
        [pattern(1, **{"user.tier": "gold"}), pattern(2, **{"user.tier": "silver"})], {"user": {"tier": "gold"}}, {}, 5
    )
    assert [hit.pattern.id for hit in found] == [1]


@FEW
@given(
    st.lists(st.tuples(st.integers(0, 30), st.floats(0, 1), st.floats(0, 1)), max_size=8),
    st.dictionaries(st.integers(1, 8), st.floats(-1, 1)),
    st.integers(1, 9),
    st.randoms(),
)
def test_the_k_best_come_first_whatever_the_order(rows, similarities, k, random):
    patterns = [pattern(at + 1, support=n, successes=n * rate, base=base) for at, (n, rate, base) in enumerate(rows)]
    hits = rank(patterns, {}, similarities, k)
    assert hits == rank(random.sample(patterns, len(patterns)), {}, similarities, k)
    scores = [hit.score for hit in hits]
    assert len(hits) == min(k, len(patterns))
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    everything = rank(patterns, {}, similarities, 99)
    assert hits == everything[:k]


def test_the_explanation_has_the_figures():
    hit = hit_of(pattern(cabin="economy", tier="gold"), {"cabin": "economy"}, 0.62)
    assert hit.explanation == (
        "Take 1: 24 of 30 that did so succeeded (80%, 95% interval 60% to 90%), of comparable ones that did not 40%; "
        "here cabin is economy; not known whether tier is gold; similarity to the tasks behind it 0.62"
    )
    assert repr(hit) == f"<PatternHit {hit.score:.2f} Take 1>"
