"""Arithmetic of Python floats, also with ints and bools: IEEE double, and the exceptions CPython adds.

In: machine doubles. Out: machine doubles. `//` and `%` follow CPython's `float_divmod`, which computes with the C
library's `fmod`; `**` follows `float_pow`.
"""

from __future__ import annotations

import math

from lean_agentic.jit_runtime.arithmetic_operands import (
    as_double,
    is_literal,
    leave_unless_finite,
)
from lean_agentic.jit_runtime.emitter import Emitter, Leave, Value
from lean_agentic.jit_runtime.lir import Operand
from lean_agentic.kernel.types import FLOAT, TupleType

SIMPLE = {"+": "fadd", "-": "fsub", "*": "fmul", "/": "fdiv"}


def binary(e: Emitter, operator: str, left: Value, right: Value, leave: Leave) -> Value | None:
    """`left operator right` where one is a float and the other a float, int or bool."""
    a, b = as_double(e, left), as_double(e, right)
    if a is None or b is None:
        return None
    if operator == "**":
        return Value(FLOAT, (power(e, a, b, leave),))
    if operator in ("/", "//", "%") and not leave_if_zero(e, b, leave):
        return None
    if operator in SIMPLE:
        return Value(FLOAT, (e.op(SIMPLE[operator], "f", a, b),))
    return Value(FLOAT, (floor_quotient(e, a, b) if operator == "//" else floor_remainder(e, a, b),))


def leave_if_zero(e: Emitter, divisor: Operand, leave: Leave) -> bool:
    """Leave where CPython raises ZeroDivisionError; False if that is always."""
    if is_literal(divisor):
        return divisor != 0.0
    e.guard(e.op("fcmp", "b", divisor, 0.0, "une"), leave())
    return True


def whole_power_of_two(divisor: Operand) -> bool:
    """Whether a divisor is 1, 2, 4, ... by which scaling is exact."""
    return is_literal(divisor) and 1.0 <= divisor < 2.0**1000 and math.frexp(divisor)[0] == 0.5


def floor_quotient(e: Emitter, a: Operand, b: Operand) -> Operand:
    """`a // b` for b other than 0."""
    if not is_literal(b) or not whole_power_of_two(b):
        return e.runtime("float_floordiv", "f", a, b)
    # floor(floor(a) / n) = floor(a / n) for a positive whole n. CPython gives NaN for infinite a.
    whole = e.op("ffloor", "f", a)
    if b != 1.0:
        whole = e.op("ffloor", "f", e.op("fmul", "f", whole, 1.0 / b))
    finite = e.op("fcmp", "b", e.op("fabs", "f", a), math.inf, "olt")
    return e.op("select", "f", finite, whole, math.nan)


def floor_remainder(e: Emitter, a: Operand, b: Operand) -> Operand:
    """`a % b` for b other than 0."""
    if not is_literal(b) or not whole_power_of_two(b):
        return e.runtime("float_mod", "f", a, b)
    # The truncated quotient by a power of two and its multiple are exact, so the difference is what fmod gives.
    scaled = a if b == 1.0 else e.op("fmul", "f", a, 1.0 / b)
    multiple: Operand = e.op("ftrunc", "f", scaled)
    if b != 1.0:
        multiple = e.op("fmul", "f", multiple, b)
    rest = e.op("fsub", "f", a, multiple)
    return e.op("select", "f", e.op("fcmp", "b", rest, 0.0, "olt"), e.op("fadd", "f", rest, b), rest)


def divmod_float(e: Emitter, left: Value, right: Value, leave: Leave) -> Value | None:
    """`divmod` where one is a float."""
    a, b = as_double(e, left), as_double(e, right)
    if a is None or b is None or not leave_if_zero(e, b, leave):
        return None
    return Value(TupleType((FLOAT, FLOAT)), (floor_quotient(e, a, b), floor_remainder(e, a, b)))


def power(e: Emitter, a: Operand, b: Operand, leave: Leave) -> Operand:
    """`a ** b`; leaves for 0 to a negative power, overflow, and the complex power of a negative number.

    `x ** 2` is not `x * x`: with glibc 2.36, 812 of a million doubles between 1 and 2 have another pow(x, 2.0).
    """
    result = e.runtime("math_pow", "f", a, b)
    leave_unless_finite(e, result, (a, b), leave)
    return result


def unary(e: Emitter, operator: str, value: Value) -> Value | None:
    """`- +` of a float."""
    operand = value.operands[0]
    if operator == "+":
        return value
    return Value(value.type, (e.op("fneg", "f", operand),)) if operator == "-" else None
