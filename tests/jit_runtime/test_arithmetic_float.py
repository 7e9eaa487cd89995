"""Floats, also with ints and bools, against CPython."""

from __future__ import annotations

from itertools import product

import pytest

from lean_agentic.kernel.types import BOOL, FLOAT, INT, Type
from tests.jit_runtime.arithmetic_trial import FLOATS, INTS, binary, intrinsic, rows, trial, values

OPERATORS = ["+", "-", "*", "/", "//", "%", "**"]
PAIRS = [pair for pair in product([BOOL, INT, FLOAT], repeat=2) if FLOAT in pair]


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("types", PAIRS, ids=str)
def test_operators_leave_only_where_python_raises_or_gives_a_complex(operator: str, types: tuple[Type, ...]) -> None:
    tally = trial(*binary(operator), types, rows(types, 1200, more=10))
    assert tally is not None
    assert tally.same
    assert not tally.needless


@pytest.mark.parametrize("operator", OPERATORS)
def test_operators_with_a_constant(operator: str) -> None:
    emit, meaning = binary(operator)
    for known in [*FLOATS, 4.0, 1024.0, 2.0**999, True, *INTS]:
        right = trial(emit, meaning, (FLOAT, known), rows((FLOAT,), 60))
        left = trial(emit, meaning, (known, FLOAT), rows((FLOAT,), 60))
        assert left is not None
        assert not left.needless
        assert (right is None) == (known == 0 and operator in ("/", "//", "%"))
        assert right is None or not right.needless


def test_constants_beyond_the_doubles() -> None:
    emit, meaning = binary("+")
    assert trial(emit, meaning, (FLOAT, 10**400), rows((FLOAT,), 5)) is None
    assert trial(emit, meaning, (FLOAT, 2**70), rows((FLOAT,), 60)) is not None


@pytest.mark.parametrize("known", [1.0, 2.0, 64.0, 2.0**60])
def test_scaling_by_a_constant_power_of_two(known: float) -> None:
    halves = [(known * k / 4 + d,) for k in range(-9, 9) for d in (0.0, 1e-9, -1e-300, 5e-324)]
    for operator in ("//", "%"):
        tally = trial(*binary(operator), (FLOAT, known), halves + [(each,) for each in values(FLOAT, 300)])
        assert tally is not None
        assert not tally.needless


@pytest.mark.parametrize("types", PAIRS, ids=str)
def test_divmod(types: tuple[Type, ...]) -> None:
    tally = trial(*intrinsic("divmod"), types, rows(types, 1000))
    assert tally is not None
    assert not tally.needless
