"""Compares emitted arithmetic with CPython: same value by type and bits, or the exit taken where CPython raises.

In: a function that emits, the Python function it stands for, operand types and values. Out: `Tally`, after assertions.
"""

from __future__ import annotations

import math
import random
import struct
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np

from lean_agentic.jit_runtime import arithmetic
from lean_agentic.jit_runtime.arithmetic_operands import constant, fits, python_value
from lean_agentic.jit_runtime.emitter import Emitter, Leave, Value
from lean_agentic.jit_runtime.layout import slots
from lean_agentic.jit_runtime.lir import Exit, Function, Mode
from lean_agentic.kernel.errors import UnsupportedError
from lean_agentic.kernel.intrinsics import INTRINSICS
from lean_agentic.kernel.operation_types import BINARY, COMPARE, probed
from lean_agentic.kernel.outcome import fingerprint
from lean_agentic.kernel.types import BOOL, COMPLEX, FLOAT, INT, NumpyScalar, TupleType, Type, type_of
from tests.jit_runtime.lir_interpreter import ExitTaken, run

Emit = Callable[[Emitter, list[Value], Leave], Value | None]
LEAVE = Exit(0, Mode.LEAVE, ())
NUMPY = {name: NumpyScalar(name) for name in (
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64",
)}  # fmt: skip
PYTHON = [BOOL, INT, FLOAT]
INTS = [
    0, 1, -1, 2, -2, 3, 5, -7, 10, 63, 64, 127, 128, -128, 255, 256, 2**31, -(2**31), 2**32 - 1,
    2**53, 2**53 + 1, -(2**53) - 1, 2**62, -(2**62), 2**63 - 1, -(2**63), 3037000500,
]  # fmt: skip
FLOATS = [
    0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, 2.5, -2.5, 3.0, 0.1, -7.25, 2.0**31, 2.0**53, 2.0**53 + 2, 2.0**63,
    -(2.0**63), 1e19, 1e300, -1e300, 1.7976931348623157e308, 5e-324, -5e-324, 2.2250738585072014e-308, math.inf,
    -math.inf, math.nan,
]  # fmt: skip


def values(a_type: Type, more: int = 10, seed: int = 0) -> list[Any]:
    """Boundary values of a scalar type and some random ones."""
    rng = random.Random(seed)
    if a_type == BOOL:
        return [False, True]
    if a_type == INT:
        return INTS + [rng.getrandbits(rng.randrange(1, 64)) * rng.choice((1, -1)) for _ in range(more)]
    if a_type == FLOAT:
        return FLOATS + [_random_float(rng) for _ in range(more)]
    if a_type == COMPLEX:
        parts = [0.0, -0.0, 1.5, -2.0, 1e300, math.inf, math.nan]
        return [complex(rng.choice(parts), rng.choice(parts)) for _ in range(20)] + [
            complex(rng.uniform(-5, 5), rng.uniform(-5, 5)) for _ in range(more)
        ]
    assert isinstance(a_type, NumpyScalar)
    return _numpy_values(a_type.dtype, more, rng)


def _random_float(rng: random.Random) -> float:
    if rng.random() < 0.5:
        return rng.uniform(-100, 100)
    return float(struct.unpack("<d", struct.pack("<Q", rng.getrandbits(64)))[0])


def _numpy_values(dtype: str, more: int, rng: random.Random) -> list[Any]:
    make = np.dtype(dtype).type
    if dtype == "bool":
        return [make(0), make(1)]
    if dtype.startswith("float"):
        plain = FLOATS + [_random_float(rng) for _ in range(more)]
        with np.errstate(all="ignore"):
            return [make(each) for each in plain]
    info = np.iinfo(dtype)
    edges = {0, 1, 2, 3, 7, info.min, info.min + 1, info.max, info.max - 1, info.max // 2}
    edges |= {-1, -2, -7} if info.min else set()
    return [make(each) for each in sorted(edges)] + [make(rng.randint(info.min, info.max)) for _ in range(more)]


@dataclass
class Tally:
    """How often each thing happened."""

    same: int = 0
    left_where_python_raises: int = 0
    left_without_machine_form: int = 0
    needless: Counter[Any] = field(default_factory=Counter)
    """Exits taken where CPython gives a value that has a machine form, by operands."""

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.same + other.same,
            self.left_where_python_raises + other.left_where_python_raises,
            self.left_without_machine_form + other.left_without_machine_form,
            self.needless + other.needless,
        )


