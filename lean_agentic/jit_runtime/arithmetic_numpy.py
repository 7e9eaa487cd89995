"""Arithmetic of NumPy scalars, also with Python numbers: NumPy's promotion, wrapping and division by zero.

In: values of which at least one is a NumPy scalar. Out: values of NumPy scalar types. The result type is what NumPy
gives on samples (`operation_types.probed`); operands are brought to the dtype that the operation is computed in.
NumPy's warnings are not part of the meaning.
"""

from __future__ import annotations

import math

from lean_agentic.jit_runtime import arithmetic_float
from lean_agentic.jit_runtime.arithmetic_float import SIMPLE
from lean_agentic.jit_runtime.arithmetic_numpy_int import binary_int
from lean_agentic.jit_runtime.arithmetic_operands import (
    INTEGER_WIDTHS,
    SINGLES,
    as_double,
    dtype_of,
    is_literal,
    signed,
    wrap,
)
from lean_agentic.jit_runtime.emitter import Emitter, Leave, Value
from lean_agentic.jit_runtime.lir import Operand
from lean_agentic.kernel.operation_types import BINARY, probed
from lean_agentic.kernel.types import BOOL, INT, NumpyScalar

NUMPY_BOOL = NumpyScalar("bool")


def binary(e: Emitter, operator: str, left: Value, right: Value, leave: Leave) -> Value | None:
    """`left operator right` where one is a NumPy scalar and the other any real number."""
    result = probed(BINARY[operator], (left.type, right.type))
    dtype = dtype_of(result)
    if dtype == "bool":
        return Value(NUMPY_BOOL, (_binary_bool(e, operator, left, right),))
    if dtype.startswith("float"):
        found = _binary_float(e, operator, left, right, dtype)
    elif dtype:
        found = _binary_integer(e, operator, left, right, dtype, leave)
    else:
        return None
    return None if found is None else Value(result, (found,))


def _binary_bool(e: Emitter, operator: str, left: Value, right: Value) -> Operand:
    # + is `or` and * is `and` among np.bool.
    name = {"+": "or", "|": "or", "*": "and", "&": "and", "^": "xor"}[operator]
    return e.op(name, "i", left.operands[0], right.operands[0])


def to_float(e: Emitter, value: Value, dtype: str) -> Operand:
    """A real number in a float dtype; None for an int constant beyond the doubles.

    NumPy brings a Python int to float32 by way of the double, as here. It never does so with its own integers of more
    than 16 bits, whose common dtype with float32 is float64.
    """
    double = as_double(e, value)
    if double is None or dtype == "float64" or dtype_of(value.type) in SINGLES or value.type == BOOL:
        return double
    return e.op("round32", "f", double)


def _binary_float(e: Emitter, operator: str, left: Value, right: Value, dtype: str) -> Operand:
    a, b = to_float(e, left, dtype), to_float(e, right, dtype)
    if a is None or b is None:
        return None
    if operator in SIMPLE:
        # A double holds sum, difference, product and quotient of two float32 well enough that rounding twice is exact.
        found = e.op(SIMPLE[operator], "f", a, b)
        return found if dtype == "float64" else e.op("round32", "f", found)
    if dtype != "float64":
        return None
    if operator == "**":
        # Beside a np.float64 NumPy calls the C library's pow; other pairs go to array code with a pow of its own.
        own = NumpyScalar("float64") in (left.type, right.type)
        return e.runtime("math_pow", "f", a, b) if own else None
    return float_quotient(e, a, b) if operator == "//" else float_remainder(e, a, b)


def float_quotient(e: Emitter, a: Operand, b: Operand) -> Operand:
    """`np.float64 // np.float64`: CPython's, but the IEEE quotient by 0."""
    if is_literal(b):
        return arithmetic_float.floor_quotient(e, a, b) if b != 0.0 else e.op("fdiv", "f", a, b)
    zero = e.op("fcmp", "b", b, 0.0, "oeq")
    usual = e.runtime("float_floordiv", "f", a, e.op("select", "f", zero, 1.0, b))
    return e.op("select", "f", zero, e.op("fdiv", "f", a, b), usual)


def float_remainder(e: Emitter, a: Operand, b: Operand) -> Operand:
    """`np.float64 % np.float64`: CPython's, but NaN by 0."""
    if is_literal(b):
        return arithmetic_float.floor_remainder(e, a, b) if b != 0.0 else math.nan
    zero = e.op("fcmp", "b", b, 0.0, "oeq")
    usual = e.runtime("float_mod", "f", a, e.op("select", "f", zero, 1.0, b))
    return e.op("select", "f", zero, math.nan, usual)


def _binary_integer(e: Emitter, operator: str, left: Value, right: Value, dtype: str, leave: Leave) -> Operand:
    a, b = to_integer(e, left, dtype, leave), to_integer(e, right, dtype, leave)
    return None if a is None or b is None else binary_int(e, operator, a, b, dtype)


def to_integer(e: Emitter, value: Value, dtype: str, leave: Leave) -> Operand:
    """An integer in a dtype that holds its type; a Python int may not fit, which leaves (None for a constant)."""
    operand = value.operands[0]
    if value.type != INT:
        return operand
    bits, is_signed = INTEGER_WIDTHS[dtype]
    if isinstance(operand, int):
        smallest = -(2 ** (bits - 1)) if is_signed else 0
        return signed(operand) if smallest <= operand < smallest + 2**bits else None
    if dtype == "uint64":
        e.guard(e.op("icmp", "b", operand, 0, "sge"), leave())
    elif bits < 64:
        e.guard(e.op("icmp", "b", wrap(e, operand, dtype), operand, "eq"), leave())
    return operand


def divmod_numpy(e: Emitter, left: Value, right: Value, leave: Leave) -> Value | None:
    """`divmod` with a NumPy scalar."""
    result = probed(divmod, (left.type, right.type))
    quotient, rest = (binary(e, operator, left, right, leave) for operator in ("//", "%"))
    return None if quotient is None or rest is None else Value(result, (*quotient.operands, *rest.operands))


def unary(e: Emitter, operator: str, value: Value) -> Value | None:
    """`- + ~` of a NumPy scalar."""
    operand, dtype = value.operands[0], dtype_of(value.type)
    if operator == "+":
        return value
    if dtype == "bool":
        return Value(value.type, (e.op("xor", "i", operand, 1),)) if operator == "~" else None
    if dtype.startswith("float"):
        return Value(value.type, (e.op("fneg", "f", operand),))
    changed = e.op("ineg" if operator == "-" else "inot", "i", operand)
    return Value(value.type, (changed if operator == "~" and dtype[0] == "i" else wrap(e, changed, dtype),))


def absolute(e: Emitter, value: Value) -> Value:
    """`abs` of a NumPy scalar; the most negative integer is its own."""
    operand, dtype = value.operands[0], dtype_of(value.type)
    if dtype.startswith("float"):
        return Value(value.type, (e.op("fabs", "f", operand),))
    if dtype[0] != "i":
        return value
    sign = e.op("ashr", "i", operand, 63)
    return Value(value.type, (wrap(e, e.op("sub", "i", e.op("xor", "i", operand, sign), sign), dtype),))
