"""The functions of `math` on real scalars: the C library's values and CPython's exceptions.

In: values of int, bool, float or NumPy scalar types. Out: values of the types CPython gives. Where CPython raises
(domain, range) the code leaves.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from lean_agentic.jit_runtime.arithmetic_compare import as_bool
from lean_agentic.jit_runtime.arithmetic_operands import (
    as_double,
    as_integer,
    dtype_of,
    is_finite,
    is_literal,
    leave_unless_finite,
    leave_unless_number,
    to_int,
)
from lean_agentic.jit_runtime.emitter import Emitter, Leave, Value
from lean_agentic.jit_runtime.lir import Operand
from lean_agentic.kernel.types import BOOL, FLOAT, INT, TupleType

TOTAL = frozenset(("asinh", "atan", "cbrt", "erf", "erfc", "tanh", "atan2", "hypot", "nextafter"))
"""Raise nothing."""
NAN_WHERE_WRONG = frozenset(("acos", "acosh", "asin", "cos", "sin", "tan", "fmod", "remainder"))
"""Raise ValueError where the C library gives NaN for numbers, and nothing else."""
NOT_FINITE_WHERE_WRONG = frozenset(("cosh", "exp", "exp2", "expm1", "gamma", "lgamma", "pow", "sinh"))
"""Raise where the C library gives NaN or an infinity for finite numbers."""
LOGARITHMS = frozenset(("log", "log2", "log10"))
TO_DEGREES = 180.0 / math.pi
TO_RADIANS = math.pi / 180.0
ROUNDINGS = {"floor": "ffloor", "ceil": "fceil", "trunc": "ftrunc"}
NARROW = frozenset(("int8", "int16", "int32", "uint8", "uint16", "uint32"))


def is_native(name: str) -> bool:
    """Whether an intrinsic is a function of `math` that has a native form for some types."""
    return name.startswith("math.") and name.removeprefix("math.") in NATIVE


def function(e: Emitter, name: str, arguments: Sequence[Value], leave: Leave) -> Value | None:
    """`math.name(*arguments)`; None if there is no native form (`comb`, `frexp`, ...)."""
    if name == "ldexp":
        return _scaled(e, arguments[0], arguments[1], leave)
    if name in INTEGER_RULES:
        return _of_integers(e, name, arguments, leave)
    if name in ROUNDINGS:
        return _rounded(e, name, arguments[0], leave)
    doubles = [as_double(e, each) for each in arguments]
    if None in doubles:
        return None
    if name in OTHER_RULES and len(doubles) in (1, 2):
        return OTHER_RULES[name](e, doubles, leave)
    if name in LOGARITHMS:
        return _logarithm(e, name, doubles, leave)
    return _of_runtime(e, name, doubles, leave)


def _of_runtime(e: Emitter, name: str, doubles: list[Operand], leave: Leave) -> Value | None:
    if name == "hypot" and len(doubles) != 2:
        return None
    if name == "gamma":
        # The one infinity that is outside the domain.
        e.guard(e.op("fcmp", "b", doubles[0], -math.inf, "une"), leave())
    result = e.runtime(f"math_{name}", "f", *doubles)
    if name in NAN_WHERE_WRONG:
        leave_unless_number(e, result, tuple(doubles), leave)
    elif name in NOT_FINITE_WHERE_WRONG:
        leave_unless_finite(e, result, tuple(doubles), leave)
    return Value(FLOAT, (result,))


def _logarithm(e: Emitter, name: str, doubles: list[Operand], leave: Leave) -> Value | None:
    results = []
    for each in doubles:
        if is_literal(each) and each <= 0.0:
            return None
        if not is_literal(each):
            e.guard(e.op("bnot", "b", e.op("fcmp", "b", each, 0.0, "ole")), leave())
        results.append(e.runtime(f"math_{name}", "f", each))
    if len(results) == 1:
        return Value(FLOAT, (results[0],))
    # math.log(x, base) is the quotient, by 0.0 for base 1.
    e.guard(e.op("fcmp", "b", results[1], 0.0, "une"), leave())
    return Value(FLOAT, (e.op("fdiv", "f", *results),))


def _rounded(e: Emitter, name: str, value: Value, leave: Leave) -> Value | None:
    dtype = dtype_of(value.type)
    if value.type in (INT, BOOL) or dtype in NARROW:
        integer = as_integer(e, value, leave)
        return None if integer is None else Value(INT, (integer,))
    # math.floor takes 64-bit NumPy integers by way of the double.
    rounded = e.op(ROUNDINGS[name], "f", as_double(e, value)) if name != "trunc" else as_double(e, value)
    return Value(INT, (to_int(e, rounded, leave),))


def _square_root(e: Emitter, doubles: list[Operand], leave: Leave) -> Value:
    e.guard(e.op("bnot", "b", e.op("fcmp", "b", doubles[0], 0.0, "olt")), leave())
    return Value(FLOAT, (e.op("fsqrt", "f", doubles[0]),))


def _area_tangent(e: Emitter, doubles: list[Operand], leave: Leave) -> Value:
    outside = e.op("fcmp", "b", e.op("fabs", "f", doubles[0]), 1.0, "oge")
    e.guard(e.op("bnot", "b", outside), leave())
    return Value(FLOAT, (e.runtime("math_atanh", "f", doubles[0]),))


def _logarithm_plus_one(e: Emitter, doubles: list[Operand], leave: Leave) -> Value:
    e.guard(e.op("bnot", "b", e.op("fcmp", "b", doubles[0], -1.0, "ole")), leave())
    return Value(FLOAT, (e.runtime("math_log1p", "f", doubles[0]),))


def _is_infinite(e: Emitter, doubles: list[Operand], leave: Leave) -> Value:
    return as_bool(e, e.op("fcmp", "b", e.op("fabs", "f", doubles[0]), math.inf, "oeq"))


def _parts(e: Emitter, doubles: list[Operand], leave: Leave) -> Value:
    """`modf`: fraction and whole part, both with the sign of the number; the fraction of an infinity is 0."""
    whole = e.op("ftrunc", "f", doubles[0])
    infinite = e.op("fcmp", "b", e.op("fabs", "f", doubles[0]), math.inf, "oeq")
    rest = e.op("select", "f", infinite, 0.0, e.op("fsub", "f", doubles[0], whole))
    return Value(TupleType((FLOAT, FLOAT)), (e.op("fcopysign", "f", rest, doubles[0]), whole))


OTHER_RULES: dict[str, Callable[[Emitter, list[Operand], Leave], Value]] = {
    "sqrt": _square_root,
    "atanh": _area_tangent,
    "log1p": _logarithm_plus_one,
    "fabs": lambda e, xs, leave: Value(FLOAT, (e.op("fabs", "f", xs[0]),)),
    "copysign": lambda e, xs, leave: Value(FLOAT, (e.op("fcopysign", "f", *xs),)),
    "degrees": lambda e, xs, leave: Value(FLOAT, (e.op("fmul", "f", xs[0], TO_DEGREES),)),
    "radians": lambda e, xs, leave: Value(FLOAT, (e.op("fmul", "f", xs[0], TO_RADIANS),)),
    "isnan": lambda e, xs, leave: as_bool(e, e.op("fcmp", "b", xs[0], xs[0], "uno")),
    "isinf": _is_infinite,
    "isfinite": lambda e, xs, leave: as_bool(e, is_finite(e, xs[0])),
    "modf": _parts,
}


def _scaled(e: Emitter, value: Value, exponent: Value, leave: Leave) -> Value | None:
    """`ldexp` by multiplication, which rounds once as well; leaves where 2**exponent is not a normal double."""
    double, power = as_double(e, value), as_integer(e, exponent, leave)
    if double is None or power is None:
        return None
    biased = e.op("add", "i", power, 1023)
    e.guard(e.op("icmp", "b", e.op("sub", "i", biased, 1), 2046, "ult"), leave())
    result = e.op("fmul", "f", double, e.op("float_of", "f", e.op("shl", "i", biased, 52)))
    leave_unless_finite(e, result, (double,), leave)
    return Value(FLOAT, (result,))


def _of_integers(e: Emitter, name: str, arguments: Sequence[Value], leave: Leave) -> Value | None:
    integers = [as_integer(e, each, leave) for each in arguments]
    if None in integers:
        return None
    found = INTEGER_RULES[name](e, integers, leave)
    return None if found is None else Value(INT, (found,))


def _greatest_common_divisor(e: Emitter, integers: list[Operand], leave: Leave) -> Operand:
    if len(integers) < 2:
        return None
    found = integers[0]
    for each in integers[1:]:
        found = e.runtime("int_gcd", "i", found, each)
    # Only 2**63 itself has no machine form.
    e.guard(e.op("icmp", "b", found, 0, "sge"), leave())
    return found


def _least_common_multiple(e: Emitter, integers: list[Operand], leave: Leave) -> Operand:
    if len(integers) != 2:
        return None
    a, b = integers
    divisor = _greatest_common_divisor(e, integers, leave)
    one_at_least = e.op("select", "i", e.op("icmp", "b", divisor, 0, "eq"), 1, divisor)
    product = e.op("mulo", "i", e.op("sdiv", "i", a, one_at_least), b, leave())
    sign = e.op("ashr", "i", product, 63)
    return e.op("subo", "i", e.op("xor", "i", product, sign), sign, leave())


def _integer_square_root(e: Emitter, integers: list[Operand], leave: Leave) -> Operand:
    e.guard(e.op("icmp", "b", integers[0], 0, "sge"), leave())
    return e.runtime("int_isqrt", "i", integers[0])


INTEGER_RULES: dict[str, Callable[[Emitter, list[Operand], Leave], Operand]] = {
    "gcd": _greatest_common_divisor, "isqrt": _integer_square_root, "lcm": _least_common_multiple,
}  # fmt: skip
CALLED = TOTAL | NAN_WHERE_WRONG | NOT_FINITE_WHERE_WRONG
NATIVE = CALLED | LOGARITHMS | {*ROUNDINGS, *OTHER_RULES, *INTEGER_RULES, "ldexp"}
