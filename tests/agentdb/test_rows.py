"""Rows of records: what the columns hold, and how entities are folded."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lean_agentic.agentdb.records import (
    CausalLink,
    Episode,
    Fact,
    Kind,
    LinkKind,
    Pattern,
    Provenance,
    Record,
    Trajectory,
)
from lean_agentic.agentdb.rows import (
    COLUMNS,
    KINDS,
    READ_COLUMNS,
    Role,
    content_hash,
    fold,
    kind_of,
    link_row,
    to_link,
    to_record,
    to_row,
)
from tests.agentdb.store_records import RECORDS


@given(RECORDS)
def test_a_row_becomes_the_record_again(record: Record) -> None:
    columns = to_row(record, 7, 5.0).columns
    back = to_record(columns[: len(READ_COLUMNS)], {})
    assert back.id == 7
    for field in fields(record):
        if field.name != "id":
            assert getattr(back, field.name) == getattr(record, field.name), field.name


@given(RECORDS)
def test_columns_hold_what_is_filtered_by(record: Record) -> None:
    columns = dict(zip(COLUMNS, to_row(record, 7, 5.0).columns, strict=True))
    assert columns["kind"] == kind_of(record)
    assert (columns["tenant"], columns["session"], columns["time"]) == (record.tenant, record.session, record.time)
    assert (columns["text"], columns["archived"], columns["stored"]) == (record.text, record.archived, 5.0)
    assert columns["task_type"] == getattr(record, "task_type", None)
    assert columns["content_hash"] == content_hash(record)
    assert json.loads(columns["metadata"]) == record.metadata


def test_every_kind_has_its_class() -> None:
    assert set(KINDS.values()) == set(Kind)
    assert [kind_of(r) for r in (Episode(""), Fact(""), Trajectory("", ()), Pattern("", "", "", ()))] == list(Kind)


def test_names_of_other_records_are_not_in_the_json() -> None:
    made = Provenance("x", "merged", (901, 902))
    records: list[tuple[Record, Role | None]] = [
        (Episode("e", cites=(903, 904), provenance=made), Role.CITES),
        (Fact("f", sources=(903, 904), provenance=made), Role.SOURCES),
        (Trajectory("t", (), provenance=made), None),
        (Pattern("t", "p", "c", (), trajectories=(903, 904), provenance=made), Role.TRAJECTORIES),
    ]
    for record, role in records:
        row = to_row(record, 1, 5.0)
        assert "90" not in "".join(str(value) for value in row.columns if isinstance(value, str))
        expected = [(Role.PROVENANCE, 0, 901), (Role.PROVENANCE, 1, 902)]
        expected += [(role, 0, 903), (role, 1, 904)] if role else []
        assert list(row.mentions) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [("ANN", "ann"), ("Straße", "STRASSE"), ("ﬁle", "FILE"), ("Å", "A\u030a"), (" x ", "x"), ("Σίσυφος", "ΣΊΣΥΦΟΣ")],
)
def test_spellings_fold_together(one: str, other: str) -> None:
    assert fold(one) == fold(other)


@given(st.text())
def test_folding_is_stable(entity: str) -> None:
    assert fold(fold(entity)) == fold(entity)


def test_accents_are_told_apart() -> None:
    assert len({fold(entity) for entity in ("Zoe", "Zoë", "zö", "Z")}) == 4


def test_hashes_tell_kinds_and_texts_apart() -> None:
    some = [Episode("a"), Episode("b"), Episode("a", "b"), Fact("a"), Trajectory("a", ())]
    assert len({content_hash(record) for record in some}) == len(some)
    assert content_hash(Episode("a", time=1.0, tenant="x")) == content_hash(Episode("a"))


def test_links_come_back() -> None:
    link = CausalLink(1, 2, LinkKind.ENTITY, 0.5, 0.25, 0.75, {"shared": ["x"]}, 9)
    assert to_link((9, *link_row(link))) == link


def test_metadata_that_are_scalars_are_indexed() -> None:
    metadata: dict[str, Any] = {"a": 1, "b": [1], "c": None, "d": {"e": 1}, "f": "x"}
    assert to_row(Episode("e", metadata=metadata), 1, 5.0).metadata == (("a", "1"), ("c", "null"), ("f", '"x"'))
