"""Arithmetic of Python ints and bools in 64-bit registers: what does not fit leaves.

In: machine ints. Out: machine ints, for `/` doubles. Python floors, so division by a positive power of two is a shift
and its remainder a mask, for negative numbers too.
"""

from __future__ import annotations

from collections.abc import Callable

from lean_agentic.jit_runtime.arithmetic_operands import (
    EXACT,
    LARGEST,
    as_double,
    fits,
    is_literal,
    power_of_two,
)
from lean_agentic.jit_runtime.emitter import Emitter, Leave, Value
from lean_agentic.jit_runtime.lir import Operand, Variable
from lean_agentic.kernel.types import BOOL, FLOAT, INT, TupleType

UNROLLED_POWER = 16
"""Larger constant exponents call the runtime."""


def binary(e: Emitter, operator: str, left: Value, right: Value, leave: Leave) -> Value | None:
    """`left operator right` of ints and bools."""
    a, b = left.operands[0], right.operands[0]
    if not (fits(a) and fits(b)):
        return _beyond_64_bits(e, operator, left, right, leave)
    if operator == "/":
        return _true_divide(e, left, right, leave)
    if operator == "**" and is_literal(b) and b < 0:
        return _reciprocal_power(e, left, right, leave)
    both_bool = left.type == BOOL == right.type
    if operator in ("&", "|", "^"):
        return Value(BOOL if both_bool else INT, (bitwise(e, operator, a, b),))
    if both_bool and operator in ("+", "-", "*"):
        return Value(INT, (e.op({"+": "add", "-": "sub", "*": "mul"}[operator], "i", a, b),))
    result = RULES[operator](e, a, b, leave)
    return None if result is None else Value(INT, (result,))


def bitwise(e: Emitter, operator: str, a: Operand, b: Operand) -> Operand:
    """`& | ^`, the immediate on the right."""
    if is_literal(a):
        a, b = b, a
    if b == 0:
        return 0 if operator == "&" else a
    if b == -1 and operator != "^":
        return a if operator == "&" else -1
    return e.op({"&": "and", "|": "or", "^": "xor"}[operator], "i", a, b)


def _beyond_64_bits(e: Emitter, operator: str, left: Value, right: Value, leave: Leave) -> Value | None:
    """`x & (2**64 - 1)` is common; it fits exactly when x is not negative."""
    x, mask = (left.operands[0], right.operands[0])[:: 1 if fits(left.operands[0]) else -1]
    if operator != "&" or not fits(x) or not isinstance(mask, int) or mask < 0:
        return _huge_divisor(e, operator, left, right)
    e.guard(e.op("icmp", "b", x, 0, "sge"), leave())
    low = mask & LARGEST
    return Value(INT, (x if low == LARGEST else bitwise(e, "&", x, low),))


def _huge_divisor(e: Emitter, operator: str, left: Value, right: Value) -> Value | None:
    exponent = power_of_two(right.operands[0])
    if operator != "/" or exponent is None or exponent > 1000 or not fits(left.operands[0]):
        return None
    return Value(FLOAT, (e.op("fmul", "f", as_double(e, left), 2.0**-exponent),))


def _add(e: Emitter, a: Operand, b: Operand, leave: Leave) -> Operand:
    if is_literal(a):
        a, b = b, a
    return a if b == 0 else e.op("addo", "i", a, b, leave())


def _subtract(e: Emitter, a: Operand, b: Operand, leave: Leave) -> Operand:
    return a if b == 0 else e.op("subo", "i", a, b, leave())


def _multiply(e: Emitter, a: Operand, b: Operand, leave: Leave) -> Operand:
    if is_literal(a):
        a, b = b, a
    if b in (0, 1):
        return 0 if b == 0 else a
    if b == 2:
        return e.op("addo", "i", a, a, leave())
    return e.op("subo", "i", 0, a, leave()) if b == -1 else e.op("mulo", "i", a, b, leave())


def _true_divide(e: Emitter, left: Value, right: Value, leave: Leave) -> Value | None:
    b = right.operands[0]
    if b == 0:
        return None
    if not is_literal(b):
        e.guard(e.op("icmp", "b", b, 0, "ne"), leave())
    # Rounding an int to a double, then scaling by a power of two, rounds once; so does a quotient of two doubles.
    inexact = [] if power_of_two(b) is not None else [each for each in (left, right) if not _is_exact(each)]
    if not inexact:
        return Value(FLOAT, (e.op("fdiv", "f", as_double(e, left), as_double(e, right)),))
    return Value(FLOAT, (_checked_quotient(e, left, right, inexact),))


