"""Patterns read for a look-up, against the whole records."""

from dataclasses import replace

import pytest

from lean_agentic.agentdb.pattern_table import newest_behind, pattern_heads
from lean_agentic.agentdb.records import Pattern
from lean_agentic.agentdb.store import Store
from tests.agentdb.made_trajectories import made


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "memory.db") as store:
        yield store


def pattern(title, *trajectories, **fields) -> Pattern:
    return Pattern(
        fields.pop("task_type", "t"),
        title,
        "",
        ("a",),
        trajectories=trajectories,
        conditions={"x": {"at least": 2.5}},
        **fields,
    )


def test_heads_are_the_patterns_in_use_without_their_trajectories(store):
    behind = store.add([made("respond") for _ in range(4)])
    ids = store.add(
        [
            pattern("one", *behind, support=4, successes=2.5),
            pattern("retired", *behind, retired=True),
            pattern("elsewhere", *behind, tenant="other"),
            pattern("other type", *behind, task_type="u"),
            pattern("archived", *behind),
            pattern("two"),
        ]
    )
    store.archive([ids[4]])
    with store.read() as connection:
        heads = pattern_heads(connection, "default", "t")
    assert heads == [replace(record, trajectories=()) for record in store.get([ids[0], ids[5]])]


def test_the_newest_trajectories_behind_each(store):
    behind = store.add([made("respond") for _ in range(6)])
    first, second, third = store.add([pattern("a", *behind[::-1]), pattern("b", behind[0], behind[3]), pattern("c")])
    with store.read() as connection:
        assert newest_behind(connection, [first, second, third], 3) == {
            first: behind[3:],
            second: [behind[0], behind[3]],
            third: [],
        }
        assert newest_behind(connection, [], 3) == {}
