"""How a kernel type lies in machine values, the same for every back end and for the C boundary.

In: kernel types. Out: the machine letters of a value (`i` integer, `f` double, `p` address), tags of union members, and
the descriptor by which the native boundary boxes and unboxes values of the type.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from lean_agentic.kernel.types import (
    BOOL,
    COMPLEX,
    FLOAT,
    INT,
    NONE,
    ArrayType,
    ListType,
    NumpyScalar,
    PythonScalar,
    TupleType,
    Type,
    UnionType,
)

CLASSES = "ifp"
SCALAR_TAGS: dict[Type, int] = {
    scalar: tag
    for tag, scalar in enumerate(
        [
            *(NONE, BOOL, INT, FLOAT, COMPLEX),
            *(NumpyScalar(name) for name in ("bool", "int8", "int16", "int32", "int64")),
            *(NumpyScalar(name) for name in ("uint8", "uint16", "uint32", "uint64", "float32", "float64")),
        ]
    )
}
"""Tags of scalar members, the same in every compiled unit."""
FIRST_CONTAINER_TAG = 16
Descriptor = tuple[Any, ...]


@cache
def slots(a_type: Type) -> str:
    """Machine letters of a value of the type, in order."""
    if isinstance(a_type, PythonScalar):
        return {"None": "", "bool": "i", "int": "i", "float": "f", "complex": "ff", "str": ""}[a_type.name]
    if isinstance(a_type, NumpyScalar):
        return "f" if a_type.dtype.startswith("float") else "i"
    if isinstance(a_type, TupleType):
        return "".join(map(slots, a_type.elements))
    if isinstance(a_type, ListType):
        return "p"
    if isinstance(a_type, ArrayType):
        return "ppi" + "ii" * a_type.rank
    return _union_slots(a_type)


def _union_slots(a_type: Type) -> str:
    if not a_type.members:
        return ""
    return "i" + "".join(each * max(slots(member).count(each) for member in a_type.members) for each in CLASSES)


@cache
def places(union: UnionType, member: Type) -> tuple[int, ...]:
    """Where in a union's slots (the tag is slot 0) the slots of a member lie."""
    whole = slots(union)
    starts = {each: whole.index(each, 1) for each in set(slots(member))}
    found = []
    for letter in slots(member):
        found.append(starts[letter])
        starts[letter] += 1
    return tuple(found)


class Tags:
    """Tags of union members in one compiled unit; containers get theirs in order of appearance."""

    def __init__(self) -> None:
        self._containers: dict[Type, int] = {}

    def of(self, member: Type) -> int:
        """The tag of a union member."""
        if member in SCALAR_TAGS:
            return SCALAR_TAGS[member]
        return self._containers.setdefault(member, FIRST_CONTAINER_TAG + len(self._containers))


def element_size(element: Type) -> int:
    """Bytes of one element in a native list."""
    return 1 if element == BOOL else 8 * len(slots(element))


class Descriptors:
    """Descriptors for the native boundary; `written` are the list types that the unit stores into."""

    def __init__(self, tags: Tags, written: Iterable[Type] = ()) -> None:
        self._tags = tags
        self._written = frozenset(written)

    def of(self, a_type: Type) -> Descriptor:
        """The nested tuples that describe a type to C."""
        if isinstance(a_type, PythonScalar):
            return (a_type.name.lower(),)
        if isinstance(a_type, NumpyScalar):
            return ("np", a_type.dtype)
        if isinstance(a_type, TupleType):
            return ("tuple", [self.of(each) for each in a_type.elements])
        if isinstance(a_type, ListType):
            return ("list", self.of(a_type.element), a_type in self._written)
        if isinstance(a_type, ArrayType):
            return ("array", a_type.dtype, a_type.rank)
        if not a_type.members:
            return ("never",)
        return ("union", [(self._tags.of(each), self.of(each)) for each in a_type.members])
