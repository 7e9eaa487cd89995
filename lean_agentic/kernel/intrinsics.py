"""The built-in functions of the kernel language, each given by the Python function that defines its meaning.

`INTRINSICS` maps the name in the IR to the function. Inference calls it on samples to learn result types, the
reference interpreter calls it to compute, and `INTRINSIC_NAMES` finds the name for a function object in user code.
"""

from __future__ import annotations

import builtins
import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

BUILTINS = ("abs", "bool", "complex", "divmod", "float", "int", "len", "max", "min", "pow", "round", "sum")
MATH = (
    "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "cbrt", "ceil", "comb", "copysign", "cos", "cosh",
    "degrees", "erf", "erfc", "exp", "exp2", "expm1", "fabs", "factorial", "floor", "fmod", "frexp", "gamma", "gcd",
    "hypot", "isfinite", "isinf", "isnan", "isqrt", "lcm", "ldexp", "lgamma", "log", "log10", "log1p", "log2", "modf",
    "nextafter", "perm", "pow", "radians", "remainder", "sin", "sinh", "sqrt", "tan", "tanh", "trunc",
)  # fmt: skip


NUMPY = (
    "abs", "arccos", "arcsin", "arctan", "arctan2", "ceil", "cos", "cosh", "exp", "expm1", "floor", "hypot", "isfinite",
    "isinf", "isnan", "log", "log10", "log1p", "log2", "maximum", "minimum", "sign", "sin", "sinh", "sqrt", "square",
    "tan", "tanh",
)  # fmt: skip
"""Of scalars."""


def range_length(start: int, stop: int, step: int) -> int:
    """Length of `range(start, stop, step)`, of any size (`len` stops at 2**63 - 1)."""
    if step == 0:
        raise ValueError("range() arg 3 must not be zero")
    return max(0, (stop - start + step - (1 if step > 0 else -1)) // step)


def in_range(value: object, start: int, stop: int, step: int) -> bool:
    """`value in range(start, stop, step)`."""
    return value in range(start, stop, step)


INTRINSICS: dict[str, Callable[..., Any]] = {
    **{name: getattr(builtins, name) for name in BUILTINS},
    **{f"math.{name}": getattr(math, name) for name in MATH},
    **{f"np.{name}": getattr(np, name) for name in NUMPY},
    "index": operator.index,
    "range_length": range_length,
    "in_range": in_range,
}
INTRINSIC_NAMES: dict[Any, str] = {function: name for name, function in INTRINSICS.items()}
ARRAY_MAKERS: dict[Any, str] = {
    np.zeros: "zeros", np.ones: "ones", np.empty: "empty", np.full: "full", np.arange: "arange",
    np.zeros_like: "zeros_like", np.ones_like: "ones_like", np.empty_like: "empty_like",
}  # fmt: skip
EXCEPTIONS = frozenset(
    value for value in vars(builtins).values() if isinstance(value, type) and issubclass(value, Exception)
) - {UnicodeDecodeError, UnicodeEncodeError, UnicodeTranslateError, StopIteration}
"""Those that are raised with any arguments and pass generator expressions as they are."""