@dataclass
class Compiled:
    """A function that does one operation on its parameters."""

    function: Function
    result: Type

    def __call__(self, operands: Iterable[Any]) -> Any:
        return boxed(self.result, run(self.function, tuple(operands)))


def boxed(a_type: Type, machine: tuple[Any, ...]) -> Any:
    """The Python object of machine values."""
    if isinstance(a_type, TupleType):
        parts, at = [], 0
        for each in a_type.elements:
            width = len(slots(each))
            parts.append(boxed(each, machine[at : at + width]))
            at += width
        return tuple(parts)
    return python_value(Value(a_type, machine))


def compiled(emit: Emit, operands: Sequence[Type | Any]) -> Compiled | None:
    """Emit for operands that are types (parameters) or Python values (immediates)."""
    function = Function("trial", [], "")
    e = Emitter(function)
    made = []
    for each in operands:
        if isinstance(each, Type):
            variables = [e.variable(letter) for letter in slots(each)]
            function.parameters += variables
            made.append(Value(each, tuple(map(e.get, variables))))
        else:
            made.append(constant(each, type_of(each)))
    value = emit(e, made, lambda: LEAVE)
    if value is None:
        return None
    function.results = slots(value.type)
    e.do("ret", value.operands)
    return Compiled(function, value.type)


def binary(operator: str) -> tuple[Emit, Callable[..., Any]]:
    """What emits a binary operation or comparison, and the Python function."""
    if operator in BINARY:
        return lambda e, v, leave: arithmetic.binary(e, operator, v[0], v[1], leave), BINARY[operator]
    return lambda e, v, leave: arithmetic.compare(e, operator, v[0], v[1], leave), COMPARE[operator]


def intrinsic(name: str) -> tuple[Emit, Callable[..., Any]]:
    """What emits a built-in function, and the function."""
    return lambda e, v, leave: arithmetic.intrinsic(e, name, v, leave), INTRINSICS[name]


def is_taken(meaning: Callable[..., Any], types: Sequence[Type]) -> bool:
    """Whether the kernel language has the function for these types."""
    try:
        return bool(probed(meaning, tuple(types)).members)
    except UnsupportedError:
        return False


def rows(types: Sequence[Type], most: int, more: int = 4, seed: int = 0) -> list[tuple[Any, ...]]:
    """Combinations of values, drawn at random when there are more than `most`."""
    whole = list(product(*(values(each, more, seed + place) for place, each in enumerate(types))))
    return whole if len(whole) <= most else random.Random(seed).sample(whole, most)


def trial(
    emit: Emit, meaning: Callable[..., Any], operands: Sequence[Type | Any], samples: Iterable[tuple[Any, ...]]
) -> Tally | None:
    """Compare on rows of values for the operands that are types; None if there is no native form."""
    code = compiled(emit, operands)
    if code is None:
        return None
    tally = Tally()
    for row in samples:
        known = iter(row)
        whole = [next(known) if isinstance(each, Type) else each for each in operands]
        _compare(code, meaning, whole, row, tally)
    return tally


def _compare(code: Compiled, meaning: Callable[..., Any], whole: list[Any], row: Sequence[Any], tally: Tally) -> None:
    machine = [operand for each in row for operand in constant(each, type_of(each)).operands]
    try:
        found = code(machine)
    except ExitTaken:
        found = ExitTaken
    expected = outcome(meaning, whole)
    if isinstance(expected, Exception):
        assert found is ExitTaken, f"{whole} gives {found!r}; CPython raises {expected!r}"
        tally.left_where_python_raises += 1
        return
    if found is ExitTaken:
        _count_exit(code, expected, whole, tally)
        return
    assert fingerprint(found) == fingerprint(expected), f"{whole} gives {found!r} and not {expected!r}"
    tally.same += 1


def outcome(meaning: Callable[..., Any], whole: list[Any]) -> Any:
    """What CPython gives, or the exception it raises."""
    try:
        with np.errstate(all="ignore"):
            return meaning(*whole)
    except (ArithmeticError, ValueError, TypeError) as error:
        return error


def _count_exit(code: Compiled, expected: Any, whole: list[Any], tally: Tally) -> None:
    parts = expected if isinstance(expected, tuple) else (expected,)
    if type_of(expected) != code.result or any(type(each) is int and not fits(each) for each in parts):
        tally.left_without_machine_form += 1
    else:
        tally.needless[tuple(map(repr, whole))] += 1
