"""The built-in functions on scalars: abs, bool, complex, divmod, float, int, max, min, pow, round, index, range_length.

In: values of single scalar types. Out: values of the types CPython gives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lean_agentic.jit_runtime import (
    arithmetic_complex,
    arithmetic_float,
    arithmetic_int,
    arithmetic_numpy,
)
from lean_agentic.jit_runtime.arithmetic_compare import as_bool, condition, truth
from lean_agentic.jit_runtime.arithmetic_operands import (
    as_double,
    as_integer,
    dtype_of,
    is_literal,
    leave_unless_finite,
    power_of_two,
    to_int,
)
from lean_agentic.jit_runtime.emitter import Emitter, Leave, Value
from lean_agentic.jit_runtime.lir import Operand
from lean_agentic.kernel.types import BOOL, COMPLEX, FLOAT, INT, NONE, NumpyScalar

Arguments = Sequence[Value]


def is_integer(value: Value) -> bool:
    """Whether the value is an int, a bool or a NumPy integer or np.bool."""
    return value.type in (INT, BOOL) or (isinstance(value.type, NumpyScalar) and not is_float(value))


def is_float(value: Value) -> bool:
    """Whether the value is a float, Python's or NumPy's."""
    return value.type == FLOAT or dtype_of(value.type).startswith("float")


def _absolute(e: Emitter, arguments: Arguments, leave: Leave) -> Value | None:
    value = arguments[0]
    if isinstance(value.type, NumpyScalar):
        return arithmetic_numpy.absolute(e, value)
    if value.type == COMPLEX:
        return arithmetic_complex.absolute(e, value, leave)
    if value.type == FLOAT:
        return Value(FLOAT, (e.op("fabs", "f", value.operands[0]),))
    return arithmetic_int.absolute(e, value, leave)


def _bool(e: Emitter, arguments: Arguments, leave: Leave) -> Value:
    return arguments[0] if arguments[0].type == BOOL else as_bool(e, truth(e, arguments[0]))


def _complex(e: Emitter, arguments: Arguments, leave: Leave) -> Value | None:
    return arithmetic_complex.make(e, tuple(arguments))


def _float(e: Emitter, arguments: Arguments, leave: Leave) -> Value | None:
    if not (is_integer(arguments[0]) or is_float(arguments[0])):
        return None
    double = as_double(e, arguments[0])
    return None if double is None else Value(FLOAT, (double,))


def _int(e: Emitter, arguments: Arguments, leave: Leave) -> Value | None:
    if len(arguments) != 1 or arguments[0].type in (COMPLEX, NONE):
        return None
    if is_float(arguments[0]):
        return Value(INT, (to_int(e, arguments[0].operands[0], leave),))
    integer = as_integer(e, arguments[0], leave)
    return None if integer is None else Value(INT, (integer,))


def _divmod(e: Emitter, arguments: Arguments, leave: Leave) -> Value | None:
    left, right = arguments
    types = (left.type, right.type)
    if COMPLEX in types:
        return None
    if any(isinstance(each, NumpyScalar) for each in types):
        return arithmetic_numpy.divmod_numpy(e, left, right, leave)
    return (arithmetic_float.divmod_float if FLOAT in types else arithmetic_int.divmod_int)(e, left, right, leave)


def extremum(e: Emitter, operator: str, arguments: Arguments, leave: Leave) -> Value | None:
    """`min` (operator "<") or `max` (">") of values of one type: the first that no later one is less than."""
    best = arguments[0]
    for each in arguments[1:]:
        if each.type != best.type or best.type in (COMPLEX, NONE):
            return None
        better = condition(e, operator, each, best, leave)
        if better is None:
            return None
        machine = "f" if is_float(best) else "i"
        best = Value(best.type, (e.op("select", machine, better, each.operands[0], best.operands[0]),))
    return best if len(arguments) > 1 else None


def _round(e: Emitter, arguments: Arguments, leave: Leave) -> Value | None:
    value = arguments[0]
    if len(arguments) > 1 and arguments[1].type != NONE:
        return _round_to_digits(e, value, arguments[1], leave)
    if is_float(value):
        return Value(INT, (to_int(e, e.op("frint", "f", value.operands[0]), leave),))
    return _int(e, arguments[:1], leave)


def _round_to_digits(e: Emitter, value: Value, digits: Value, leave: Leave) -> Value | None:
    count = as_integer(e, digits, leave)
    if count is None or dtype_of(value.type) == "bool" or dtype_of(value.type).startswith("float"):
        return None
    if value.type == FLOAT:
        rounded = e.runtime("round_digits", "f", value.operands[0], count)
        leave_unless_finite(e, rounded, value.operands, leave)
        return Value(FLOAT, (rounded,))
    if is_literal(count) and count < 0:
        return None
    if not is_literal(count):
        e.guard(e.op("icmp", "b", count, 0, "sge"), leave())
    return Value(INT, value.operands) if value.type == BOOL else value


def _index(e: Emitter, arguments: Arguments, leave: Leave) -> Value | None:
    integer = as_integer(e, arguments[0], leave) if is_integer(arguments[0]) else None
    return None if integer is None else Value(INT, (integer,))


def _range_length(e: Emitter, arguments: Arguments, leave: Leave) -> Value | None:
    if any(each.type not in (INT, BOOL) for each in arguments):
        return None
    start, stop, step = (as_integer(e, each, leave) for each in arguments)
    if start is None or stop is None or step in (0, None):
        return None
    if is_literal(step):
        low, high, size = (start, stop, step) if step > 0 else (stop, start, -step)
        return Value(INT, (_steps(e, low, high, size, leave),))
    e.guard(e.op("icmp", "b", step, 0, "ne"), leave())
    up = e.op("icmp", "b", step, 0, "sgt")
    low, high = e.op("select", "i", up, start, stop), e.op("select", "i", up, stop, start)
    return Value(INT, (_steps(e, low, high, e.op("select", "i", up, step, e.op("ineg", "i", step)), leave),))


def _steps(e: Emitter, low: Operand, high: Operand, size: Operand, leave: Leave) -> Operand:
    """Steps of an unsigned size from low to before high."""
    distance = high if low == 0 else e.op("subo", "i", high, low, leave())
    positive = e.op("icmp", "b", distance, 0, "sgt")
    if size == 1:
        return e.op("select", "i", positive, distance, 0)
    before_last = e.op("sub", "i", distance, 1)
    exponent = power_of_two(size)
    whole = e.op("udiv", "i", before_last, size) if exponent is None else e.op("lshr", "i", before_last, exponent)
    return e.op("select", "i", positive, e.op("add", "i", whole, 1), 0)


RULES: dict[str, Callable[[Emitter, Arguments, Leave], Value | None]] = {
    "abs": _absolute, "bool": _bool, "complex": _complex, "divmod": _divmod, "float": _float, "index": _index,
    "int": _int, "round": _round, "range_length": _range_length,
    "min": lambda e, arguments, leave: extremum(e, "<", arguments, leave),
    "max": lambda e, arguments, leave: extremum(e, ">", arguments, leave),
}  # fmt: skip
