"""Arithmetic of Python complex numbers by CPython's own formulas.

In: values of which at least one is complex and none is a NumPy scalar. Out: complex values.
"""

from __future__ import annotations

import sys

from lean_agentic.jit_runtime.arithmetic_operands import as_double, is_finite
from lean_agentic.jit_runtime.emitter import Emitter, Leave, Value
from lean_agentic.jit_runtime.lir import Operand
from lean_agentic.kernel.types import COMPLEX, FLOAT, NumpyScalar

Pair = tuple[Operand, Operand]
PLAIN_FORMULAS = sys.version_info < (3, 14)
"""Python 3.14 has other rules for a real beside a complex number and for products with infinities."""


def binary(e: Emitter, operator: str, left: Value, right: Value, leave: Leave) -> Value | None:
    """`left operator right` where one is complex and the other complex, float, int or bool."""
    if not PLAIN_FORMULAS or any(isinstance(each.type, NumpyScalar) for each in (left, right)):
        return None
    a, b = _pair(e, left), _pair(e, right)
    if a is None or b is None:
        return None
    if operator in ("+", "-"):
        name = "fadd" if operator == "+" else "fsub"
        return Value(COMPLEX, (e.op(name, "f", a[0], b[0]), e.op(name, "f", a[1], b[1])))
    if operator == "*":
        return Value(COMPLEX, _product(e, a, b))
    return Value(COMPLEX, _by_runtime(e, {"/": "complex_divide", "**": "complex_power"}[operator], a, b, leave))


def _pair(e: Emitter, value: Value) -> Pair | None:
    if value.type == COMPLEX:
        return value.operands[0], value.operands[1]
    real = as_double(e, value)
    return None if real is None else (real, 0.0)


def _product(e: Emitter, a: Pair, b: Pair) -> Pair:
    def times(x: Operand, y: Operand) -> Operand:
        return e.op("fmul", "f", x, y)

    real = e.op("fsub", "f", times(a[0], b[0]), times(a[1], b[1]))
    return real, e.op("fadd", "f", times(a[0], b[1]), times(a[1], b[0]))


def _by_runtime(e: Emitter, name: str, a: Pair, b: Pair, leave: Leave) -> Pair:
    place = e.op("scratch", "p", 2)
    failed = e.runtime(name, "i", *a, *b, place)
    e.guard(e.op("icmp", "b", failed, 0, "eq"), leave())
    return e.op("load", "f", place, 0, "f64"), e.op("load", "f", place, 8, "f64")


def unary(e: Emitter, operator: str, value: Value) -> Value | None:
    """`- +` of a complex number."""
    if operator == "+":
        return value
    return Value(COMPLEX, tuple(e.op("fneg", "f", each) for each in value.operands)) if operator == "-" else None


def absolute(e: Emitter, value: Value, leave: Leave) -> Value:
    """`abs`; leaves when it is not finite, since CPython raises OverflowError for finite parts."""
    size = e.runtime("complex_abs", "f", *value.operands)
    e.guard(is_finite(e, size), leave())
    return Value(FLOAT, (size,))


def make(e: Emitter, parts: tuple[Value, ...]) -> Value | None:
    """`complex(x)` and `complex(x, y)`."""
    if len(parts) == 1 and parts[0].type == COMPLEX:
        return parts[0]
    if any(each.type == COMPLEX for each in parts):
        return None
    doubles = [as_double(e, each) for each in parts]
    return None if None in doubles else Value(COMPLEX, (doubles[0], doubles[1] if len(doubles) > 1 else 0.0))


def part(value: Value, name: str) -> Value | None:
    """`.real` and `.imag` of a complex number or float."""
    if value.type == COMPLEX:
        return Value(FLOAT, (value.operands[0 if name == "real" else 1],))
    if value.type == FLOAT:
        return value if name == "real" else Value(FLOAT, (0.0,))
    return None
