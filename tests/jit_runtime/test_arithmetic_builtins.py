"""The built-in functions on scalars against CPython."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from lean_agentic.kernel.intrinsics import range_length
from lean_agentic.kernel.types import BOOL, COMPLEX, FLOAT, INT, Type
from tests.jit_runtime.arithmetic_trial import (
    NUMPY,
    compiled,
    intrinsic,
    is_taken,
    rows,
    trial,
    values,
)

SCALARS = [BOOL, INT, FLOAT, *NUMPY.values()]


@pytest.mark.parametrize("name", ["abs", "bool", "float", "int", "round", "index"])
def test_functions_of_one_argument(name: str) -> None:
    emit, meaning = intrinsic(name)
    for each in SCALARS:
        if is_taken(meaning, (each,)):
            tally = trial(emit, meaning, (each,), rows((each,), 200, more=40))
            assert tally is not None
            assert all("9.223372" in value for (value,) in tally.needless)


def test_conversions_of_complex_are_left_to_python() -> None:
    for name in ("int", "float"):
        assert compiled(intrinsic(name)[0], (COMPLEX,)) is None


@pytest.mark.parametrize("name", ["min", "max"])
def test_extremes(name: str) -> None:
    emit, meaning = intrinsic(name)
    for each in SCALARS:
        for count in (2, 3):
            types = (each,) * count
            tally = trial(emit, meaning, types, rows(types, 300, more=0))
            assert tally is not None
            assert not tally.needless
        for known in values(each, 2):
            tally = trial(emit, meaning, (each, known), rows((each,), 20))
            assert tally is not None
    assert compiled(emit, (INT, FLOAT)) is None


def digits(row: tuple[Any, ...]) -> bool:
    """Few enough for CPython to compute quickly."""
    return abs(int(row[1])) < 400


@pytest.mark.parametrize("value", [BOOL, INT, FLOAT, NUMPY["int8"], NUMPY["uint64"]], ids=str)
def test_rounding_to_digits(value: Type) -> None:
    emit, meaning = intrinsic("round")
    for count in (INT, NUMPY["int8"]):
        tally = trial(emit, meaning, (value, count), filter(digits, rows((value, count), 500)))
        assert tally is not None
        assert all("-" in number for _, number in tally.needless)
        assert value != FLOAT or not tally.needless
    for known in (-2, 0, 3, 30):
        tally = trial(emit, meaning, (value, known), rows((value,), 60))
        assert (tally is None) == (known < 0 and value != FLOAT)
    assert trial(emit, meaning, (FLOAT, None), rows((FLOAT,), 60)) is not None
    assert compiled(emit, (NUMPY["float64"], 2)) is None


def test_pow_is_the_operator() -> None:
    few = [row for row in rows((INT, INT), 1000) if -3 <= row[1] <= 70]
    tally = trial(*intrinsic("pow"), (INT, INT), few)
    assert tally is not None
    assert not tally.needless


STEPS = (1, 2, 3, 8, -1, -2, -7, 2**62, -(2**63), 2**63 - 1)


@pytest.mark.parametrize("step", [*STEPS, INT], ids=str)
def test_range_length(step: Any) -> None:
    emit, _ = intrinsic("range_length")
    ends = [0, 1, 5, -3, 10, 17, 64, 2**40, 2**62, -(2**62), 2**63 - 1, -(2**63)]
    samples = list(product(ends, ends, *([STEPS] if step == INT else [])))
    tally = trial(emit, range_length, (INT, INT, step), samples)
    assert tally is not None
    # Where the distance exceeds 64 bits it leaves.
    assert all(abs(int(row[1]) - int(row[0])) >= 2**63 for row in tally.needless)
    assert trial(emit, range_length, (0, INT, step), [row[1:] for row in samples]) is not None
    assert compiled(emit, (INT, INT, 0)) is None


def test_a_plain_range_takes_two_instructions() -> None:
    made = compiled(intrinsic("range_length")[0], (0, INT, 1))
    assert made is not None
    assert len(made.function.blocks[0].instructions) == 4
