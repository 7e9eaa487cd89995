"""Recall as a whole: what is found, why, for whom, as of when, and what it leaves behind."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lean_agentic.agentdb.embedding import EmbeddingError, FunctionEmbedding, PrecomputedEmbedding
from lean_agentic.agentdb.errors import FilterError, InvalidVectorError, StoreMismatchError
from lean_agentic.agentdb.filters import Filter
from lean_agentic.agentdb.ranking import PARTS, Part, Weights
from lean_agentic.agentdb.recall import Recall
from lean_agentic.agentdb.recall_result import Timings
from lean_agentic.agentdb.recall_trace import RecallTrace
from lean_agentic.agentdb.recalled_marks import RecalledText
from lean_agentic.agentdb.records import CausalLink, Episode, Fact, LinkKind, Record
from tests.agentdb.recall_memory import DAY, DIMENSIONS, WORDS, Memory, opened

TOPICS = ["kiwi harvest", "train to Zurich", "broken printer", "birthday cake", "tax letter", "garden fence"]
ONLY_SIMILARITY = Weights(similarity=1, text=0, neighbours=0, session=0, entities=0, time=0, recency=0, use=0)


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Memory]:
    with opened(tmp_path) as memory:
        yield memory


@pytest.fixture
def talks(memory: Memory) -> list[int]:
    """Three sessions of four turns, a day apart."""
    records: list[Record] = [
        Episode(
            f"{speaker} on {topic}",
            entities=(speaker,),
            session=f"talk {day}",
            time=1_690_000_000 + day * DAY + turn,
        )
        for day in range(3)
        for turn, (speaker, topic) in enumerate(zip(["Ann", "Bo"] * 2, TOPICS[day : day + 4], strict=True))
    ]
    return memory.add(records)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=st.lists(st.sampled_from(" ".join(TOPICS).split()), min_size=1, max_size=4), k=st.integers(1, 15))
def test_scores_are_sums_and_traces_replay(memory: Memory, words: list[str], k: int) -> None:
    if not memory.store.count():
        memory.add([Episode(topic, session="s", time=float(at)) for at, topic in enumerate(TOPICS * 2)])
    result = memory.recall.recall(" ".join(words), k)
    assert len(result) == min(k, 12)
    for hit in result:
        assert hit.score == hit.explanation.score
        assert sum(hit.explanation.contributions.values()) == pytest.approx(hit.score, abs=1e-6)
    ranking = [(hit.record.id, hit.score) for hit in result]
    assert result.trace.replay() == ranking
    assert result[0].explanation.trace.replay() == ranking
    assert RecallTrace.from_json(json.dumps(result.trace.as_dict())).replay() == ranking


def test_an_explanation_tells_what_counted(memory: Memory, talks: list[int]) -> None:
    memory.store.add_links([CausalLink(talks[0], talks[2], LinkKind.GIVEN, 0.8, 0.7, 0.9)])
    result = memory.recall.recall("What did Ann say of printers on 22 July 2023?", 3)
    why = result[0].explanation
    assert result.ids[0] == why.record == talks[2]
    assert (why.rank, why.words, why.entities) == (1, ("ann", "printers"), ("Ann",))
    assert why.bm25 > 0
    assert why.similarity == pytest.approx(float(memory.store.vectors([talks[2]])[0] @ WORDS.embed([result.query])[0]))
    assert [(step.cause, step.effect, step.kind) for step in why.chain] == [(talks[0], talks[2], LinkKind.GIVEN)]
    assert why.lenders
    assert sum(each.contribution for each in why.lenders) == pytest.approx(why.contributions[Part.NEIGHBOURS])
    assert why.dates == ("22 July 2023",)
    assert "it says “ann” and “printers”" in why.reason
    assert why.reason[0].isupper()
    assert why.reason.endswith(".")


def test_similarity_alone_is_the_exact_order(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    with opened(tmp_path, ONLY_SIMILARITY) as memory:
        words = " ".join(TOPICS).split()
        ids = memory.add([Episode(" ".join(rng.choice(words, 5))) for _ in range(80)])
        query = "kiwi cake tax"
        cosines = memory.store.vectors(ids) @ WORDS.embed([query])[0]
        expected = sorted(zip(-cosines, ids, strict=True))[:10]
        found = memory.recall.recall(query, 10)
        np.testing.assert_allclose(
            [hit.explanation.similarity for hit in found], [-each for each, _ in expected], rtol=1e-5
        )
        # Where cosines differ, the order is theirs.
        distinct = [record_id for cosine, record_id in expected if (np.abs(cosines + cosine) < 1e-6).sum() == 1]
        assert [record_id for record_id in found.ids if record_id in distinct] == distinct


def test_a_tenant_sees_its_own(memory: Memory) -> None:
    mine = memory.add([Episode("kiwi harvest", entities=("Ann",), tenant=tenant, session="s") for tenant in ("a", "b")])
    assert memory.recall.recall("Ann's kiwi", tenant="a").ids == [mine[0]]
    assert memory.recall.recall("Ann's kiwi", where=Filter(tenant="b")).ids == [mine[1]]
    assert memory.recall.recall("Ann's kiwi").ids == []
    with pytest.raises(FilterError, match="tenant 'a' contradicts the filter's 'b'"):
        memory.recall.recall("kiwi", where=Filter(tenant="b"), tenant="a")


def test_as_of_sees_what_was_known_then(memory: Memory) -> None:
    old, new = memory.add([Episode("kiwi harvest", time=10.0), Episode("kiwi harvest", time=20.0)])
    holds, held = memory.add(
        [Fact("kiwis are ripe", valid_from=15.0), Fact("kiwis are green", valid_from=0.0, valid_to=15.0)]
    )
    assert set(memory.recall.recall("kiwi", as_of=12.0).ids) == {old, held}
    assert set(memory.recall.recall("kiwi", where=Filter(as_of=30.0)).ids) == {old, new, holds}
    with pytest.raises(FilterError, match="as_of"):
        memory.recall.recall("kiwi", where=Filter(as_of=30.0), as_of=12.0)


def test_of_equals_the_recent_and_the_used_come_first(memory: Memory) -> None:
    old, new, used = memory.add(
        [Episode("kiwi", time=0.0), Episode("kiwi", time=90 * DAY), Episode("kiwi", time=0.0, access_count=9)]
    )
    assert memory.recall.recall("kiwi", as_of=90 * DAY).ids == [new, used, old]


def test_archived_and_forgotten_records_are_not_recalled(memory: Memory, talks: list[int]) -> None:
    memory.store.archive(talks[:2])
    memory.store.forget(talks[2:4])
    assert not set(talks[:4]) & set(memory.recall.recall("kiwi Zurich printer cake", 12).ids)
    for where in (Filter(archived=True), Filter(everything=True)):
        with pytest.raises(FilterError, match="archived records are not recalled"):
            memory.recall.recall("kiwi", where=where)


def test_a_recall_is_a_use_and_marks_the_texts(memory: Memory, talks: list[int]) -> None:
    result = memory.recall.recall("kiwi harvest", 2)
    for record in memory.store.get(result.ids):
        assert record.access_count == 1
        assert record.last_access is not None
    assert memory.store.count() == len(talks)
    first = result.records[0]
    assert isinstance(first, Episode)
    assert isinstance(first.context, RecalledText)
    assert first.context == memory.store.get([first.id])[0].text
    memory.recall.recall("kiwi harvest", 2, note=False)
    assert memory.store.get(result.ids)[0].access_count == 1


def test_a_batch_gives_what_single_recalls_give(memory: Memory, talks: list[int]) -> None:
    together = memory.recall.recall_batch(TOPICS, 4, note=False)
    for topic, result in zip(TOPICS, together, strict=True):
        alone = memory.recall.recall(topic, 4, note=False)
        assert result.ids == alone.ids
        # Ages differ by the time between the calls.
        np.testing.assert_allclose([hit.score for hit in result], [hit.score for hit in alone], atol=1e-6)
    assert memory.recall.recall_batch([]) == []


def test_recalls_can_be_awaited(memory: Memory, talks: list[int]) -> None:
    async def ask() -> list[list[int]]:
        one, many = await asyncio.gather(
            memory.recall.recall_async("kiwi", 3, note=False), memory.recall.recall_batch_async(["tax"], 3, note=False)
        )
        return [one.ids, many[0].ids]

    expected = [memory.recall.recall(query, 3, note=False).ids for query in ("kiwi", "tax")]
    assert asyncio.run(ask()) == expected


def test_threads_recall_beside_writers(memory: Memory, talks: list[int]) -> None:
    def ask(number: int) -> bool:
        if number % 4 == 0:
            memory.add([Episode(f"note {number} of kiwi", session="late")])
        if number % 8 == 1:
            memory.store.forget([talks[number // 8]])
        result = memory.recall.recall("kiwi cake", 5)
        return len(result) == 5 and result.trace.replay() == [(hit.record.id, hit.score) for hit in result]

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(ask, range(32)))


def test_vectors_may_come_from_the_caller(memory: Memory, talks: list[int]) -> None:
    vector = WORDS.embed(["kiwi harvest"])[0]
    assert memory.recall.recall("", 3, vector=3 * vector, note=False).ids[0] == talks[0]
    batch = memory.recall.recall_batch(["", "tax"], 3, vectors=WORDS.embed(["cake", "tax"]), note=False)
    assert [len(result) for result in batch] == [3, 3]
    precomputed = Recall(memory.store, memory.index, PrecomputedEmbedding(WORDS.name, DIMENSIONS))
    assert precomputed.recall("kiwi harvest", 3, vector=vector, note=False).ids[0] == talks[0]
    with pytest.raises(EmbeddingError, match="makes no vectors of text"):
        precomputed.recall("kiwi")
    with pytest.raises(InvalidVectorError, match="expected vectors of 64 numbers"):
        memory.recall.recall("kiwi", vector=[1.0, 2.0])
    with pytest.raises(ValueError, match="1 vectors for 2 queries"):
        memory.recall.recall_batch(["a", "b"], vectors=[vector])


def test_questions_that_ask_nothing_are_refused(memory: Memory) -> None:
    with pytest.raises(ValueError, match="a query is empty"):
        memory.recall.recall(" ")
    with pytest.raises(ValueError, match="k must be at least 1"):
        memory.recall.recall("kiwi", 0)


def test_an_empty_memory_recalls_nothing(memory: Memory) -> None:
    result = memory.recall.recall("kiwi")
    assert len(result) == 0
    assert result.trace.replay() == []


def test_records_without_vectors_are_found_by_their_words(memory: Memory) -> None:
    [record_id] = memory.store.add([Episode("kiwi harvest")])
    result = memory.recall.recall("kiwis")
    assert result.ids == [record_id]
    assert result[0].explanation.similarity is None


def test_another_embedding_is_refused(memory: Memory) -> None:
    other = FunctionEmbedding("other", DIMENSIONS, lambda texts: np.ones((len(texts), DIMENSIONS)))
    with pytest.raises(StoreMismatchError, match=r"holds vectors of word counts .* not of other"):
        Recall(memory.store, memory.index, other)


def test_timings_tell_the_parts(memory: Memory, talks: list[int]) -> None:
    timings = memory.recall.recall("kiwi").timings
    parts = [getattr(timings, field.name) for field in fields(Timings)]
    assert all(part > 0 for part in parts)
    assert timings.total == pytest.approx(sum(parts))


def test_a_result_reads_as_a_sequence(memory: Memory, talks: list[int]) -> None:
    result = memory.recall.recall("kiwi", 3)
    assert [hit.record for hit in result] == result.records == [hit.record for hit in result[:]]
    assert "kiwi" in repr(result)
    assert set(result[0].explanation.contributions) == set(PARTS)
