"""Array elements: reading one as a NumPy scalar, storing a scalar as NumPy converts it.

In: the address of an element. Out: a value; or the store, before which the code leaves if NumPy raises.
"""

from __future__ import annotations

from lean_agentic.jit_runtime.arithmetic_compare import truth
from lean_agentic.jit_runtime.arithmetic_int import is_exact_double
from lean_agentic.jit_runtime.arithmetic_numpy import to_integer
from lean_agentic.jit_runtime.arithmetic_operands import (
    EXACT,
    INTEGER_WIDTHS,
    as_double,
    dtype_of,
    is_literal,
    wrap,
)
from lean_agentic.jit_runtime.emitter import Emitter, Leave, Value
from lean_agentic.jit_runtime.lir import Operand
from lean_agentic.kernel.types import BOOL, COMPLEX, FLOAT, INT, NONE, NumpyScalar

WIDTHS = {
    "bool": "u8", "int8": "i8", "int16": "i16", "int32": "i32", "int64": "i64", "uint8": "u8", "uint16": "u16",
    "uint32": "u32", "uint64": "i64", "float32": "f32", "float64": "f64",
}  # fmt: skip
WIDE = ("int64", "uint64")


def load_element(e: Emitter, dtype: str, address: Operand, offset: int) -> Value:
    """The element as a NumPy scalar."""
    element = NumpyScalar(dtype)
    if dtype.startswith("float"):
        return Value(element, (e.op("load", "f", address, offset, WIDTHS[dtype]),))
    loaded = e.op("load", "i", address, offset, WIDTHS[dtype])
    # A bool array may look at memory with any bytes: all but 0 are true.
    return Value(element, (e.op("btoi", "i", e.op("itob", "b", loaded)) if dtype == "bool" else loaded,))


def store_element(e: Emitter, dtype: str, address: Operand, offset: int, value: Value, leave: Leave) -> bool:
    """Store a scalar as `array[...] = value` does; False if there is no native form."""
    if value.type in (NONE, COMPLEX):
        return False
    stored = _converted(e, dtype, value, leave)
    if stored is None:
        return False
    width = WIDTHS[dtype]
    e.do("store", address, offset, stored, width.replace("u", "i"))
    return True


def _converted(e: Emitter, dtype: str, value: Value, leave: Leave) -> Operand:
    own = dtype_of(value.type)
    if dtype == "bool":
        if value.type == BOOL or own == "bool":
            return value.operands[0]
        found = truth(e, value)
        return found if is_literal(found) else e.op("btoi", "i", found)
    if dtype.startswith("float"):
        return _float(e, dtype, value, leave)
    if value.type == FLOAT or own.startswith("float"):
        return _truncated(e, dtype, value.operands[0], leave)
    return _integer(e, dtype, value, leave)


def _float(e: Emitter, dtype: str, value: Value, leave: Leave) -> Operand:
    if dtype == "float32" and dtype_of(value.type) in WIDE:
        # NumPy rounds once here, from the integer; by way of an exact double it is the same.
        operand = value.operands[0]
        unsigned = dtype_of(value.type) == "uint64"
        small = e.op("icmp", "b", operand, EXACT, "ule") if unsigned else is_exact_double(e, operand)
        e.guard(small, leave())
        return e.op("itof", "f", operand)
    return as_double(e, value)


def _truncated(e: Emitter, dtype: str, operand: Operand, leave: Leave) -> Operand:
    """A float in an integer array; leaves for all that does not fit, whether NumPy raises or wraps."""
    bits, is_signed = INTEGER_WIDTHS[dtype]
    if is_signed:
        e.guard(e.op("fcmp", "b", e.op("fabs", "f", operand), 2.0 ** (bits - 1), "olt"), leave())
    else:
        e.guard(e.op("fcmp", "b", operand, -1.0, "ogt"), leave())
        e.guard(e.op("fcmp", "b", operand, 2.0 ** min(bits, 63), "olt"), leave())
    return e.op("ftoi", "i", operand)


def _integer(e: Emitter, dtype: str, value: Value, leave: Leave) -> Operand:
    """An integer in an integer array: NumPy wraps its own integers in unsigned arrays, and raises otherwise."""
    operand, own = value.operands[0], dtype_of(value.type)
    bits, is_signed = INTEGER_WIDTHS[dtype]
    if value.type == INT:
        return to_integer(e, value, dtype, leave)
    if value.type == BOOL or not is_signed or _always_fits(own, dtype):
        return operand
    if own == "uint64":
        e.guard(e.op("icmp", "b", operand, 0, "sge"), leave())
    if bits < 64:
        e.guard(e.op("icmp", "b", wrap(e, operand, dtype), operand, "eq"), leave())
    return operand


def _always_fits(own: str, dtype: str) -> bool:
    if own == "bool":
        return True
    (own_bits, own_signed), (bits, is_signed) = INTEGER_WIDTHS[own], INTEGER_WIDTHS[dtype]
    if own_signed == is_signed:
        return own_bits <= bits
    return is_signed and own_bits < bits
