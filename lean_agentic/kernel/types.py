"""Types of the kernel language: what a value is, exactly, when CPython runs the function.

In: Python values. Out: frozen types. Python's `int` and NumPy's `int64` are different types here because CPython
computes differently with them: one is unbounded, the other wraps. A union is the exact set of types that a variable
may have where paths meet; the union of nothing, `NEVER`, is the type of what cannot be reached.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any

import numpy as np

from lean_agentic.kernel.errors import UnsupportedError

DTYPES = (
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64",
)  # fmt: skip
LARGEST_UNION = 8
DEEPEST_NESTING = 6


class _Interned(type):
    """Makes equal types the same object, so that comparing and hashing them costs nothing."""

    def __init__(cls, *parts: Any, **named: Any) -> None:
        super().__init__(*parts, **named)
        cls._made: dict[tuple[Any, ...], Any] = {}

    def __call__(cls, *parts: Any) -> Any:
        found = cls._made.get(parts)
        return cls._made.setdefault(parts, super().__call__(*parts)) if found is None else found


@dataclass(frozen=True, eq=False)
class Type(metaclass=_Interned):
    """Base of all types."""

    members: tuple[Type, ...] = field(init=False, repr=False)
    """The alternatives: the type itself unless it is a union."""
    text: str = field(init=False, repr=False)
    """How it is written."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "members", self._alternatives())
        object.__setattr__(self, "text", self._text())

    def __str__(self) -> str:
        return self.text

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), tuple(getattr(self, each.name) for each in fields(self) if each.init))

    def _alternatives(self) -> tuple[Type, ...]:
        return (self,)

    def _text(self) -> str:
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class PythonScalar(Type):
    """None or one of Python's own numbers; `name` is the Python class's name."""

    name: str

    def _text(self) -> str:
        return self.name


@dataclass(frozen=True, eq=False)
class NumpyScalar(Type):
    """What reading one element of an array gives: `np.int64`, `np.float32`, ..."""

    dtype: str

    def _text(self) -> str:
        return f"np.{self.dtype}"


@dataclass(frozen=True, eq=False)
class TupleType(Type):
    """A tuple of known length."""

    elements: tuple[Type, ...]

    def _text(self) -> str:
        return f"tuple[{', '.join(map(str, self.elements))}]"


@dataclass(frozen=True, eq=False)
class ListType(Type):
    """A list, shared with whoever holds it. Its elements keep within `element`."""

    element: Type

    def _text(self) -> str:
        return f"list[{self.element}]"


@dataclass(frozen=True, eq=False)
class ArrayType(Type):
    """An ndarray of any shape, strides and writability."""

    dtype: str
    rank: int

    def _text(self) -> str:
        return f"array[{self.dtype}, {self.rank}]"

    @property
    def element(self) -> NumpyScalar:
        """Type of one element when read."""
        return NumpyScalar(self.dtype)


@dataclass(frozen=True, eq=False)
class UnionType(Type):
    """One of several types, sorted by their text. Build it with `join`."""

    alternatives: tuple[Type, ...]

    def _text(self) -> str:
        return " | ".join(map(str, self.alternatives)) or "never"

    def _alternatives(self) -> tuple[Type, ...]:
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
SCALARS: dict[type, Type] = {**PYTHON_SCALARS, **NUMPY_SCALARS}


def join(types: Iterable[Type]) -> Type:
    """The smallest type that holds them all.

    Raises
    ------
    UnsupportedError
        If more than `LARGEST_UNION` alternatives, or a tuple that grows without end, come together.
    """
    given = set(types)
    return given.pop() if len(given) == 1 else _joined(frozenset(given))


@cache
def _joined(types: frozenset[Type]) -> Type:
    members = sorted({member for each in types for member in each.members}, key=str)
    if len(members) == 1:
        return members[0]
    if len(members) > LARGEST_UNION:
        raise UnsupportedError(f"a variable has more than {LARGEST_UNION} types: {', '.join(map(str, members))}")
    return UnionType(tuple(members))


@cache
def nesting(a_type: Type) -> int:
    """How many containers deep a type goes."""
    if isinstance(a_type, TupleType):
        return 1 + max(map(nesting, a_type.elements), default=0)
    if isinstance(a_type, ListType):
        return 1 + nesting(a_type.element)
    return max(map(nesting, a_type.members), default=0) if isinstance(a_type, UnionType) else 0


@cache
def is_scalar(a_type: Type) -> bool:
    """Whether every alternative is None, a number or a NumPy scalar."""
    return all(isinstance(member, PythonScalar | NumpyScalar) for member in a_type.members)


@cache
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
    scalar = SCALARS.get(exact)
    if scalar is not None:
        return scalar
    if exact is tuple:
        return TupleType(tuple(map(type_of, value)))
    if exact is list:
        return ListType(_element_type(value))
    if exact is np.ndarray:
        return _array_type(value)
    raise UnsupportedError(f"a value of type {exact.__module__}.{exact.__qualname__} is outside the kernel language")


def _element_type(values: list[Any]) -> Type:
    classes = set(map(type, values))
    if classes <= SCALARS.keys():
        return join([SCALARS[each] for each in classes])
    return join(map(type_of, values))


def _array_type(array: np.ndarray[Any, Any]) -> ArrayType:
    # An exact class test: byte-swapped arrays and C's `long long` have the same names as the usual dtypes.
    if array.dtype.type not in NUMPY_SCALARS or not array.dtype.isnative:
        raise UnsupportedError(f"arrays of dtype {array.dtype} are outside the kernel language; it has {DTYPES}")
    return ArrayType(array.dtype.name, array.ndim)
