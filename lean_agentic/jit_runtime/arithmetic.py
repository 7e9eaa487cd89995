"""Native forms of scalar operations with CPython's and NumPy's exact semantics.

In: an operation of the kernel and its operands as machine values, each of a single scalar type. Out: instructions in
the emitter and the result, whose type is the one CPython gives. None means that there is no native form: the operation
is then evaluated in Python. `leave` gives the exit by which the statement is executed again in Python; it is taken
where CPython raises or where a result has no machine form, and nothing has happened before it is.
"""

from __future__ import annotations

import operator as operator_module
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lean_agentic.jit_runtime import (
    arithmetic_builtins,
    arithmetic_compare,
    arithmetic_complex,
    arithmetic_float,
    arithmetic_int,
    arithmetic_math,
    arithmetic_numpy,
)
from lean_agentic.jit_runtime.arithmetic_compare import truth
from lean_agentic.jit_runtime.arithmetic_complex import part
from lean_agentic.jit_runtime.arithmetic_elements import load_element, store_element
from lean_agentic.jit_runtime.arithmetic_operands import constant, fits, python_value
from lean_agentic.jit_runtime.emitter import Emitter, Leave, Value
from lean_agentic.jit_runtime.lir import Operand, Temporary
from lean_agentic.kernel.intrinsics import INTRINSICS
from lean_agentic.kernel.operation_types import BINARY, COMPARE, UNARY
from lean_agentic.kernel.types import BOOL, COMPLEX, FLOAT, INT, NONE, NumpyScalar, Type, type_of

__all__ = [
    "binary", "compare", "condition", "constant", "fits", "intrinsic", "load_element", "part", "store_element", "truth",
    "unary",
]  # fmt: skip
Binary = Callable[[Emitter, str, Value, Value, Leave], Value | None]


def unary(e: Emitter, operator: str, operand: Value, leave: Leave) -> Value | None:
    """`- + ~ not` of a scalar.

    Parameters
    ----------
    e : the emitter that gets the instructions
    operator : as in `ir.Unary`
    operand : of a single scalar type
    leave : gives the exit of the statement

    Returns
    -------
    The result, or None if there is no native form.
    """
    if _are_known((operand,)):
        return _folded(UNARY[operator], (operand,))
    if operator == "not":
        return arithmetic_compare.logical_not(e, operand)
    if isinstance(operand.type, NumpyScalar):
        return arithmetic_numpy.unary(e, operator, operand)
    if operand.type in (INT, BOOL):
        return arithmetic_int.unary(e, operator, operand, leave)
    if operand.type == NONE:
        return None
    rule = arithmetic_complex.unary if operand.type == COMPLEX else arithmetic_float.unary
    return rule(e, operator, operand)


def binary(e: Emitter, operator: str, left: Value, right: Value, leave: Leave) -> Value | None:
    """`+ - * / // % ** << >> & | ^` of two scalars; parameters and result as for `unary`."""
    if _are_known((left, right)):
        return _folded(BINARY[operator], (left, right))
    if left.type == COMPLEX and right.type == NumpyScalar("float64"):
        # It is a float, and complex is asked first.
        right = Value(FLOAT, right.operands)
    family = max(FAMILIES.get(left.type, 3), FAMILIES.get(right.type, 3))
    if family == 4 or (family == 3 and COMPLEX in (left.type, right.type)):
        return None
    return BINARY_RULES[family](e, operator, left, right, leave)


def compare(e: Emitter, operator: str, left: Value, right: Value, leave: Leave) -> Value | None:
    """`== != < <= > >= is isnot` as a bool or np.bool; parameters and result as for `unary`."""
    if _are_known((left, right)):
        return _folded(COMPARE[operator], (left, right))
    return arithmetic_compare.compare(e, operator, left, right, leave)


def condition(e: Emitter, operator: str, left: Value, right: Value, leave: Leave) -> Operand:
    """A comparison as a truth value (machine `b`, or an immediate 0 or 1), for a branch on it; None as for `unary`."""
    if _are_known((left, right)):
        known = _folded(COMPARE[operator], (left, right))
        return None if known is None else known.operands[0]
    return arithmetic_compare.condition(e, operator, left, right, leave)


def intrinsic(e: Emitter, name: str, arguments: Sequence[Value], leave: Leave) -> Value | None:
    """A built-in function or one of `math`, by its name in `kernel.intrinsics`; as for `unary`."""
    rule = arithmetic_builtins.RULES.get(name)
    native = rule is not None or name == "pow" or arithmetic_math.is_native(name)
    if not native or not arguments:
        return None
    if name == "pow":
        return binary(e, "**", arguments[0], arguments[1], leave) if len(arguments) == 2 else None
    if _are_known(arguments):
        return _folded(INTRINSICS[name], arguments)
    if rule is None:
        return arithmetic_math.function(e, name.removeprefix("math."), arguments, leave)
    return rule(e, arguments, leave)


def _are_known(operands: Sequence[Value]) -> bool:
    for value in operands:
        for operand in value.operands:
            if isinstance(operand, Temporary):
                return False
    return True


def _folded(function: Callable[..., Any], operands: Sequence[Value]) -> Value | None:
    """The result of a function of immediates; None if it raises or an int does not fit, which Python shall find out."""
    if function in MAY_BE_HUGE and _is_large(operands):
        return None
    try:
        with np.errstate(all="ignore"):
            result = function(*map(python_value, operands))
    except (ArithmeticError, ValueError, TypeError):
        return None
    made = constant(result, type_of(result))
    return made if all(isinstance(each, float) or fits(each) for each in made.operands) else None


def _is_large(operands: Sequence[Value]) -> bool:
    """Whether the second operand makes it a computation with long ints."""
    second = operands[-1].operands[0] if operands[-1].operands else 0
    return isinstance(second, int) and abs(second) > 64 and all(each.type in (INT, BOOL) for each in operands)


MAY_BE_HUGE = (operator_module.pow, operator_module.lshift, round)
"""Not computed here for large second operands."""
FAMILIES: dict[Type, int] = {BOOL: 0, INT: 0, FLOAT: 1, COMPLEX: 2, NONE: 4}
"""All others are NumPy scalars, 3; the larger of two decides."""
BINARY_RULES: tuple[Binary, ...] = (
    arithmetic_int.binary, arithmetic_float.binary, arithmetic_complex.binary, arithmetic_numpy.binary,
)  # fmt: skip
