"""Types of the kernel language: what a value is, exactly, when CPython runs the function.

In: Python values. Out: frozen types. Python's `int` and NumPy's `int64` are different types here because CPython
computes differently with them: one is unbounded, the other wraps. A union is the exact set of types that a variable
may have where paths meet; the union of nothing, `NEVER`, is the type of what cannot be reached.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from lean_agentic.kernel.errors import UnsupportedError

DTYPES = (
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64",
)  # fmt: skip
LARGEST_UNION = 8
DEEPEST_NESTING = 6


@dataclass(frozen=True)
class Type:
    """Base of all types."""

    @property
    def members(self) -> tuple[Type, ...]:
        """The alternatives: the type itself unless it is a union."""
        return (self,)


@dataclass(frozen=True)
class PythonScalar(Type):
    """None or one of Python's own numbers; `name` is the Python class's name."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class NumpyScalar(Type):
    """What reading one element of an array gives: `np.int64`, `np.float32`, ..."""

    dtype: str

    def __str__(self) -> str:
        return f"np.{self.dtype}"


@dataclass(frozen=True)
class TupleType(Type):
    """A tuple of known length."""

    elements: tuple[Type, ...]

    def __str__(self) -> str:
        return f"tuple[{', '.join(map(str, self.elements))}]"


@dataclass(frozen=True)
class ListType(Type):
    """A list, shared with whoever holds it. Its elements keep within `element`."""

    element: Type

    def __str__(self) -> str:
        return f"list[{self.element}]"


@dataclass(frozen=True)
class ArrayType(Type):
    """An ndarray of any shape, strides and writability."""

    dtype: str
    rank: int

    def __str__(self) -> str:
        return f"array[{self.dtype}, {self.rank}]"

    @property
    def element(self) -> NumpyScalar:
        """Type of one element when read."""
        return NumpyScalar(self.dtype)


@dataclass(frozen=True)
class UnionType(Type):
    """One of several types, sorted by their text. Build it with `join`."""

    alternatives: tuple[Type, ...]

    def __str__(self) -> str:
        return " | ".join(map(str, self.alternatives)) or "never"

    @property
    def members(self) -> tuple[Type, ...]:
        """The alternatives."""
        return self.alternatives


NONE = PythonScalar("None")
BOOL = PythonScalar("bool")
INT = PythonScalar("int")
FLOAT = PythonScalar("float")
COMPLEX = PythonScalar("complex")
STRING = PythonScalar("str")
"""Text reaches the kernel only as the message of an exception."""
NEVER = UnionType(())

PYTHON_SCALARS: dict[type, PythonScalar] = {
    type(None): NONE, bool: BOOL, int: INT, float: FLOAT, complex: COMPLEX,
}  # fmt: skip
NUMPY_SCALARS: dict[type, NumpyScalar] = {np.dtype(name).type: NumpyScalar(name) for name in DTYPES}


def join(types: Iterable[Type]) -> Type:
    """The smallest type that holds them all.

    Raises
    ------
    UnsupportedError
        If more than `LARGEST_UNION` alternatives, or a tuple that grows without end, come together.
    """
    members = sorted({member for each in types for member in each.members}, key=str)
    if len(members) == 1:
        return members[0]
    if len(members) > LARGEST_UNION:
        raise UnsupportedError(f"a variable has more than {LARGEST_UNION} types: {', '.join(map(str, members))}")
    return UnionType(tuple(members))


def nesting(a_type: Type) -> int:
    """How many containers deep a type goes."""
    if isinstance(a_type, TupleType):
        return 1 + max(map(nesting, a_type.elements), default=0)
    if isinstance(a_type, ListType):
        return 1 + nesting(a_type.element)
    return max(map(nesting, a_type.members), default=0) if isinstance(a_type, UnionType) else 0


def is_scalar(a_type: Type) -> bool:
    """Whether every alternative is None, a number or a NumPy scalar."""
    return all(isinstance(member, PythonScalar | NumpyScalar) for member in a_type.members)


def is_index(a_type: Type) -> bool:
    """Whether every alternative can stand where Python wants an index (`operator.index`)."""
    return all(
        member in (INT, BOOL) or (isinstance(member, NumpyScalar) and np.dtype(member.dtype).kind in "iu")
        for member in a_type.members
    )


def type_of(value: Any) -> Type:
    """The exact type of a value; every element of a list is looked at.

    Raises
    ------
    UnsupportedError
        For values outside the kernel language (other classes, subclasses of ndarray, other dtypes).
    """
    exact = type(value)
    if exact in PYTHON_SCALARS:
        return PYTHON_SCALARS[exact]
    if exact in NUMPY_SCALARS:
        return NUMPY_SCALARS[exact]
    if exact is tuple:
        return TupleType(tuple(map(type_of, value)))
    if exact is list:
        return ListType(_element_type(value))
    if exact is np.ndarray:
        return _array_type(value)
    raise UnsupportedError(f"a value of type {exact.__module__}.{exact.__qualname__} is outside the kernel language")


def _element_type(values: list[Any]) -> Type:
    classes = set(map(type, values))
    if classes <= PYTHON_SCALARS.keys() | NUMPY_SCALARS.keys():
        return join((PYTHON_SCALARS | NUMPY_SCALARS)[each] for each in classes)
    return join(map(type_of, values))


def _array_type(array: np.ndarray[Any, Any]) -> ArrayType:
    # An exact class test: byte-swapped arrays and C's `long long` have the same names as the usual dtypes.
    if array.dtype.type not in NUMPY_SCALARS or not array.dtype.isnative:
        raise UnsupportedError(f"arrays of dtype {array.dtype} are outside the kernel language; it has {DTYPES}")
    return ArrayType(array.dtype.name, array.ndim)
