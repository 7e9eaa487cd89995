"""The memory as a user has it: one folder, stored to, recalled from, closed, opened again."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lean_agentic.agentdb import AgentDB, Episode, Fact, Filter, Step, Trajectory
from lean_agentic.agentdb.embedding import FunctionEmbedding, PrecomputedEmbedding
from lean_agentic.agentdb.errors import RecalledTextError, StoreMismatchError, UnknownRecordError
from lean_agentic.agentdb.near_duplicates import Outcome

WORDS = ("build", "cache", "slow", "test", "hang", "timeout", "flight", "refund", "wheel", "fast", "loop", "vector")


def count_words(texts: Sequence[str]) -> np.ndarray:
    """A bag of words: a real embedding, if a poor one."""
    return np.array([[0.1 + text.lower().count(word) for word in WORDS] for text in texts], np.float32)


EMBEDDING = FunctionEmbedding("bag of words", len(WORDS), count_words)
EPISODES = [
    Episode("the build is slow", "cache the wheels", "the build is fast", entities=("build",), time=1.0),
    Episode("a test hangs", "set a timeout", "the test fails fast", entities=("test",), time=2.0),
    Episode("the flight was cancelled", "ask for a refund", "refund granted", entities=("flight",), time=3.0),
]


@pytest.fixture
def db(tmp_path: Path) -> Iterator[AgentDB]:
    with AgentDB(tmp_path / "memory", embedding=EMBEDDING) as made:
        yield made


def test_the_best_comes_first_and_says_why(db: AgentDB) -> None:
    ids = [each.id for each in db.store_all(EPISODES)]
    found = db.recall("why is the build so slow?", k=2)
    assert found.ids[0] == ids[0]
    assert "build" in found[0].explanation.reason
    assert sum(found[0].explanation.contributions.values()) == pytest.approx(found[0].score, abs=1e-6)


def test_what_was_stored_is_there_after_closing_and_opening(tmp_path: Path) -> None:
    with AgentDB(tmp_path, embedding=EMBEDDING) as db:
        ids = [each.id for each in db.store_all(EPISODES)]
        before = db.recall("refund for a flight", note=False).ids
    with AgentDB(tmp_path, embedding=EMBEDDING, ef_search=99) as db:
        assert [record.text for record in db.get(ids)] == [each.text for each in EPISODES]
        assert db.recall("refund for a flight", note=False).ids == before
        assert db.index.index is not None
        assert db.index.index.ef_search == 99  # type: ignore[attr-defined]
        assert db.check() == []


def test_another_backend_takes_over_the_same_memory(tmp_path: Path) -> None:
    with AgentDB(tmp_path, embedding=EMBEDDING) as db:
        db.store_all(EPISODES)
        before = db.recall("refund for a flight", note=False).ids
    with AgentDB(tmp_path, embedding=EMBEDDING, backend="usearch") as db:
        assert db.recall("refund for a flight", note=False).ids == before


def test_another_embedding_is_refused(tmp_path: Path) -> None:
    AgentDB(tmp_path, embedding=EMBEDDING).close()
    with pytest.raises(StoreMismatchError, match="bag of words"):
        AgentDB(tmp_path, embedding=PrecomputedEmbedding(dimensions=len(WORDS)))


def test_a_repetition_is_merged(db: AgentDB) -> None:
    first, second = db.store_all([EPISODES[0]])[0], db.store(EPISODES[0])
    assert (second.outcome, second.id) == (Outcome.MERGED, first.id)
    assert db.stats().live["episode"] == 1


def test_recalled_text_does_not_come_back_as_news(db: AgentDB) -> None:
    db.store_all(EPISODES)
    (hit,) = db.recall("why is the build so slow?", k=1)
    with pytest.raises(RecalledTextError):
        db.store(Fact(hit.record.text))


def test_tenants_do_not_see_each_other(tmp_path: Path) -> None:
    with AgentDB(tmp_path, embedding=EMBEDDING, tenant="one") as one, AgentDB(tmp_path, embedding=EMBEDDING) as other:
        stored = one.store(EPISODES[0])
        assert one.recall("build").ids == [stored.id]
        assert len(other.recall("build")) == 0
        assert other.recall("build", tenant="one").ids == [stored.id]
        assert other.recall("build", where=Filter(tenant="one")).ids == [stored.id]


def test_what_is_forgotten_is_gone_from_recall_and_from_the_files(db: AgentDB) -> None:
    ids = [each.id for each in db.store_all(EPISODES)]
    db.index.save()
    vector = db.truth.vectors(ids[2:])[0].tobytes()
    assert any(vector in path.read_bytes() for path in db.folder.rglob("*") if path.is_file())
    assert db.forget(ids[2:], thorough=True) == 1
    assert ids[2] not in db.recall("refund for a flight").ids
    with pytest.raises(UnknownRecordError):
        db.get(ids[2:])
    files = [path for path in db.folder.rglob("*") if path.is_file()]
    assert files
    assert not any(b"refund granted" in path.read_bytes() or vector in path.read_bytes() for path in files)


def test_the_bank_lives_in_the_same_memory(db: AgentDB) -> None:
    steps = (Step({"size": 3}, "cache", "ok"),)
    trajectory = db.bank.track(Trajectory("build", steps, "speed the build up"))
    db.bank.judge(trajectory, "success")
    assert db.stats().live["trajectory"] == 1
    assert db.get([trajectory])[0].verdict.value == "success"  # type: ignore[union-attr]


def test_similar_episodes_become_a_fact_that_recall_finds(tmp_path: Path) -> None:
    with AgentDB(tmp_path, embedding=EMBEDDING, duplicates="keep") as db:
        ids = [db.store(replace(EPISODES[0], time=float(at))).id for at in range(5)]  # half a century ago: weak
        report = db.consolidate()
        assert (report.facts, db.stats().live["episode"]) == (1, 0)
        (hit,) = db.recall("why is the build so slow?")
        assert isinstance(hit.record, Fact)
        assert set(hit.record.sources) <= set(ids)
        assert db.consolidate().facts == 0


def test_precomputed_vectors(tmp_path: Path) -> None:
    rows = np.eye(8, dtype=np.float32)
    with AgentDB(tmp_path, embedding=PrecomputedEmbedding(dimensions=8)) as db:
        ids = [each.id for each in db.store_all([Episode(f"number {k}") for k in range(8)], rows)]
        assert db.recall("", k=1, vector=rows[3]).ids == [ids[3]]


def test_wrong_options_are_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has no option ef_serach"):
        AgentDB(tmp_path, embedding=EMBEDDING, ef_serach=5)


def test_a_killed_process_loses_nothing_that_it_was_told_is_stored(tmp_path: Path) -> None:
    code = f"""
import os, signal
from lean_agentic.agentdb import AgentDB, Episode
from lean_agentic.agentdb.embedding import PrecomputedEmbedding
db = AgentDB({str(tmp_path)!r}, embedding=PrecomputedEmbedding(dimensions=3))
for k in range(30):
    print(db.store(Episode(f"episode {{k}}"), [1.0, k, k * k]).id, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False).stdout.split()
    assert len(told) == 30
    with AgentDB(tmp_path, embedding=PrecomputedEmbedding(dimensions=3)) as db:
        assert [record.id for record in db.find()] == [int(each) for each in told]
        assert sorted(db.recall("", k=30, vector=[1.0, 1.0, 1.0]).ids) == sorted(int(each) for each in told)
