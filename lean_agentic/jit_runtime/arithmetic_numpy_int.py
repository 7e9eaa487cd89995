"""Arithmetic of NumPy integers of one dtype: results wrap at the dtype's width, and nothing raises.

In: machine ints, both extended from the dtype's width. Out: the same.
"""

from __future__ import annotations

from collections.abc import Callable

from lean_agentic.jit_runtime import arithmetic_int
from lean_agentic.jit_runtime.arithmetic_operands import INTEGER_WIDTHS, is_literal, power_of_two, wrap
from lean_agentic.jit_runtime.emitter import Emitter
from lean_agentic.jit_runtime.lir import Operand

WRAPPING = {"+": "add", "-": "sub", "*": "mul"}
Rule = Callable[[Emitter, Operand, Operand, str], Operand]


def binary_int(e: Emitter, operator: str, a: Operand, b: Operand, dtype: str) -> Operand:
    """`a operator b` in an integer dtype; None if there is no native form."""
    if operator in WRAPPING:
        if is_literal(a) and operator != "-":
            a, b = b, a
        return wrap(e, e.op(WRAPPING[operator], "i", a, b), dtype)
    if operator in ("&", "|", "^"):
        return arithmetic_int.bitwise(e, operator, a, b)
    is_signed = INTEGER_WIDTHS[dtype][1]
    return RULES[operator, is_signed](e, a, b, dtype)


def _quotient(e: Emitter, a: Operand, b: Operand, dtype: str) -> Operand:
    if is_literal(b) and b in (0, -1):
        return 0 if b == 0 else wrap(e, e.op("ineg", "i", a), dtype)
    if is_literal(b):
        return arithmetic_int.floor_quotient(e, a, b)
    special, divisor = _safe_divisor(e, b)
    quotient = arithmetic_int.floor_quotient(e, a, divisor)
    # By 0 it is 0 and by -1 the wrapped -a, in both cases the product.
    return e.op("select", "i", special, wrap(e, e.op("mul", "i", a, b), dtype), quotient)


def _remainder(e: Emitter, a: Operand, b: Operand, dtype: str) -> Operand:
    if is_literal(b):
        return 0 if b in (0, -1) else arithmetic_int.floor_remainder(e, a, b)
    # By 0 and -1 it is 0, as by 1.
    return arithmetic_int.floor_remainder(e, a, _safe_divisor(e, b)[1])


def _safe_divisor(e: Emitter, b: Operand) -> tuple[Operand, Operand]:
    special = e.op("icmp", "b", e.op("add", "i", b, 1), 1, "ule")
    return special, e.op("select", "i", special, 1, b)


def _unsigned_quotient(e: Emitter, a: Operand, b: Operand, dtype: str) -> Operand:
    if (exponent := power_of_two(b)) is not None:
        return a if exponent == 0 else e.op("lshr", "i", a, exponent)
    if is_literal(b):
        return 0 if b == 0 else e.op("udiv", "i", a, b)
    zero = e.op("icmp", "b", b, 0, "eq")
    quotient = e.op("udiv", "i", a, e.op("select", "i", zero, 1, b))
    return e.op("select", "i", zero, 0, quotient)


def _unsigned_remainder(e: Emitter, a: Operand, b: Operand, dtype: str) -> Operand:
    if (exponent := power_of_two(b)) is not None:
        return 0 if exponent == 0 else e.op("and", "i", a, (1 << exponent) - 1)
    if is_literal(b):
        return 0 if b == 0 else e.op("urem", "i", a, b)
    return e.op("urem", "i", a, e.op("select", "i", e.op("icmp", "b", b, 0, "eq"), 1, b))


def _shift_left(e: Emitter, a: Operand, count: Operand, dtype: str) -> Operand:
    bits = INTEGER_WIDTHS[dtype][0]
    if is_literal(count):
        return wrap(e, e.op("shl", "i", a, count), dtype) if 0 <= count < bits else 0
    # Counts that are negative or too large give 0.
    possible = e.op("icmp", "b", count, bits, "ult")
    shifted = e.op("shl", "i", a, e.op("select", "i", possible, count, 0))
    return e.op("select", "i", possible, wrap(e, shifted, dtype), 0)


def _shift_right(e: Emitter, a: Operand, count: Operand, dtype: str) -> Operand:
    if is_literal(count):
        return e.op("ashr", "i", a, count if 0 <= count < 63 else 63)
    possible = e.op("icmp", "b", count, 63, "ult")
    return e.op("ashr", "i", a, e.op("select", "i", possible, count, 63))


def _unsigned_shift_right(e: Emitter, a: Operand, count: Operand, dtype: str) -> Operand:
    if is_literal(count):
        return e.op("lshr", "i", a, count) if 0 <= count < 64 else 0
    possible = e.op("icmp", "b", count, 64, "ult")
    shifted = e.op("lshr", "i", a, e.op("select", "i", possible, count, 63))
    # In narrower dtypes the 63rd bit is 0 already.
    return shifted if dtype != "uint64" else e.op("select", "i", possible, shifted, 0)


def _power(e: Emitter, a: Operand, exponent: Operand, dtype: str) -> Operand:
    if not is_literal(exponent) or not 0 <= exponent <= arithmetic_int.UNROLLED_POWER:
        return None
    product = arithmetic_int.unrolled_power(a, int(exponent), lambda x, y: e.op("mul", "i", x, y))
    return product if exponent <= 1 else wrap(e, product, dtype)


RULES: dict[tuple[str, bool], Rule] = {
    ("//", True): _quotient, ("//", False): _unsigned_quotient, ("%", True): _remainder,
    ("%", False): _unsigned_remainder, ("<<", True): _shift_left, ("<<", False): _shift_left,
    (">>", True): _shift_right, (">>", False): _unsigned_shift_right, ("**", True): _power, ("**", False): _power,
}  # fmt: skip