def _is_exact(value: Value) -> bool:
    operand = value.operands[0]
    return value.type == BOOL or (isinstance(operand, int) and abs(operand) <= EXACT)


def is_exact_double(e: Emitter, operand: Operand) -> Operand:
    """Truth value: an int of at most 2**53 in size."""
    return e.op("icmp", "b", e.op("add", "i", operand, EXACT), 2 * EXACT, "ule")


def _checked_quotient(e: Emitter, left: Value, right: Value, inexact: list[Value]) -> Operand:
    small: Operand = None
    for each in inexact:
        check = is_exact_double(e, each.operands[0])
        small = check if small is None else e.op("band", "b", small, check)
    quotient = e.variable("f", "quotient")
    fast, slow, done = e.new_block(), e.new_block(cold=True), e.new_block()
    e.choose(small, fast, slow)
    e.begin(slow)
    e.set(quotient, e.runtime("int_true_divide", "f", left.operands[0], right.operands[0]))
    e.branch(done)
    e.begin(fast)
    e.set(quotient, e.op("fdiv", "f", as_double(e, left), as_double(e, right)))
    e.branch(done)
    e.begin(done)
    return e.get(quotient)


def floor_quotient(e: Emitter, a: Operand, b: Operand) -> Operand:
    """Floor division of signed ints; b is neither 0 nor -1."""
    if (exponent := power_of_two(b)) is not None:
        return a if exponent == 0 else e.op("ashr", "i", a, exponent)
    if isinstance(b, int) and b > 0:
        # floor(a / b) = ~(~a // b) for negative a.
        sign = e.op("ashr", "i", a, 63)
        return e.op("xor", "i", e.op("udiv", "i", e.op("xor", "i", a, sign), b), sign)
    quotient = e.op("sdiv", "i", a, b)
    rest = e.op("sub", "i", a, e.op("mul", "i", quotient, b))
    return e.op("add", "i", quotient, _wrong_sign(e, rest, b))


def floor_remainder(e: Emitter, a: Operand, b: Operand) -> Operand:
    """The remainder that has the sign of the divisor; b is neither 0 nor -1."""
    if (exponent := power_of_two(b)) is not None:
        return 0 if exponent == 0 else e.op("and", "i", a, (1 << exponent) - 1)
    rest = e.op("srem", "i", a, b)
    return e.op("add", "i", rest, e.op("and", "i", _wrong_sign(e, rest, b), b))


def _wrong_sign(e: Emitter, rest: Operand, b: Operand) -> Operand:
    """-1 if a truncated remainder is not 0 and has the sign opposite to the divisor's, else 0."""
    if isinstance(b, int):
        return e.op("ashr", "i", rest if b > 0 else e.op("ineg", "i", rest), 63)
    sign = e.op("ashr", "i", b, 63)
    return e.op("ashr", "i", e.op("sub", "i", e.op("xor", "i", rest, sign), sign), 63)


def _floor_divide(e: Emitter, a: Operand, b: Operand, leave: Leave) -> Operand:
    if not is_literal(b):
        return _divided(e, a, b, leave, "//")[0]
    if b == 0:
        return None
    return e.op("subo", "i", 0, a, leave()) if b == -1 else floor_quotient(e, a, b)


def _remainder(e: Emitter, a: Operand, b: Operand, leave: Leave) -> Operand:
    if not is_literal(b):
        return _divided(e, a, b, leave, "%")[0]
    if b == 0:
        return None
    return 0 if b == -1 else floor_remainder(e, a, b)


def _divided(e: Emitter, a: Operand, b: Operand, leave: Leave, *operators: str) -> list[Operand]:
    """Quotient or remainder or both by a divisor that is not known; 0 and -1 are looked at on a cold path."""
    results: list[Variable] = [e.variable("i", operator) for operator in operators]
    usual, unusual, done = e.new_block(), e.new_block(cold=True), e.new_block()
    e.choose(e.op("icmp", "b", e.op("add", "i", b, 1), 1, "ule"), unusual, usual)
    e.begin(unusual)
    e.guard(e.op("icmp", "b", b, 0, "ne"), leave())
    for operator, result in zip(operators, results, strict=True):
        e.set(result, e.op("subo", "i", 0, a, leave()) if operator == "//" else 0)
    e.branch(done)
    e.begin(usual)
    for operator, result in zip(operators, results, strict=True):
        e.set(result, (floor_quotient if operator == "//" else floor_remainder)(e, a, b))
    e.branch(done)
    e.begin(done)
    return [e.get(result) for result in results]


