"""Comparisons and truth values.

In: values of scalar types. Out: truth values (machine `b`) or values of the exact type CPython gives. Python compares
ints with floats exactly; NumPy converts both to one dtype first, except that it compares integers exactly.
"""

from __future__ import annotations

import math
import sys

import numpy as np

from lean_agentic.jit_runtime.arithmetic_int import is_exact_double
from lean_agentic.jit_runtime.arithmetic_operands import (
    LARGEST,
    SINGLES,
    as_double,
    constant,
    dtype_of,
    fits,
    is_literal,
)
from lean_agentic.jit_runtime.emitter import Emitter, Leave, Value
from lean_agentic.jit_runtime.lir import Operand, Temporary
from lean_agentic.kernel.operation_types import COMPARE
from lean_agentic.kernel.types import BOOL, COMPLEX, FLOAT, INT, NONE, NumpyScalar, Type

SIGNED = {"==": "eq", "!=": "ne", "<": "slt", "<=": "sle", ">": "sgt", ">=": "sge"}
UNSIGNED = {"==": "eq", "!=": "ne", "<": "ult", "<=": "ule", ">": "ugt", ">=": "uge"}
FLOATING = {"==": "oeq", "!=": "une", "<": "olt", "<=": "ole", ">": "ogt", ">=": "oge"}
MIRRORED = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
LOOK_BACK = 4
"""How many instructions back the comparison is looked for that made a bool."""


def compare(e: Emitter, operator: str, left: Value, right: Value, leave: Leave) -> Value | None:
    """`left operator right` as a bool or np.bool."""
    found = condition(e, operator, left, right, leave)
    return None if found is None else as_bool(e, found, _result_type(operator, left.type, right.type))


def _result_type(operator: str, left: Type, right: Type) -> Type:
    # np.float64 is a float, and CPython asks the subclass first, so NumPy's answer counts in all but `is`.
    numpy_answers = isinstance(left, NumpyScalar) or (isinstance(right, NumpyScalar) and left != NONE)
    if operator in ("is", "isnot") or not numpy_answers or right == NONE:
        return BOOL
    return NumpyScalar("bool")


def as_bool(e: Emitter, found: Operand, a_type: Type = BOOL) -> Value:
    """A truth value as a value of a boolean type."""
    return Value(a_type, (int(found) if is_literal(found) else e.op("btoi", "i", found),))


def condition(e: Emitter, operator: str, left: Value, right: Value, leave: Leave) -> Operand:
    """The comparison as a truth value, an immediate 0 or 1 when it is known; None if there is no native form."""
    if NONE in (left.type, right.type):
        same = left.type == right.type
        return {"is": int(same), "isnot": int(not same), "==": int(same), "!=": int(not same)}.get(operator)
    if is_literal(left.operands[0]) and not is_literal(right.operands[0]):
        left, right, operator = right, left, MIRRORED[operator]
    if COMPLEX in (left.type, right.type):
        return _complex(e, operator, left, right, leave)
    if isinstance(left.type, NumpyScalar) or isinstance(right.type, NumpyScalar):
        return _numpy(e, operator, left, right, leave)
    if left.type == FLOAT == right.type:
        return e.op("fcmp", "b", left.operands[0], right.operands[0], FLOATING[operator])
    if FLOAT in (left.type, right.type):
        return _int_with_float(e, operator, left, right, leave)
    return _ints(e, operator, left.operands[0], right.operands[0])


def _ints(e: Emitter, operator: str, a: Operand, b: Operand) -> Operand:
    if isinstance(b, int) and not fits(b):
        # Whichever 64-bit int stands on the left, it lies on the same side.
        return int(COMPARE[operator](0, b))
    return e.op("icmp", "b", a, b, SIGNED[operator])


def _int_with_float(e: Emitter, operator: str, left: Value, right: Value, leave: Leave) -> Operand:
    if left.type != FLOAT:
        if isinstance(bound := right.operands[0], float):
            return _int_with_constant(e, operator, left.operands[0], bound)
        left, right, operator = right, left, MIRRORED[operator]
    whole = right.operands[0]
    if isinstance(whole, int):
        return _float_with_constant(e, operator, left.operands[0], whole)
    if right.type != BOOL:
        e.guard(is_exact_double(e, whole), leave())
    return e.op("fcmp", "b", left.operands[0], as_double(e, right), FLOATING[operator])


def _int_with_constant(e: Emitter, operator: str, a: Operand, bound: float) -> Operand:
    """An int against a known float: against the next int on the side that does not change the answer."""
    if not math.isfinite(bound):
        return int(COMPARE[operator](0, bound))
    if operator in ("==", "!=") and not bound.is_integer():
        return int(operator == "!=")
    return _ints(e, operator, a, math.floor(bound) if operator in ("<=", ">", "==", "!=") else math.ceil(bound))


def _float_with_constant(e: Emitter, operator: str, a: Operand, bound: int) -> Operand:
    """A float against a known int, which may lie between two doubles or beyond them."""
    below, above = _neighbours(bound)
    if below == above:
        return e.op("fcmp", "b", a, below, FLOATING[operator])
    if operator in ("==", "!="):
        return int(operator == "!=")
    less = operator in ("<", "<=")
    return e.op("fcmp", "b", a, below if less else above, "ole" if less else "oge")


