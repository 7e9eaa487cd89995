"""All pairs of values of narrow NumPy integers, against NumPy."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from tests.jit_runtime.arithmetic_trial import NUMPY, binary, rows, trial

EVERY_FIFTH = range(0, 256, 5)


@pytest.mark.parametrize("operator", ["+", "-", "*", "//", "%", "<<", ">>", "&", "|", "^"])
@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_narrow_integers(operator: str, dtype: str) -> None:
    numbers = np.array([*EVERY_FIFTH, 1, 2, 127, 128, 254], np.uint8).astype(dtype)
    tally = trial(*binary(operator), (NUMPY[dtype], NUMPY[dtype]), list(product(numbers, repeat=2)))
    assert tally is not None
    assert tally.same == len(numbers) ** 2


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "int64", "uint64"])
def test_constant_powers(dtype: str) -> None:
    emit, meaning = binary("**")
    for exponent in range(0, 17):
        tally = trial(emit, meaning, (NUMPY[dtype], exponent), rows((NUMPY[dtype],), 40))
        assert tally is not None
        assert not tally.needless
    assert trial(emit, meaning, (NUMPY[dtype], -1), []) is None
    assert trial(emit, meaning, (NUMPY[dtype], 17), []) is None


@pytest.mark.parametrize("dtype", ["int16", "uint16", "int64", "uint64"])
def test_constant_shifts_and_divisors(dtype: str) -> None:
    known = [np.dtype(dtype).type(each) for each in (0, 1, 2, 7, 8, 15, 16, 63, 64, 100)]
    for operator, each in product(["<<", ">>", "//", "%"], known):
        tally = trial(*binary(operator), (NUMPY[dtype], each), rows((NUMPY[dtype],), 40))
        assert tally is not None
        assert not tally.needless
