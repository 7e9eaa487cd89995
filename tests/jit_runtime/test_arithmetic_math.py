"""The functions of `math` against CPython."""

from __future__ import annotations

import random
from itertools import product

import pytest

from lean_agentic.jit_runtime.arithmetic_math import INTEGER_RULES, NATIVE, ROUNDINGS
from lean_agentic.kernel.intrinsics import INTRINSICS
from lean_agentic.kernel.types import BOOL, FLOAT, INT, Type
from tests.jit_runtime.arithmetic_trial import NUMPY, compiled, intrinsic, is_taken, rows, trial, values

TWO = ("atan2", "copysign", "fmod", "hypot", "log", "nextafter", "pow", "remainder")
ONE = [*sorted(NATIVE - set(TWO) - set(INTEGER_RULES) - {"ldexp"}), "log"]
SCALARS = [BOOL, INT, FLOAT, NUMPY["int8"], NUMPY["int64"], NUMPY["uint64"], NUMPY["float32"], NUMPY["float64"]]


def near(name: str) -> list[tuple[float]]:
    """Floats where functions of one argument are interesting."""
    rng = random.Random(name)
    return [(rng.uniform(-low, low),) for low in (1, 2, 10, 750) for _ in range(40)]


@pytest.mark.parametrize("name", ONE)
def test_functions_of_one_argument(name: str) -> None:
    emit, meaning = intrinsic(f"math.{name}")
    for each in SCALARS:
        if is_taken(meaning, (each,)):
            tally = trial(emit, meaning, (each,), rows((each,), 100, more=20) + (near(name) if each == FLOAT else []))
            assert tally is not None
            # -2**63 takes the exit of floats that are too large.
            assert len(tally.needless) <= (2 if name in ROUNDINGS else 0)


@pytest.mark.parametrize("name", TWO)
def test_functions_of_two_arguments(name: str) -> None:
    emit, meaning = intrinsic(f"math.{name}")
    for types in product(SCALARS, repeat=2):
        if is_taken(meaning, types):
            tally = trial(emit, meaning, types, rows(types, 600 if types == (FLOAT, FLOAT) else 40, more=8))
            assert tally is not None
            assert not tally.needless


@pytest.mark.parametrize("name", TWO)
def test_functions_of_two_arguments_with_a_constant(name: str) -> None:
    emit, meaning = intrinsic(f"math.{name}")
    for known in [*values(FLOAT, 2), 2, 10]:
        for operands in ((FLOAT, known), (known, FLOAT)):
            tally = trial(emit, meaning, operands, rows((FLOAT,), 40))
            assert tally is None or not tally.needless


@pytest.mark.parametrize("name", ["gcd", "lcm", "isqrt"])
def test_functions_of_integers(name: str) -> None:
    emit, meaning = intrinsic(f"math.{name}")
    integers = [BOOL, INT, NUMPY["int16"], NUMPY["int64"], NUMPY["uint8"], NUMPY["uint64"]]
    for types in product(integers, repeat=1 if name == "isqrt" else 2):
        tally = trial(emit, meaning, types, rows(types, 150))
        assert tally is not None
        # A uint64 of 2**63 or more has no form as an int; lcm(0, -2**63) is 0.
        assert all(
            "uint64" in str(row) or ("9223372036854775808" in str(row) and name == "lcm") for row in tally.needless
        )


def test_gcd_of_three() -> None:
    types: tuple[Type, ...] = (INT, INT, BOOL)
    assert trial(*intrinsic("math.gcd"), types, rows(types, 200)) is not None
    assert compiled(intrinsic("math.gcd")[0], (INT,)) is None


def test_ldexp() -> None:
    small = [row for row in rows((FLOAT, INT), 2000) if abs(row[1]) < 2200]
    small += [(value, power) for (value, _) in small[:60] for power in (-1074, -1023, -1022, 1022, 1023, 1024)]
    tally = trial(*intrinsic("math.ldexp"), (FLOAT, INT), small)
    assert tally is not None
    assert all(not -1022 <= int(power) <= 1023 for _, power in tally.needless)
    assert tally.same > 500


def test_rounding_of_ints_is_the_int() -> None:
    for name in ROUNDINGS:
        made = compiled(intrinsic(f"math.{name}")[0], (INT,))
        assert made is not None
        assert len(made.function.blocks[0].instructions) == 2


def test_only_functions_of_math_are_called_native() -> None:
    assert {f"math.{name}" for name in NATIVE} <= set(INTRINSICS)