def _neighbours(bound: int) -> tuple[float, float]:
    if abs(bound) > sys.float_info.max:
        largest = sys.float_info.max
        return (largest, math.inf) if bound > 0 else (-math.inf, -largest)
    nearest = float(bound)
    return (
        nearest if nearest <= bound else math.nextafter(nearest, -math.inf),
        nearest if nearest >= bound else math.nextafter(nearest, math.inf),
    )


def _complex(e: Emitter, operator: str, left: Value, right: Value, leave: Leave) -> Operand:
    if left.type != COMPLEX:
        left, right = right, left
    if isinstance(right.type, NumpyScalar) or operator not in ("==", "!="):
        return None
    real = Value(FLOAT, left.operands[:1])
    if right.type == COMPLEX:
        same = condition(e, "==", real, Value(FLOAT, right.operands[:1]), leave)
        imaginary: Operand = right.operands[1]
    else:
        same, imaginary = condition(e, "==", real, right, leave), 0.0
    both = e.op("band", "b", same, e.op("fcmp", "b", left.operands[1], imaginary, "oeq"))
    return both if operator == "==" else e.op("bnot", "b", both)


def _numpy(e: Emitter, operator: str, left: Value, right: Value, leave: Leave) -> Operand:
    types = [dtype_of(each.type) or each.type for each in (left, right)]
    if FLOAT in types or any(str(each).startswith("float") for each in types):
        return _numpy_floats(e, operator, left, right, types)
    pair = [_as_uint64(each) if "uint64" in types else each for each in (left, right)]
    operands = [each.operands[0] for each in pair]
    if not all(map(fits, operands)):
        return None
    return _numpy_ints(e, operator, operands, [dtype_of(each.type) == "uint64" for each in pair])


def _as_uint64(value: Value) -> Value:
    """A constant that needs all 64 bits is compared as a np.uint64."""
    operand = value.operands[0]
    if value.type == INT and isinstance(operand, int) and LARGEST < operand < 2**64:
        return constant(operand, NumpyScalar("uint64"))
    return value


def _numpy_ints(e: Emitter, operator: str, operands: list[Operand], unsigned: list[bool]) -> Operand:
    a, b = operands
    if unsigned[0] == unsigned[1]:
        return e.op("icmp", "b", a, b, (UNSIGNED if unsigned[0] else SIGNED)[operator])
    if unsigned[1]:
        a, b, operator = b, a, MIRRORED[operator]
    return _unsigned_with_signed(e, operator, a, b)


def _unsigned_with_signed(e: Emitter, operator: str, a: Operand, b: Operand) -> Operand:
    """A uint64 against a signed int; a negative one is less than any."""
    as_if = e.op("icmp", "b", a, b, UNSIGNED[operator])
    if isinstance(b, int):
        return as_if if b >= 0 else int(operator in (">", ">=", "!="))
    if operator in ("<", "<=", "=="):
        return e.op("band", "b", as_if, e.op("icmp", "b", b, 0, "sge"))
    return e.op("bor", "b", as_if, e.op("icmp", "b", b, 0, "slt"))


def _numpy_floats(e: Emitter, operator: str, left: Value, right: Value, types: list[str | Type]) -> Operand:
    if isinstance(types[0], str) and isinstance(types[1], str):
        common = np.result_type(types[0], types[1]).name
    else:
        # A Python number takes the dtype of the NumPy scalar beside it, if that is a float.
        common = "float32" if "float32" in types else "float64"
    pair = []
    for each in (left, right):
        double = as_double(e, each)
        if double is None:
            return None
        exact = common == "float64" or dtype_of(each.type) in SINGLES
        pair.append(double if exact else e.op("round32", "f", double))
    return e.op("fcmp", "b", pair[0], pair[1], FLOATING[operator])


def truth(e: Emitter, value: Value) -> Operand:
    """`bool(value)` as a truth value."""
    if value.type == NONE:
        return 0
    operand = value.operands[0]
    if value.type == COMPLEX:
        parts = [e.op("fcmp", "b", each, 0.0, "une") for each in value.operands]
        return e.op("bor", "b", *parts)
    if is_literal(operand):
        return int(operand != 0)
    if value.type == FLOAT or dtype_of(value.type).startswith("float"):
        return e.op("fcmp", "b", operand, 0.0, "une")
    return _comparison_behind(e, operand) or e.op("itob", "b", operand)


def _comparison_behind(e: Emitter, operand: Operand) -> Temporary | None:
    """The truth value that a bool was made of a moment ago."""
    for instruction in reversed(e.block.instructions[-LOOK_BACK:]):
        if instruction[1] == operand and instruction[0] == "btoi":
            made: Temporary = instruction[2]
            return made
    return None


def logical_not(e: Emitter, value: Value) -> Value:
    """`not value`."""
    operand = value.operands[0] if value.operands else None
    if value.type in (BOOL, NumpyScalar("bool")) and not is_literal(operand) and not _comparison_behind(e, operand):
        return Value(BOOL, (e.op("xor", "i", operand, 1),))
    found = truth(e, value)
    return as_bool(e, int(not found) if is_literal(found) else e.op("bnot", "b", found))
