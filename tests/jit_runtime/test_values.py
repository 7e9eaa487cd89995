"""Taking parts of unions and putting members into them, for all pairs of scalar types."""

from __future__ import annotations

import itertools

import pytest

from lean_agentic.jit_runtime.emitter import Value
from lean_agentic.jit_runtime.layout import Tags, slots
from lean_agentic.jit_runtime.values import (
    NoMachineFormError,
    constant_value,
    likely_first,
    narrowed,
    placed,
    positions,
    widened,
)
from lean_agentic.kernel.builder import constant
from lean_agentic.kernel.types import (
    BOOL,
    COMPLEX,
    FLOAT,
    INT,
    NONE,
    ArrayType,
    ListType,
    NumpyScalar,
    TupleType,
    Type,
    join,
)

TYPES: tuple[Type, ...] = (
    NONE, BOOL, INT, FLOAT, COMPLEX, NumpyScalar("int8"), NumpyScalar("float64"), ListType(INT), ArrayType("int8", 1),
    TupleType((INT, FLOAT, INT)), TupleType((COMPLEX, ListType(INT))),
)  # fmt: skip


def marked(a_type: Type) -> Value:
    """A value whose operands are all different."""
    return Value(a_type, tuple(100.5 + k if letter == "f" else 100 + k for k, letter in enumerate(slots(a_type))))


@pytest.mark.parametrize(("one", "other"), itertools.combinations(TYPES, 2), ids=str)
def test_a_member_comes_out_as_it_went_in(one: Type, other: Type) -> None:
    tags, whole = Tags(), join([one, other])
    for member in (one, other):
        value = marked(member)
        inside = Value(whole, widened(value, whole, tags.of))
        assert inside.operands[0] == tags.of(member)
        assert narrowed(inside, member) == value
        machine = "".join(
            "f" if isinstance(each, float) else "i" if isinstance(each, int) else "p" for each in inside.operands
        )
        assert all(a == b or b == "p" for a, b in zip(machine, slots(whole), strict=True))


@pytest.mark.parametrize("members", itertools.combinations(TYPES[:9], 3), ids=str)
def test_a_part_of_a_union_keeps_its_tag_and_members(members: tuple[Type, ...]) -> None:
    tags, whole, part = Tags(), join(members), join(members[:2])
    for member in members[:2]:
        value = marked(member)
        inside = narrowed(Value(whole, widened(value, whole, tags.of)), part)
        assert narrowed(inside, member) == value
        again = Value(whole, widened(inside, whole, tags.of))
        assert narrowed(again, member) == value
        assert again.operands[0] == tags.of(member)


def test_only_the_slots_of_a_member_are_set() -> None:
    whole = join([INT, FLOAT, COMPLEX])
    assert placed(Value(FLOAT, (2.5,)), whole, Tags().of) == [(0, 3), (2, 2.5)]
    assert positions(whole, join([INT, FLOAT])) == (0, 1, 2)


def test_what_is_no_part_is_refused() -> None:
    with pytest.raises(TypeError, match="float does not fit into int"):
        placed(Value(FLOAT, (2.5,)), INT, Tags().of)
    with pytest.raises(TypeError, match="int is no part of float"):
        positions(FLOAT, INT)


def test_constants() -> None:
    assert constant_value(constant(True)) == Value(BOOL, (1,))
    assert constant_value(constant(1 - 2j)) == Value(COMPLEX, (1.0, -2.0))
    assert constant_value(constant(None)) == Value(NONE, ())
    assert constant_value(constant(-(2**63))).operands == (-(2**63),)
    assert constant_value(constant(2**63), large=True).operands == (2**63,)
    with pytest.raises(NoMachineFormError, match="9223372036854775808"):
        constant_value(constant(2**63))


def test_what_loops_see_most_is_tested_first() -> None:
    assert likely_first(join([NONE, INT, NumpyScalar("int64")])) == (NumpyScalar("int64"), INT, NONE)
    assert likely_first(join([INT, FLOAT, ListType(INT)])) == (ListType(INT), FLOAT, INT)
