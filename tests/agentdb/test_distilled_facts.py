from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lean_agentic.agentdb.consolidation_policy import ConsolidationPolicy
from lean_agentic.agentdb.distilled_facts import (
    Draft,
    Material,
    StatementError,
    contradicts,
    draft_fact,
    extract,
)
from lean_agentic.agentdb.embedding import PrecomputedEmbedding
from lean_agentic.agentdb.records import Episode, Fact
from lean_agentic.agentdb.vector_index import unit_rows
from lean_agentic.agentdb.word_weights import WordWeights, words
from tests.agentdb.consolidation_data import EMBEDDING, WORDS

POLICY = ConsolidationPolicy()
CORPUS = ["the pump is broken", "the valve leaks", "the engine is red", "ok", *WORDS]
WEIGHTS = WordWeights(CORPUS)


def episode(record_id: int, text: str, **fields: Any) -> Episode:
    return Episode(text, id=record_id, **{"time": float(record_id), **fields})


def draft(core: list[Episode], absorbed: list[Episode] = [], **options: Any) -> Draft | None:  # noqa: B006
    everyone = [*core, *absorbed]
    vectors = dict(zip([e.id for e in everyone], EMBEDDING.embed([e.text for e in everyone]), strict=True))
    material = Material(core, absorbed, {**vectors, **options.pop("vectors", {})}, options.pop("fact", None))
    weights = options.pop("weights", WEIGHTS)
    return draft_fact(material, weights, POLICY, options.pop("embedding", EMBEDDING), **options)


def test_the_medoid_speaks_first_and_the_others_add() -> None:
    found = draft(
        [episode(1, "the red pump broken"), episode(2, "the red pump is broken"), episode(3, "red pump is broken. oil")]
    )
    assert found is not None
    assert found.fact.statement == "the red pump is broken\noil"
    assert found.stands_for == (2, 1, 3) == found.fact.sources == found.fact.provenance.records
    assert found.fact.provenance.method == "distilled"
    assert found.vector is not None
    np.testing.assert_array_equal(found.vector, EMBEDDING.embed([found.fact.statement])[0])


def test_confidence_is_the_documented_formula() -> None:
    core = [episode(1, "red pump"), episode(2, "red pump valve"), episode(3, "red pump oil")]
    rows = EMBEDDING.embed([each.text for each in core])
    middle = rows.sum(axis=0) / np.linalg.norm(rows.sum(axis=0))
    found = draft(core)
    assert found is not None
    assert found.fact.confidence == pytest.approx(float((rows @ middle).sum()) / 4, abs=1e-4)
    doubled = draft([*core, *(episode(each.id + 10, each.text) for each in core)])
    assert doubled is not None
    assert doubled.fact.confidence > found.fact.confidence


def test_the_absorbed_are_no_evidence_and_the_empty_no_sources() -> None:
    weights = WordWeights(["the valve leaks", "bolt crew shift", "oil for the engine", *["ok"] * 3])
    found = draft([episode(2, "the valve leaks")], [episode(3, "red oil"), episode(1, "ok")], weights=weights)
    assert found is not None
    assert found.fact.statement == "the valve leaks\nok\nred oil"
    assert found.fact.sources == (2, 3)
    assert found.fact.provenance.records == found.stands_for == (2, 1, 3)
    assert found.fact.confidence == pytest.approx(0.5)


def test_a_contradicting_episode_lowers_confidence_and_is_no_source() -> None:
    good, bad = episode(1, "pump mended", reward=1.0), episode(2, "pump mended", reward=0.0)
    found = draft([good, bad, episode(3, "pump mended", reward=2.0)])
    assert found is not None
    assert found.fact.sources == (1, 3)
    assert found.fact.confidence == pytest.approx(2 / 4, abs=1e-4)
    assert found.fact.provenance.detail["contradicted"] == 1
    assert draft([good, bad]) is None


def test_negation_in_the_same_words_contradicts() -> None:
    def against(one: str, other: str) -> bool:
        return contradicts(episode(1, one), episode(2, other), WEIGHTS)

    assert against("the red pump is broken", "the red pump is not broken")
    assert against("the pump isn't broken", "the pump is broken")
    assert not against("the pump is not broken", "the pump isn't broken")
    assert not against("the red pump is broken", "no oil for the green engine")


