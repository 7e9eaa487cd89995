"""Conversions and constants against CPython and NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lean_agentic.jit_runtime.arithmetic_operands import (
    as_double,
    constant,
    fits,
    power_of_two,
    python_value,
    signed,
    wrap,
)
from lean_agentic.jit_runtime.emitter import Emitter, Leave, Value
from lean_agentic.kernel.outcome import fingerprint
from lean_agentic.kernel.types import BOOL, FLOAT, INT, type_of
from tests.jit_runtime.arithmetic_trial import NUMPY, boxed, rows, trial, values


@pytest.mark.parametrize("a_type", [BOOL, INT, FLOAT, *NUMPY.values()], ids=str)
def test_a_constant_comes_back(a_type: Any) -> None:
    for value in values(a_type):
        assert fingerprint(python_value(constant(value, a_type))) == fingerprint(value)


def test_constants_of_other_types() -> None:
    assert constant(None, type_of(None)).operands == ()
    whole = (1, (2.5, True), np.uint64(2**63), 1 - 2j)
    made = constant(whole, type_of(whole))
    assert fingerprint(boxed(made.type, made.operands)) == fingerprint(whole)


def test_the_range_of_machine_ints() -> None:
    assert fits(2**63 - 1)
    assert fits(-(2**63))
    assert not fits(2**63)
    assert signed(2**64 - 1) == -1
    assert [power_of_two(each) for each in (1, 2**70, 0, -2, 6, 4.0, None)] == [0, 70, None, None, None, None, None]


@pytest.mark.parametrize("a_type", [BOOL, INT, FLOAT, *NUMPY.values()], ids=str)
def test_conversion_to_double(a_type: Any) -> None:
    def emit(e: Emitter, operands: list[Value], leave: Leave) -> Value:
        return Value(FLOAT, (as_double(e, operands[0]),))

    assert trial(emit, float, (a_type,), rows((a_type,), 100, more=30)) is not None
    for value in values(a_type):
        assert trial(emit, float, (value,), [()]) is not None


@pytest.mark.parametrize("dtype", [each for each in NUMPY if "int" in each])
def test_wrapping(dtype: str) -> None:
    def emit(e: Emitter, operands: list[Value], leave: Leave) -> Value:
        return Value(NUMPY[dtype], (wrap(e, operands[0].operands[0], dtype),))

    def meaning(value: int) -> Any:
        return np.array([value], "int64").astype(dtype)[0]

    assert trial(emit, meaning, (INT,), rows((INT,), 100, more=30)) is not None
