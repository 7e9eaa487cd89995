"""`kernel.type_of` for the values that calls are given, fast enough for long lists.

In: Python values. Out: their exact types. Every element of a list counts, so its classes are collected in C.
"""

from __future__ import annotations

from typing import Any

from lean_agentic.jit_runtime.bytecode import SUPPORTED
from lean_agentic.kernel import type_of as kernel_type_of
from lean_agentic.kernel.types import NUMPY_SCALARS, PYTHON_SCALARS, ListType, Type, join

if SUPPORTED:
    from lean_agentic.jit_runtime import _sampling

_SCALARS: dict[type, Type] = {**PYTHON_SCALARS, **NUMPY_SCALARS}
_LONG = 64


def type_of(value: Any) -> Type:
    """The exact type of a value, as `kernel.type_of` has it.

    Raises
    ------
    UnsupportedError
        For values outside the kernel language.
    """
    if type(value) is not list or len(value) < _LONG or not SUPPORTED:
        return kernel_type_of(value)
    classes = _sampling.classes(value)
    if classes <= _SCALARS.keys():
        return ListType(join([_SCALARS[each] for each in classes]))
    return ListType(join(map(type_of, value)))
