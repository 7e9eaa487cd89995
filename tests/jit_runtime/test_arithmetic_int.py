"""Ints and bools against CPython."""

from __future__ import annotations

from itertools import product

import pytest

from lean_agentic.kernel.types import BOOL, INT, Type
from tests.jit_runtime.arithmetic_trial import (
    INTS,
    binary,
    compiled,
    intrinsic,
    rows,
    trial,
    values,
)

OPERATORS = ["+", "-", "*", "/", "//", "%", "&", "|", "^", ">>"]
HUGE = [2**63, 2**64 - 1, 2**64, -(2**63) - 1, 2**70, 10**30]


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("types", list(product([BOOL, INT], repeat=2)), ids=str)
def test_operators_leave_only_where_python_raises_or_exceeds_64_bits(operator: str, types: tuple[Type, ...]) -> None:
    tally = trial(*binary(operator), types, rows(types, 1000, more=8))
    assert tally is not None
    assert tally.same
    assert not tally.needless


@pytest.mark.parametrize("operator", OPERATORS)
def test_operators_with_a_constant(operator: str) -> None:
    emit, meaning = binary(operator)
    for known in [True, *values(INT, 4), *HUGE]:
        right, left = (
            trial(emit, meaning, (INT, known), rows((INT,), 40)),
            trial(emit, meaning, (known, INT), rows((INT,), 40)),
        )
        assert not any(each is not None and each.needless for each in (right, left)), known
        if known in INTS[1:] and (operator != ">>" or known >= 0):
            assert right is not None, known


@pytest.mark.parametrize("operator", ["<<", "**"])
def test_shifts_and_powers(operator: str) -> None:
    emit, meaning = binary(operator)
    few = [row for row in rows((INT, INT), 2000) if -3 <= row[1] <= 70]
    tally = trial(emit, meaning, (INT, INT), few)
    assert tally is not None
    # 0 << 64.
    assert len(tally.needless) <= 1
    for count in range(-3, 70):
        trial(emit, meaning, (INT, count), rows((INT,), 40))
        trial(emit, meaning, (BOOL, count), rows((BOOL,), 2))
    for base in INTS:
        trial(emit, meaning, (base, INT), [(count,) for count in range(-3, 70)])


def test_powers_that_just_fit() -> None:
    emit, meaning = binary("**")
    for base, exponent in [(2, 62), (-2, 63), (7, 22), (3, 39), (-(2**21), 3), (55108, 4), (3037000499, 2)]:
        for operands, row in (((INT, exponent), (base,)), ((INT, INT), (base, exponent))):
            tally = trial(emit, meaning, operands, [row])
            assert tally is not None
            assert tally.same == 1


def test_a_mask_of_64_bits() -> None:
    emit, meaning = binary("&")
    for mask in (2**64 - 1, 2**63, 2**64 + 5):
        tally = trial(emit, meaning, (INT, mask), rows((INT,), 100))
        assert tally is not None
        assert not tally.needless


def test_constants_make_short_code() -> None:
    lengths = {
        (operator, known): sum(len(block.instructions) for block in made.function.blocks) - 2
        for operator, known in [("//", 8), ("%", 8), ("*", 2), ("**", 2), ("+", 0), ("//", 10), ("%", 10), ("<<", 3)]
        if (made := compiled(binary(operator)[0], (INT, known)))
    }
    assert lengths == {
        ("//", 8): 1, ("%", 8): 1, ("*", 2): 1, ("**", 2): 1, ("+", 0): 0, ("//", 10): 4, ("%", 10): 4, ("<<", 3): 1,
    }  # fmt: skip


@pytest.mark.parametrize("name", ["divmod", "abs"])
def test_functions(name: str) -> None:
    emit, meaning = intrinsic(name)
    for types in product([BOOL, INT], repeat=2 if name == "divmod" else 1):
        tally = trial(emit, meaning, types, rows(types, 800))
        assert tally is not None
        assert not tally.needless
    if name == "divmod":
        for known in INTS:
            assert (trial(emit, meaning, (INT, known), rows((INT,), 40)) is None) == (known == 0)
