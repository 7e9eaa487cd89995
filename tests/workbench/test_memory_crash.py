"""Killing a writer at random moments, and an inspection that notices whatever is wrong."""

from __future__ import annotations

import json
import random
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lean_agentic.agentdb.filters import Filter
from lean_agentic.agentdb.index_sync import IndexSync
from lean_agentic.agentdb.store import Store
from lean_agentic.workbench import memory_crash
from lean_agentic.workbench.memory_crash import (
    DIMENSIONS,
    INDEX,
    Model,
    crash_round,
    index_faults,
    model_of,
    next_free_id,
    perform,
    random_operation,
    vectors_of,
)


@pytest.mark.slow
def test_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    rng = random.Random(3)
    rounds = [crash_round(tmp_path / "memory.db", seed, rng.uniform(0, 0.5)) for seed in range(3)]
    assert [each.faults for each in rounds] == [()] * 3
    assert all(each.acknowledged for each in rounds)
    assert rounds[-1].index in ("loaded", "none")


def play(path: Path, count: int, seed: int = 1) -> tuple[Model, list[str]]:
    """Do some operations; the model, and what the writer would have said."""
    rng, model, said = random.Random(seed), Model(), []
    with Store(path, dimensions=DIMENSIONS) as store:
        for number in range(count):
            operation = random_operation(rng, model, number, next_free_id(store))
            perform(store, operation)
            model = model.after(operation)
            said += [f"begin {json.dumps(operation)}", "done"]
    return model, said


def test_the_model_is_what_the_store_does(tmp_path: Path) -> None:
    model, _ = play(tmp_path / "memory.db", 120)
    assert any(archived for _, archived in model.records.values())
    assert model.links
    with Store(tmp_path / "memory.db") as store:
        assert model_of(store) == model


def inspect(path: Path, said: list[str]) -> memory_crash.CrashRound:
    return memory_crash._inspect(path, Model(), said, [])


def test_an_operation_in_flight_may_be_stored_or_not(tmp_path: Path) -> None:
    _, said = play(tmp_path / "memory.db", 20)
    assert inspect(tmp_path / "memory.db", said).in_flight == ""
    assert inspect(tmp_path / "memory.db", said[:-1]).in_flight.endswith("stored")
    extra = {"name": "add", "ids": [10**6], "texts": ["never stored"]}
    left = inspect(tmp_path / "memory.db", [*said, f"begin {json.dumps(extra)}"])
    assert (left.in_flight, left.faults, left.acknowledged) == ("add absent", (), 20)


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        ("DELETE FROM records WHERE id = (SELECT max(id) FROM records)", "should be"),
        ("UPDATE records SET archived = 1 - archived WHERE id = (SELECT max(id) FROM records)", "should be"),
        ("DELETE FROM links", "links"),
        ("UPDATE vectors SET data = (SELECT data FROM vectors LIMIT 1)", "another text"),
        ("DELETE FROM texts_data WHERE id > 10", "full text"),
    ],
)
def test_losses_are_noticed(tmp_path: Path, damage: str, complaint: str) -> None:
    _, said = play(tmp_path / "memory.db", 40)
    connection = sqlite3.connect(tmp_path / "memory.db")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute(damage)
    connection.commit()
    connection.close()
    assert complaint in "\n".join(inspect(tmp_path / "memory.db", said).faults)


def test_a_wrong_index_is_noticed(tmp_path: Path) -> None:
    with Store(tmp_path / "memory.db", dimensions=DIMENSIONS) as store:
        perform(store, {"name": "add", "ids": [1, 2], "texts": ["a", "b"]})
        sync = IndexSync(store, INDEX, tmp_path / "index")
        sync.catch_up()
        assert list(index_faults(store, sync)) == []
        assert sync.index is not None
        sync.index.add(np.array([1]), vectors_of(["another"]))
        assert list(index_faults(store, sync)) == ["the index holds other vectors than the database"]
        sync.index.remove(np.array([1]))
        assert list(index_faults(store, sync)) == ["the index holds other ids than the database"]
        sync.close()


def test_a_writer_that_ends_by_itself_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Store(tmp_path / "memory.db", dimensions=DIMENSIONS + 1):
        pass
    monkeypatch.setattr(memory_crash, "DIMENSIONS", DIMENSIONS + 1)
    with pytest.raises(RuntimeError, match="see its errors"):
        crash_round(tmp_path / "memory.db", 1, 0.0, readers=0)


def test_operations_are_the_same_for_a_seed() -> None:
    def some(seed: int) -> list[dict[str, Any]]:
        rng = random.Random(seed)
        model = Model(dict.fromkeys(range(20), ("text", False)))
        return [random_operation(rng, model, number, 50) for number in range(30)]

    assert some(1) == some(1) != some(2)
    assert {operation["name"] for operation in some(1)} == {"add", "update", "archive", "forget", "link"}


def test_vectors_belong_to_texts() -> None:
    rows = vectors_of(["a", "b", "a"])
    np.testing.assert_array_equal(rows[0], rows[2])
    assert rows[0] @ rows[1] < 0.9
    assert vectors_of([]).shape == (0, DIMENSIONS)
    assert Filter(archived=None) == memory_crash.ALL
