"""NumPy scalars among themselves and with Python numbers, against NumPy."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from lean_agentic.kernel.types import BOOL, FLOAT, INT, NumpyScalar, Type
from tests.jit_runtime.arithmetic_trial import NUMPY, binary, intrinsic, is_taken, rows, trial, values

ALL = list(NUMPY.values())
MIXED = [pair for pair in product([BOOL, INT, FLOAT, *ALL], repeat=2) if any(each in ALL for each in pair)]
OPERATORS = ["+", "-", "*", "/", "//", "%", "**", "<<", ">>", "&", "|", "^"]


@pytest.mark.parametrize("operator", OPERATORS)
def test_operators_leave_only_where_numpy_raises(operator: str) -> None:
    emit, meaning = binary(operator)
    for pair in MIXED:
        if is_taken(meaning, pair):
            tally = trial(emit, meaning, pair, rows(pair, 40))
            assert tally is None or not tally.needless, pair


@pytest.mark.parametrize("operator", OPERATORS)
def test_operators_with_a_constant(operator: str) -> None:
    emit, meaning = binary(operator)
    few = [NUMPY[each] for each in ("bool", "int8", "int64", "uint64", "float32", "float64")]
    for each, other in product(few, [BOOL, INT, FLOAT, *few]):
        for known in values(other, 1)[::2]:
            if is_taken(meaning, (each, other)):
                check_constant(emit, meaning, each, known)


def check_constant(emit: Any, meaning: Any, a_type: NumpyScalar, known: Any) -> None:
    for operands in ((a_type, known), (known, a_type)):
        tally = trial(emit, meaning, operands, rows((a_type,), 8))
        assert tally is None or not tally.needless, operands


def test_a_constant_of_64_bits_with_uint64() -> None:
    for operator in ("+", "*", "^", "//", "%"):
        emit, meaning = binary(operator)
        for known in (2**64 - 1, 2**63, 0x9E3779B97F4A7C15):
            assert trial(emit, meaning, (NUMPY["uint64"], known), rows((NUMPY["uint64"],), 40)) is not None
        assert trial(emit, meaning, (NUMPY["uint64"], 2**64), []) is None
        assert trial(emit, meaning, (NUMPY["int64"], 2**63), []) is None


@pytest.mark.parametrize("operator", ["+", "-", "*", "/"])
def test_float32_rounds_once(operator: str) -> None:
    emit, meaning = binary(operator)
    pairs = np.random.default_rng(0).integers(0, 2**32, (4000, 2), dtype=np.uint32).view(np.float32)
    single = NUMPY["float32"]
    tally = trial(emit, meaning, (single, single), [(a, b) for a, b in pairs])
    assert tally is not None
    assert not tally.needless


@pytest.mark.parametrize("types", [(NUMPY["float64"], each) for each in (FLOAT, INT, NUMPY["int64"])], ids=str)
def test_powers_of_float64_have_the_bits_of_the_c_library(types: tuple[Type, ...]) -> None:
    emit, meaning = binary("**")
    rng = np.random.default_rng(1)
    samples = [(np.float64(x), y) for x, y in zip(rng.uniform(0, 50, 3000), rng.uniform(-9, 9, 3000), strict=True)]
    convert: dict[Type, Any] = {FLOAT: float, INT: int, NUMPY["int64"]: np.int64}
    tally = trial(emit, meaning, types, [(x, convert[types[1]](y)) for x, y in samples])
    assert tally is not None
    assert tally.same == 3000


@pytest.mark.parametrize("name", ["divmod", "abs"])
def test_functions(name: str) -> None:
    emit, meaning = intrinsic(name)
    for types in MIXED if name == "divmod" else [(each,) for each in ALL]:
        if is_taken(meaning, types):
            tally = trial(emit, meaning, types, rows(types, 40))
            assert tally is None or not tally.needless, types
            assert tally is not None or NUMPY["float32"] in types
