"""Runtime functions of compiled code against what Python computes, by bits, on boundary values and random ones."""

from __future__ import annotations

import ctypes
import math
import os
import random
import struct
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import pytest

from lean_agentic.jit_runtime import _native
from lean_agentic.jit_runtime.runtime_functions import ONE_ARGUMENT, RUNTIME_FUNCTIONS, TWO_ARGUMENTS

EXAMPLES = int(os.environ.get("NATIVE_EXAMPLES", "3000"))
"""Random arguments of each function; 100000 for a campaign."""
TYPES = {"i": ctypes.c_int64, "f": ctypes.c_double, "p": ctypes.c_void_p}
INTS = [0, 1, -1, 2, -2, 3, -7, 10, 255, 2**31, 2**53 - 1, 2**53, 2**53 + 1, -(2**53) - 1, 2**62, 2**63 - 1, -(2**63)]
FLOATS = [
    0.0, -0.0, 1.0, -1.0, 0.5, 1.5, 2.5, -2.5, 0.1, 3.0, 170.6, 171.7, -170.5, 2.0**53, 2.0**63, -(2.0**63), 1e22,
    1e300, -1e300, 5e-324, -5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 709.0, 710.0, -745.5, 1e-8,
    math.inf, -math.inf, math.nan,
]  # fmt: skip


@cache
def function(name: str) -> Callable[..., Any]:
    """The runtime function, called with the GIL."""
    signature = RUNTIME_FUNCTIONS[name]
    arguments = [TYPES[letter] for letter in signature.arguments]
    return ctypes.PYFUNCTYPE(TYPES[signature.result], *arguments)(_native.runtime_addresses()[name])


def bits(value: float) -> Any:
    return "nan" if value != value else struct.pack("<d", value)


def random_float(rng: random.Random) -> float:
    kind = rng.randrange(4)
    if kind == 0:
        return struct.unpack("<d", rng.getrandbits(64).to_bytes(8, "little"))[0]
    if kind == 1:
        return rng.uniform(-1.5, 1.5)
    return rng.uniform(-50, 50) if kind == 2 else rng.choice(FLOATS)


def random_int(rng: random.Random) -> int:
    return rng.choice((1, -1)) * rng.getrandbits(rng.randrange(1, 64))


def floats(count: int) -> Iterable[tuple[float, ...]]:
    rng = random.Random(count)
    yield from [(x,) for x in FLOATS] if count == 1 else [(x, y) for x in FLOATS for y in FLOATS]
    for _ in range(EXAMPLES):
        yield tuple(random_float(rng) for _ in range(count))


def ints() -> Iterable[tuple[int, int]]:
    rng = random.Random(7)
    yield from [(a, b) for a in INTS for b in INTS]
    for _ in range(EXAMPLES):
        a = random_int(rng)
        yield a, rng.choice((random_int(rng), a + rng.randrange(-3, 4), rng.randrange(1, 99))) % 2**63
        yield -abs(a), random_int(rng)


def test_the_table_is_that_of_runtime_functions() -> None:
    assert tuple(RUNTIME_FUNCTIONS) == _native.RUNTIME_NAMES


@pytest.mark.parametrize("name", ONE_ARGUMENT)
def test_math_of_one(name: str) -> None:
    compare(f"math_{name}", getattr(math, name), floats(1))


@pytest.mark.parametrize("name", TWO_ARGUMENTS)
def test_math_of_two(name: str) -> None:
    compare(f"math_{name}", getattr(math, name), floats(2))


def compare(name: str, expected: Callable[..., Any], examples: Iterable[tuple[Any, ...]]) -> None:
    """Same bits wherever Python does not raise."""
    found = function(name)
    for arguments in examples:
        try:
            right = expected(*arguments)
        except (ValueError, OverflowError, ZeroDivisionError):
            found(*arguments)
            continue
        assert bits(found(*arguments)) == bits(right), (name, arguments)


def test_squares_and_roots_are_those_of_pow() -> None:
    # `x ** 2` is pow, which here and there differs from `x * x` in the last bit.
    for exponent in (2.0, 0.5, 3.0, 1.5):
        compare("math_pow", math.pow, ((x, exponent) for (x,) in floats(1)))
    rng = random.Random(9)
    near = [rng.uniform(1, 2) for _ in range(30 * EXAMPLES)]
    for exponent in (2.0, 0.5, 3.0, 1.5):
        compare("math_pow", math.pow, ((x, exponent) for x in near))
    assert EXAMPLES < 1000 or any(x * x != math.pow(x, 2.0) for x in near)


