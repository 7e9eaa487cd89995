"""Complex numbers against CPython."""

from __future__ import annotations

from itertools import product

import pytest

from lean_agentic.kernel.types import BOOL, COMPLEX, FLOAT, INT, Type
from tests.jit_runtime.arithmetic_trial import NUMPY, binary, compiled, intrinsic, is_taken, rows, trial, values

PAIRS = [pair for pair in product([BOOL, INT, FLOAT, COMPLEX], repeat=2) if COMPLEX in pair]


@pytest.mark.parametrize("operator", ["+", "-", "*", "/", "**"])
@pytest.mark.parametrize("types", [*PAIRS, (COMPLEX, NUMPY["float64"])], ids=str)
def test_operators_leave_only_where_python_raises(operator: str, types: tuple[Type, ...]) -> None:
    tally = trial(*binary(operator), types, rows(types, 600))
    assert tally is not None
    assert tally.same
    assert not tally.needless


@pytest.mark.parametrize("operator", ["+", "-", "*", "/", "**"])
def test_operators_with_a_constant(operator: str) -> None:
    for known in [1j, 2.5, -1, True, *values(COMPLEX)]:
        for operands in ((COMPLEX, known), (known, COMPLEX)):
            tally = trial(*binary(operator), operands, rows((COMPLEX,), 30))
            assert tally is not None
            assert not tally.needless


def test_abs_leaves_for_infinities_and_nan() -> None:
    tally = trial(*intrinsic("abs"), (COMPLEX,), rows((COMPLEX,), 100, more=40))
    assert tally is not None
    assert tally.same >= 40
    assert all("nan" in each or "inf" in each for (each,) in tally.needless)


def test_complex() -> None:
    emit, meaning = intrinsic("complex")
    scalars = [BOOL, INT, FLOAT, COMPLEX, NUMPY["int8"], NUMPY["uint64"], NUMPY["float32"], NUMPY["float64"]]
    for types in [*product(scalars), *product(scalars, repeat=2)]:
        tally = trial(emit, meaning, types, rows(types, 60))
        assert (tally is None) == (len(types) == 2 and COMPLEX in types)
        assert tally is None or not tally.needless
    assert is_taken(meaning, (COMPLEX, COMPLEX))
    assert compiled(emit, (10**400,)) is None
