"""Filters against plain Python over the records, for any records and any filter."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lean_agentic.agentdb.errors import FilterError
from lean_agentic.agentdb.filters import WITH_TASK_TYPE, Filter, condition
from lean_agentic.agentdb.records import Episode, Fact, Kind, Pattern, Record, Step, Trajectory
from lean_agentic.agentdb.rows import kind_of
from lean_agentic.agentdb.store import Store

# Few values, so that filters match.
TENANTS = st.sampled_from(["default", "other", "Ünïcode"])
SESSIONS = st.sampled_from(["", "s1", "s2"])
TIMES = st.sampled_from([0.0, 1.0, 1.5, 2.0, 3.0])
ENTITIES = st.sampled_from(["Ann", "ANN", "straße", "STRASSE", "Zoë", "zoe"])
TASKS = st.sampled_from(["a.b", "c.d"])
SCALARS: Any = st.sampled_from([None, True, False, 0, 1, 1.0, 2.5, "", "1", "true", "x" * 300, "x" * 299 + "y", 2**80])
METADATA = st.dictionaries(st.sampled_from(["k", "l", "k'\"."]), SCALARS | st.just([1]), max_size=2)
SHARED: Any = {
    "time": TIMES, "tenant": TENANTS, "session": SESSIONS, "metadata": METADATA, "archived": st.booleans(),
}  # fmt: skip
NAMED: Any = {"entities": st.lists(ENTITIES, max_size=2).map(tuple), **SHARED}
RECORDS: Any = st.lists(
    st.builds(Episode, st.just("e"), **NAMED)
    | st.builds(Fact, st.just("f"), valid_from=st.none() | TIMES, valid_to=st.none() | st.just(4.0), **NAMED)
    | st.builds(Fact, st.just("f"), valid_to=TIMES, **NAMED)
    | st.builds(Trajectory, TASKS, st.just((Step({}, "a"),)), **SHARED)
    | st.builds(Pattern, TASKS, st.just("t"), st.just("c"), st.just(()), **SHARED),
    max_size=12,
)


def maybe(values: Any) -> Any:
    return st.none() | values


@st.composite
def filters(draw: Any, ids: list[int]) -> Filter:
    fields: dict[str, Any] = {
        "kinds": maybe(st.lists(st.sampled_from(Kind), max_size=3)), "tenant": maybe(TENANTS),
        "session": maybe(SESSIONS), "ids": maybe(st.lists(st.sampled_from([*ids, 10**9]))), "after": maybe(TIMES),
        "before": maybe(TIMES), "as_of": maybe(TIMES), "entities": maybe(st.lists(ENTITIES, max_size=2)),
        "archived": st.sampled_from([None, True, False]),
        "where": st.dictionaries(st.sampled_from(["k", "k'\"."]), SCALARS, max_size=2), "task_type": maybe(TASKS),
    }  # fmt: skip
    # Two or three conditions at a time: all at once match nothing.
    names = draw(st.lists(st.sampled_from(sorted(fields)), max_size=3, unique=True))
    try:
        return Filter(**{name: draw(fields[name]) for name in names})
    except FilterError:
        return Filter()


def same(one: Any, other: Any) -> bool:
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def passes(record: Record, where: Filter) -> bool:
    """What the docstrings of Filter say, word by word."""
    if where.everything:
        return True
    if isinstance(record, Fact):
        held = where.as_of is None or (
            (record.valid_from is None or record.valid_from <= where.as_of)
            and (record.valid_to is None or where.as_of < record.valid_to)
        )
    else:
        held = where.as_of is None or record.time <= where.as_of
    names = {name.casefold() for name in getattr(record, "entities", ())}
    return (
        held
        and (where.archived is None or record.archived == where.archived)
        and (where.kinds is None or kind_of(record) in where.kinds)
        and (where.tenant is None or record.tenant == where.tenant)
        and (where.session is None or record.session == where.session)
        and (where.ids is None or record.id in where.ids)
        and (where.after is None or record.time >= where.after)
        and (where.before is None or record.time < where.before)
        and (where.entities is None or bool(names & {name.casefold() for name in where.entities}))
        and (where.task_type is None or getattr(record, "task_type", None) == where.task_type)
        and all(key in record.metadata and same(record.metadata[key], value) for key, value in where.where.items())
    )


def test_a_filter_is_what_it_says(tmp_path: Path) -> None:
    with Store(tmp_path / "memory.db") as store:

        @given(st.data())
        @settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
        def check(data: Any) -> None:
            with store.write() as connection:
                connection.execute("DELETE FROM records")
                records = store.get(store.add(data.draw(RECORDS)))
            for _ in range(4):
                where = data.draw(filters([record.id for record in records]))
                expected = [record for record in records if passes(record, where)]
                assert store.ids(where).tolist() == [record.id for record in expected]
                assert store.count(where) == len(expected)
                by_time = sorted(expected, key=lambda record: (record.time, record.id))
                assert store.find(where) == by_time
                assert store.find(where, order="-time", limit=2) == by_time[::-1][:2]
                assert store.find(where, order="id", limit=1) == expected[:1]
            assert store.count(Filter(everything=True)) == len(records)

        check()


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"everything": True, "tenant": "x"}, "everything=True contradicts"),
        ({"everything": True, "ids": []}, "everything=True contradicts"),
        ({"after": 2.0, "before": 2.0}, "leave no time between"),
        ({"after": math.nan}, "after must be a finite time"),
        ({"as_of": "yesterday"}, "as_of must be a finite time"),
        ({"kinds": ["person"]}, "kinds cannot be"),
        ({"ids": ["a"]}, "ids cannot be"),
        ({"tenant": ""}, "tenant=''"),
        ({"tenant": 5}, "tenant must be a string"),
        ({"entities": [5]}, "an entity must be a string"),
        ({"where": {"a": [1]}}, "can only be compared with a string"),
        ({"where": {"a": math.inf}}, "metadata never hold inf"),
        ({"where": {5: 1}}, "metadata keys are strings"),
        ({"kinds": [Kind.EPISODE], "task_type": "x"}, "only trajectories and patterns"),
    ],
)
def test_filters_that_cannot_be_meant_are_refused(fields: dict[str, Any], complaint: str) -> None:
    with pytest.raises(FilterError, match=complaint):
        Filter(**fields)


def test_one_string_is_one_member() -> None:
    assert Filter(kinds=Kind.FACT).kinds == (Kind.FACT,)
    assert Filter(entities="Bob").entities == ("Bob",)


def test_the_key_tells_filters_apart() -> None:
    some = [
        Filter(), Filter(archived=None), Filter(archived=True), Filter(tenant="a"), Filter(session="a"),
        Filter(where={"a": 1}), Filter(where={"a": "1"}), Filter(where={"a": True}), Filter(everything=True),
        Filter(after=1.0), Filter(before=1.0), Filter(ids=[]), Filter(kinds=WITH_TASK_TYPE), Filter(entities=()),
    ]  # fmt: skip
    assert len({where.key for where in some}) == len(some)
    assert Filter(ids=[2, 1], kinds=["fact", "episode"]).key == Filter(ids=(1, 2), kinds=("episode", "fact")).key


def test_which_filters_allow_all_that_is_in_use() -> None:
    assert Filter().allows_all_live
    assert Filter(archived=None).allows_all_live
    assert Filter(everything=True).allows_all_live
    assert not Filter(archived=True).allows_all_live
    assert not Filter(ids=[]).allows_all_live
    assert not Filter(where={"a": None}).allows_all_live


@pytest.mark.parametrize(
    ("where", "index"),
    [
        (Filter(tenant="x"), "COVERING INDEX records_tenant"),
        (Filter(after=1.0), "COVERING INDEX records_time"),
        (Filter(session="x", tenant="y"), "COVERING INDEX records_session"),
        (Filter(kinds=[Kind.FACT]), "COVERING INDEX records_kind"),
        (Filter(task_type="x"), "INDEX records_task_type"),
        (Filter(entities=["x"], tenant="y"), "COVERING INDEX record_entities_folded"),
        (Filter(where={"x": 1}, tenant="y", session="z"), "INDEX records_session"),
        (Filter(where={"x": 1}, tenant="y"), "COVERING INDEX record_metadata_value"),
        (Filter(ids=[1, 2]), "INTEGER PRIMARY KEY"),
    ],
)
def test_filters_find_by_an_index(tmp_path: Path, where: Filter, index: str) -> None:
    which = condition(where)
    with Store(tmp_path / "memory.db") as store, store.read() as connection:
        plan = connection.execute(
            f"EXPLAIN QUERY PLAN SELECT id FROM records WHERE {which.sql}", which.parameters
        ).fetchall()
    assert any(index in line[3] for line in plan), plan
    assert not any(line[3].startswith("SCAN records") for line in plan), plan