def test_remainders_half_way() -> None:
    rng = random.Random(5)
    halves = [(k * y / 2, y) for k in range(-9, 10) for y in (1.0, -3.0, 5e-324, 0.1, 1e308, 2.0**-1070)]
    close = [(x * rng.choice((1, 1 + 2**-52)), y) for x, y in halves for _ in range(9)]
    compare("math_remainder", math.remainder, [*halves, *close, (2.7752907654793204e-256, 2.2250738585072014e-308)])


def test_floor_division_and_remainder() -> None:
    compare("float_floordiv", lambda a, b: a // b, floats(2))
    compare("float_mod", lambda a, b: a % b, floats(2))


def test_true_division() -> None:
    compare("int_true_divide", lambda a, b: a / b, (pair for pair in ints() if pair[1]))


def test_powers_of_ints() -> None:
    rng = random.Random(1)
    bases = INTS + [rng.randrange(-100, 100) for _ in range(200)] + [random_int(rng) for _ in range(200)]
    out = ctypes.c_int64()
    for base in bases:
        for exponent in [*range(0, 12), 20, 31, 62, 63, 64, 65, 2**40, 2**40 + 1]:
            overflow = function("int_power")(base, exponent, ctypes.addressof(out))
            right = base**exponent if exponent < 100 or abs(base) < 2 else 2**64
            assert overflow == (not -(2**63) <= right < 2**63), (base, exponent)
            assert overflow or out.value == right


def test_comparing_ints_with_floats() -> None:
    rng = random.Random(2)
    near = [(a, float(a) + d) for a in INTS for d in (-1.0, -0.5, 0.0, 0.5, 1.0)] + [
        (a, x) for a in INTS for x in FLOATS
    ]
    for a, x in near + [(random_int(rng), random_float(rng)) for _ in range(EXAMPLES)]:
        right = 2 if x != x else (a > x) - (a < x)
        assert function("compare_int_float")(a, x) == right, (a, x)


def test_complex_numbers() -> None:
    rng = random.Random(3)
    parts = [0.0, -0.0, 1.0, -2.0, 0.5, 3.0, -3.0, 1e200, 1e-200, 100.0, 101.0, -7.0, math.inf, math.nan]
    numbers = [complex(rng.choice(parts), rng.choice(parts)) for _ in range(300)]
    numbers += [complex(rng.uniform(-4, 4), rng.uniform(-4, 4)) for _ in range(100)]
    numbers += [complex(k, 0.0) for k in range(-5, 6)]
    out = (ctypes.c_double * 2)()
    for _ in range(EXAMPLES):
        a, b = rng.choice(numbers), rng.choice(numbers)
        for name, operation in (("complex_divide", lambda: a / b), ("complex_power", lambda: a**b)):  # noqa: B023
            try:
                right: complex | None = operation()
            except (ZeroDivisionError, OverflowError):
                right = None
            failed = function(name)(a.real, a.imag, b.real, b.imag, ctypes.addressof(out))
            assert failed == (right is None), (name, a, b)
            assert right is None or [bits(x) for x in out] == [bits(right.real), bits(right.imag)], (name, a, b)
        compare("complex_abs", lambda re, im: abs(complex(re, im)), [(a.real, a.imag)])


def test_rounding() -> None:
    rng = random.Random(4)

    def examples() -> Iterable[tuple[float, int]]:
        for x in FLOATS:
            yield from ((x, digits) for digits in range(-25, 30))
        for _ in range(EXAMPLES):
            x = rng.choice(
                (rng.uniform(-1e4, 1e4), rng.randrange(-9999, 9999) / 8, random_float(rng), float(random_int(rng)))
            )
            yield x, rng.choice((rng.randrange(-3, 6), rng.randrange(-25, 30), rng.randrange(-400, 400)))
            yield float(f"{rng.randrange(10**6)}.{rng.randrange(10**4)}5"), 4
            yield rng.randrange(10**9) * 5.0, rng.randrange(-4, 1)
        yield from [(1.5, 2**62), (1.5, -(2**63)), (2.675, 2), (1e23, -22), (5e22, -23), (1.7e308, -308)]

    compare("round_digits", round, examples())


def test_greatest_common_divisors_and_roots() -> None:
    for a, b in ints():
        right = math.gcd(a, b)
        assert function("int_gcd")(a, b) == (right if right < 2**63 else -(2**63))
        n = abs(a) if a != -(2**63) else 2**63 - 1
        assert function("int_isqrt")(n) == math.isqrt(n)
    for root in [1, 2, 3037000499, 94906265, 94906266]:
        for n in (root * root - 1, root * root, root * root + 1):
            assert function("int_isqrt")(n) == math.isqrt(n)
