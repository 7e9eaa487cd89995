"""Functions that compiled code calls through the context's table: the interface between `selection` and `native/`.

In: nothing. Out: the table, name -> signature, in the order of the context's `runtime_table`. A signature is the
machine letters of the arguments and of the result; `c` stands for the context. Compiled code has no other outside
references.
"""

from __future__ import annotations

from typing import NamedTuple


class Signature(NamedTuple):
    """Machine types of a runtime function ; `pure` ones depend on their arguments alone and touch no memory."""

    arguments: str
    result: str
    pure: bool = False


ONE_ARGUMENT = (
    "acos", "acosh", "asin", "asinh", "atan", "atanh", "cbrt", "cos", "cosh", "erf", "erfc", "exp", "exp2", "expm1",
    "gamma", "lgamma", "log", "log10", "log1p", "log2", "sin", "sinh", "tan", "tanh",
)  # fmt: skip
TWO_ARGUMENTS = ("atan2", "fmod", "hypot", "pow", "nextafter", "remainder")

RUNTIME_FUNCTIONS: dict[str, Signature] = {
    "exit": Signature("cipp", "i"),
    "recursion_error": Signature("c", "i"),
    "list_new": Signature("cii", "p"),
    "list_reserve": Signature("cp", "i"),
    "list_slice": Signature("cpiii", "p"),
    "list_repeat": Signature("cpi", "p"),
    "list_concat": Signature("cpp", "p"),
    "float_floordiv": Signature("ff", "f", True),
    "float_mod": Signature("ff", "f", True),
    "int_true_divide": Signature("ii", "f", True),
    # 0 and the power behind the address; 1 when it does not fit; the exponent is not negative.
    "int_power": Signature("iip", "i"),
    # -1, 0 or 1 as the int is less than, equal to or greater than the float; 2 for NaN.
    "compare_int_float": Signature("if", "i", True),
    **{f"math_{name}": Signature("f", "f", True) for name in ONE_ARGUMENT},
    **{f"math_{name}": Signature("ff", "f", True) for name in TWO_ARGUMENTS},
    # As CPython computes complex numbers; the two results behind the address; 1 where CPython raises.
    "complex_divide": Signature("ffffp", "i"),
    "complex_power": Signature("ffffp", "i"),
    "complex_abs": Signature("ff", "f", True),
    "round_digits": Signature("fi", "f", True),
    "int_gcd": Signature("ii", "i", True),
    "int_isqrt": Signature("i", "i", True),
    # NumPy's type number, rank, what to fill with (0 nothing, 1 zeros, 2 ones, 3 the positions), and an area: first the
    # shape, then the array's slots; 1 where NumPy raises.
    "array_new": Signature("ciiip", "i"),
    # About so many elements will be appended; the result means nothing.
    "list_expect": Signature("cpi", "i"),
    # NumPy's type number, rank, and an area: shape, strides and data, then the new array's slots; 1 where NumPy raises.
    "array_copy": Signature("ciip", "i"),
}
"""Only append: an entry's place is its index in the table."""
