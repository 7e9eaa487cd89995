"""What the arithmetic modules share: immediates, ranges, conversions between machine types, and checks with an exit.

In: operands and values of single scalar types. Out: operands. An int immediate may exceed 64 bits (a constant of the
program such as `2**64 - 1`); whoever emits it has to ask `fits` first.
"""

from __future__ import annotations

import math
from typing import Any, TypeGuard

import numpy as np

from lean_agentic.jit_runtime.emitter import Emitter, Leave, Value
from lean_agentic.jit_runtime.lir import Operand, Temporary
from lean_agentic.kernel.types import (
    BOOL,
    COMPLEX,
    FLOAT,
    INT,
    NONE,
    NumpyScalar,
    TupleType,
    Type,
)

SMALLEST = -(2**63)
LARGEST = 2**63 - 1
EXACT = 2**53
"""Every int up to here, of either sign, is a double."""
INTEGER_WIDTHS: dict[str, tuple[int, bool]] = {
    f"{prefix}int{bits}": (bits, prefix == "") for prefix in ("", "u") for bits in (8, 16, 32, 64)
}
"""Bits and signedness by dtype."""
SINGLES = frozenset(("float32", "bool", "int8", "int16", "uint8", "uint16"))
"""Dtypes of which every value is a float32."""
PYTHON_CLASSES: dict[Type, type] = {BOOL: bool, INT: int, FLOAT: float}


def is_literal(operand: Operand) -> TypeGuard[int | float]:
    """Whether the operand is known now."""
    return not isinstance(operand, Temporary)


def fits(operand: Operand) -> bool:
    """Whether an int operand has a machine form."""
    return isinstance(operand, Temporary) or (operand is not None and SMALLEST <= operand <= LARGEST)


def power_of_two(operand: Operand) -> int | None:
    """k if the operand is the immediate 2**k with k >= 0."""
    if isinstance(operand, int) and operand > 0 and operand & (operand - 1) == 0:
        return operand.bit_length() - 1
    return None


def dtype_of(a_type: Type) -> str:
    """The dtype of a NumPy scalar type, or "" for any other."""
    return a_type.dtype if isinstance(a_type, NumpyScalar) else ""


def signed(bits: int) -> int:
    """The low 64 bits as a signed number, which is how an immediate is written."""
    return ((bits + 2**63) & (2**64 - 1)) - 2**63


def constant(value: Any, a_type: Type) -> Value:
    """A constant of the program; an int may be too large for a machine value (see `fits`)."""
    if isinstance(a_type, TupleType):
        parts = (constant(item, each) for item, each in zip(value, a_type.elements, strict=True))
        return Value(a_type, tuple(operand for part in parts for operand in part.operands))
    if a_type == COMPLEX:
        return Value(a_type, (value.real, value.imag))
    if a_type == FLOAT or dtype_of(a_type).startswith("float"):
        return Value(a_type, (float(value),))
    if a_type in (BOOL, INT) or isinstance(a_type, NumpyScalar):
        return Value(a_type, (signed(int(value)) if dtype_of(a_type) == "uint64" else int(value),))
    return Value(a_type, ())


def python_value(value: Value) -> Any:
    """The Python object that a value of immediates stands for."""
    if value.type == NONE:
        return None
    if value.type == COMPLEX:
        return complex(*value.operands)  # type: ignore[arg-type]
    operand: Any = value.operands[0]
    if isinstance(value.type, NumpyScalar):
        bits = operand % 2**64 if value.type.dtype == "uint64" else operand
        return np.dtype(value.type.dtype).type(bits)
    return PYTHON_CLASSES[value.type](operand)


def as_double(e: Emitter, value: Value) -> Operand:
    """A real scalar as a double, rounded to nearest as CPython and NumPy do; None for an int beyond the doubles."""
    operand = value.operands[0]
    if value.type == FLOAT or dtype_of(value.type).startswith("float"):
        return operand
    if isinstance(operand, int):
        try:
            return float(operand % 2**64 if dtype_of(value.type) == "uint64" else operand)
        except OverflowError:
            return None
    return e.op("uitof" if dtype_of(value.type) == "uint64" else "itof", "f", operand)


def as_integer(e: Emitter, value: Value, leave: Leave) -> Operand:
    """An int, bool or NumPy integer as the machine form of a Python int; None when an immediate has none."""
    operand = value.operands[0]
    if dtype_of(value.type) == "uint64":
        e.guard(e.op("icmp", "b", operand, 0, "sge"), leave())
    return operand if fits(operand) else None


def wrap(e: Emitter, operand: Operand, dtype: str) -> Operand:
    """The low bits of an integer, extended as values of the dtype are."""
    bits, is_signed = INTEGER_WIDTHS[dtype]
    return operand if bits == 64 else e.op(f"{'s' if is_signed else 'z'}ext{bits}", "i", operand)


def to_int(e: Emitter, rounded: Operand, leave: Leave) -> Operand:
    """A double as an int, truncating; leaves for NaN, infinities and what exceeds 64 bits (and for -2**63)."""
    e.guard(e.op("fcmp", "b", e.op("fabs", "f", rounded), 2.0**63, "olt"), leave())
    return e.op("ftoi", "i", rounded)


def is_finite(e: Emitter, operand: Operand) -> Temporary:
    """Truth value: neither NaN nor infinite."""
    return e.op("fcmp", "b", e.op("fabs", "f", operand), math.inf, "olt")


def leave_unless_finite(e: Emitter, result: Operand, inputs: tuple[Operand, ...], leave: Leave) -> None:
    """Leave when a result is NaN or infinite though the inputs are finite, which is when `math` and `**` raise.

    Inputs that are NaN or infinite themselves are looked at on a cold path.
    """
    unknown = [each for each in inputs if isinstance(each, Temporary)]
    if not all(math.isfinite(each) for each in inputs if is_literal(each)):
        return
    if not unknown:
        e.guard(is_finite(e, result), leave())
        return
    if not unknown:
        e.guard(is_finite(e, result), leave())
        return
    cold, go_on = e.new_block(cold=True), e.new_block()
    e.choose(is_finite(e, result), go_on, cold)
    e.begin(cold)
    # x - x is NaN exactly for NaN and the infinities; a sum is NaN when one part is.
    total: Operand = e.op("fsub", "f", unknown[0], unknown[0])
    for each in unknown[1:]:
        total = e.op("fadd", "f", total, e.op("fsub", "f", each, each))
    e.guard(e.op("fcmp", "b", total, total, "uno"), leave())
    e.branch(go_on)
    e.begin(go_on)


def leave_unless_number(e: Emitter, result: Operand, inputs: tuple[Operand, ...], leave: Leave) -> None:
    """Leave when a result is NaN though no input is."""
    ordered = e.op("fcmp", "b", result, result, "oeq")
    cold, go_on = e.new_block(cold=True), e.new_block()
    e.choose(ordered, go_on, cold)
    e.begin(cold)
    # One NaN among the inputs makes the comparison of the two unordered.
    e.guard(e.op("fcmp", "b", inputs[0], inputs[-1], "uno"), leave())
    e.branch(go_on)
    e.begin(go_on)