def divmod_int(e: Emitter, left: Value, right: Value, leave: Leave) -> Value | None:
    """`divmod` of ints and bools."""
    a, b = left.operands[0], right.operands[0]
    if not (fits(a) and fits(b)) or b == 0:
        return None
    if is_literal(b):
        parts = [_floor_divide(e, a, b, leave), _remainder(e, a, b, leave)]
    else:
        parts = _divided(e, a, b, leave, "//", "%")
    return Value(TupleType((INT, INT)), tuple(parts))


def _shift_left(e: Emitter, a: Operand, count: Operand, leave: Leave) -> Operand:
    if is_literal(count) and not 0 <= count <= 62:
        return None
    if is_literal(count):
        return _multiply(e, a, 1 << int(count), leave)
    if isinstance(a, int):
        most = 63 - max(a, -a - 1).bit_length()
        e.guard(e.op("icmp", "b", count, most, "ule"), leave())
        return e.op("shl", "i", a, count)
    e.guard(e.op("icmp", "b", count, 64, "ult"), leave())
    shifted = e.op("shl", "i", a, count)
    e.guard(e.op("icmp", "b", e.op("ashr", "i", shifted, count), a, "eq"), leave())
    return shifted


def _shift_right(e: Emitter, a: Operand, count: Operand, leave: Leave) -> Operand:
    if is_literal(count):
        return None if count < 0 else a if count == 0 else e.op("ashr", "i", a, min(count, 63))
    e.guard(e.op("icmp", "b", count, 0, "sge"), leave())
    most = e.op("select", "i", e.op("icmp", "b", count, 63, "slt"), count, 63)
    return e.op("ashr", "i", a, most)


def _power(e: Emitter, a: Operand, exponent: Operand, leave: Leave) -> Operand:
    if isinstance(exponent, int) and exponent <= UNROLLED_POWER:
        return unrolled_power(a, exponent, lambda x, y: e.op("mulo", "i", x, y, leave()))
    if a == 2:
        return _shift_left(e, 1, exponent, leave)
    if not is_literal(exponent):
        e.guard(e.op("icmp", "b", exponent, 0, "sge"), leave())
    place = e.op("scratch", "p", 1)
    failed = e.runtime("int_power", "i", a, exponent, place)
    e.guard(e.op("icmp", "b", failed, 0, "eq"), leave())
    return e.op("load", "i", place, 0, "i64")


def unrolled_power(a: Operand, exponent: int, multiply: Callable[[Operand, Operand], Operand]) -> Operand:
    """Squares and products from the exponent's top bit; no intermediate result is larger than the last."""
    result: Operand = 1 if exponent == 0 else a
    for bit in bin(exponent)[3:]:
        result = multiply(result, result)
        result = multiply(result, a) if bit == "1" else result
    return result


def _reciprocal_power(e: Emitter, left: Value, right: Value, leave: Leave) -> Value:
    """`n ** -2` is the float power; 0 raises."""
    e.guard(e.op("icmp", "b", left.operands[0], 0, "ne"), leave())
    return Value(FLOAT, (e.runtime("math_pow", "f", as_double(e, left), as_double(e, right)),))


RULES: dict[str, Callable[[Emitter, Operand, Operand, Leave], Operand]] = {
    "+": _add, "-": _subtract, "*": _multiply, "//": _floor_divide, "%": _remainder, "<<": _shift_left,
    ">>": _shift_right, "**": _power,
}  # fmt: skip


def unary(e: Emitter, operator: str, value: Value, leave: Leave) -> Value | None:
    """`- + ~` of an int or bool."""
    operand = value.operands[0]
    if not fits(operand):
        return None
    if operator == "+":
        return Value(INT, (operand,))
    if operator == "~":
        return Value(INT, (e.op("inot", "i", operand),))
    negated = e.op("ineg", "i", operand) if value.type == BOOL else e.op("subo", "i", 0, operand, leave())
    return Value(INT, (negated,))


def absolute(e: Emitter, value: Value, leave: Leave) -> Value | None:
    """`abs` of an int or bool."""
    operand = value.operands[0]
    if value.type == BOOL or not fits(operand):
        return Value(INT, (operand,)) if value.type == BOOL else None
    sign = e.op("ashr", "i", operand, 63)
    return Value(INT, (e.op("subo", "i", e.op("xor", "i", operand, sign), sign, leave()),))
