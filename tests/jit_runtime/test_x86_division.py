"""Division by constants: the multipliers by their definition in exact integers, and the code."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lean_agentic.jit_runtime import x86_backend
from lean_agentic.jit_runtime.x86_division import WORD, signed_magic, unsigned_magic
from tests.jit_runtime.test_llvm_operations import DIVISIONS, INTS, signed, straight
from tests.jit_runtime.test_x86_backend import Direct

SOURCE = random.Random(5)
DIVISORS = [2, 3, 5, 6, 7, 10, 12, 25, 60, 100, 641, 1000, 10**9 + 7, 2**31 - 1, 2**31, 2**32 + 1, 10**12, 2**63 - 1]
DIVISORS += [SOURCE.randrange(2, 2**bits) for bits in range(2, 63, 4)]
DIVISORS += [-each for each in DIVISORS] + [-(2**63)]


@given(st.integers(2, WORD - 1), st.integers(0, WORD - 1))
def test_unsigned_multipliers(divisor: int, x: int) -> None:
    multiplier, shift, is_wide = unsigned_magic(divisor)
    assert 0 <= multiplier < WORD
    for value in {x, WORD - 1, x // divisor * divisor, max(0, x // divisor * divisor - 1)}:
        assert (value * (multiplier + WORD * is_wide) >> (64 + shift + is_wide)) == value // divisor


@given(st.integers(-(2**63), 2**63 - 1).filter(lambda each: abs(each) > 1), st.integers(-(2**63), 2**63 - 1))
def test_signed_multipliers(divisor: int, x: int) -> None:
    multiplier, shift = signed_magic(divisor)
    exact = multiplier + WORD * ((divisor > 0) - (divisor < 0)) * ((multiplier < 0) != (divisor < 0))
    for value in (x, 2**63 - 1, -(2**63)):
        high = value * exact >> (64 + shift)
        assert high + (high < 0) == abs(value) // abs(divisor) * (1 if (value < 0) == (divisor < 0) else -1)


@pytest.mark.skipif(not x86_backend.available(), reason="needs x86-64 with AVX and BMI2")
@pytest.mark.parametrize("divisor", DIVISORS)
def test_code(divisor: int) -> None:
    names = list(DIVISIONS)
    run = Direct(straight("i", "iiii", lambda e, a: [e.op(name, "i", a, divisor) for name in names]))
    for x in {*INTS, *(signed(k * divisor + d) for k in (-3, -1, 1, 2) for d in (-1, 0, 1))}:
        assert run.value(x) == [signed(DIVISIONS[name](x, divisor)) for name in names]