def test_what_the_statement_does_not_cover_stays_out() -> None:
    found = draft(
        [episode(1, "red pump valve leak"), episode(2, "red pump valve leak"), episode(3, "red pump valve bolt crew")],
        write=lambda _: "red pump valve leak",
    )
    assert found is not None
    assert found.fact.sources == (1, 2)
    assert draft([episode(1, "red pump"), episode(2, "red pump")], write=lambda _: "something else") is None


def test_a_statement_that_is_too_long_leaves_out_whole_additions() -> None:
    text = extract(["red pump", "bolt crew shift", "oil"], WEIGHTS, len("red pump\noil"))
    assert text == "red pump\noil"


def test_precomputed_vectors_give_the_middle() -> None:
    core = [episode(1, "red pump"), episode(2, "red pump too")]
    rows = EMBEDDING.embed([each.text for each in core])
    found = draft(core, [episode(3, "ok")], embedding=PrecomputedEmbedding(dimensions=rows.shape[1]))
    assert found is not None
    assert found.vector is not None
    np.testing.assert_allclose(found.vector, unit_rows(rows.sum(axis=0), rows.shape[1])[0], atol=1e-6)


def test_without_vectors_words_decide() -> None:
    material = Material([episode(1, "the valve leaks")], [episode(2, "ok")], {})
    found = draft_fact(material, WEIGHTS, POLICY)
    assert found is not None
    assert found.vector is None
    assert found.fact.sources == (1, 2)


def test_fields_that_all_share_are_kept() -> None:
    one = episode(
        1, "red pump", entities=("Ann",), session="s", tenant="t", metadata={"a": 1, "b": 2}, access_count=2,
        last_access=9.0,
    )  # fmt: skip
    two = episode(2, "red pump", entities=("Bob", "Ann"), session="r", tenant="t", metadata={"a": 1, "b": 3})
    found = draft([one, two])
    assert found is not None
    fact = found.fact
    assert (fact.entities, fact.session, fact.tenant, fact.metadata) == (("Ann", "Bob"), "", "t", {"a": 1})
    assert (fact.time, fact.valid_from, fact.access_count, fact.last_access) == (2.0, 2.0, 2, 9.0)


def test_a_fact_takes_in_a_further_episode() -> None:
    first = draft([episode(1, "red pump"), episode(2, "red pump")])
    assert first is not None
    assert first.vector is not None
    known = Fact(**{**vars(first.fact), "id": 9})
    found = draft([episode(5, "red pump oil")], fact=known, vectors={9: first.vector})
    assert found is not None
    assert (found.fact.id, found.fact.statement, found.fact.sources) == (
        9,
        "red pump\nred pump oil",
        (1, 2, 5),
    )
    assert found.stands_for == (5,)
    assert found.fact.confidence > first.fact.confidence
    assert found.fact.time == 5.0


def test_a_writer_that_fails_is_named() -> None:
    def broken(_: object) -> str:
        raise RuntimeError("no credit")

    for write, message in ((broken, "no credit"), (lambda _: "  ", "must be a text"), (lambda _: None, "got None")):
        with pytest.raises(StatementError, match=message):
            draft([episode(1, "red"), episode(2, "red")], write=write)


TEXTS = st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=6).map(" ".join), min_size=1, max_size=6)


@given(TEXTS, st.randoms(use_true_random=False))
def test_order_makes_no_difference_and_sources_are_covered(texts: list[str], random: Any) -> None:
    core = [episode(at + 1, text) for at, text in enumerate(texts)]
    shuffled = random.sample(core, len(core))
    one, other = draft(core), draft(shuffled)
    assert (one and (one.fact, one.stands_for)) == (other and (other.fact, other.stands_for))
    if one is not None:
        assert one.vector is not None
        assert 0 <= one.fact.confidence < 1
        for each in core:
            covered = WEIGHTS.coverage(each.text, words(one.fact.statement)) >= POLICY.coverage
            similar = float(EMBEDDING.embed([each.text])[0] @ one.vector) >= POLICY.similarity
            if each.id in one.fact.sources:
                assert covered or similar
