"""Kernel values in machine form: constants, and how a value lies in the slots of a wider type.

In: kernel types and `Value`s. Out: operands. The k-th integer (float, address) slot of a union holds the k-th one of
each member, so taking a part of a union or putting a member into one only chooses slots.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from lean_agentic.jit_runtime.emitter import Value
from lean_agentic.jit_runtime.layout import CLASSES, places, slots
from lean_agentic.jit_runtime.lir import Operand
from lean_agentic.kernel.ir import Constant
from lean_agentic.kernel.types import BOOL, COMPLEX, FLOAT, INT, NONE, NumpyScalar, Type, UnionType

FILLER: dict[str, Operand] = {"i": 0, "f": 0.0, "p": None}
"""What stands in the slots of a union that its present member does not use."""
SMALLEST, LARGEST = -(2**63), 2**63 - 1
TagOf = Callable[[Type], int]


class NoMachineFormError(Exception):
    """A constant does not fit into machine values: an int beyond 64 bits, or text."""


def constant_value(constant: Constant, large: bool = False) -> Value:
    """A constant as operands; with `large` an int immediate may exceed 64 bits, which only arithmetic takes.

    Raises
    ------
    NoMachineFormError
        If it does not fit.
    """
    value: Any = constant.value
    kind = constant.type
    if kind == INT:
        if large or SMALLEST <= value <= LARGEST:
            return Value(INT, (value,))
    elif kind == FLOAT:
        return Value(FLOAT, (value,))
    elif kind == BOOL:
        return Value(BOOL, (int(value),))
    elif kind == NONE:
        return Value(NONE, ())
    elif kind == COMPLEX:
        return Value(COMPLEX, (value.real, value.imag))
    raise NoMachineFormError(constant.spelling)


@cache
def positions(whole: Type, part: Type) -> tuple[int, ...]:
    """Where in the slots of a type the slots of one of its parts (a member, some members, all) lie."""
    letters = slots(whole)
    if whole == part:
        return tuple(range(len(letters)))
    if not isinstance(whole, UnionType):
        raise TypeError(f"{part} is no part of {whole}")
    if not isinstance(part, UnionType):
        return places(whole, part)
    wanted = slots(part)[1:]
    return (0, *(letters.index(each, 1) + k for each in CLASSES for k in range(wanted.count(each))))


def narrowed(value: Value, part: Type) -> Value:
    """The value as a type that it is known to have."""
    if value.type is part or value.type == part:
        return value
    return Value(part, tuple([value.operands[position] for position in positions(value.type, part)]))


def placed(value: Value, whole: Type, tag_of: TagOf) -> list[tuple[int, Operand]]:
    """(slot, operand) for each slot of a wider type that the value sets."""
    if value.type is whole or value.type == whole:
        return list(enumerate(value.operands))
    if not set(value.type.members) <= set(whole.members):
        raise TypeError(f"{value.type} does not fit into {whole}")
    pairs = list(zip(positions(whole, value.type), value.operands, strict=True))
    return pairs if isinstance(value.type, UnionType) else [(0, tag_of(value.type)), *pairs]


def widened(value: Value, whole: Type, tag_of: TagOf) -> tuple[Operand, ...]:
    """The value in all slots of a wider type."""
    if value.type is whole or value.type == whole:
        return value.operands
    filled: list[Operand] = [FILLER[letter] for letter in slots(whole)]
    for position, operand in placed(value, whole, tag_of):
        filled[position] = operand
    return tuple(filled)


def _likelihood(member: Type) -> int:
    if isinstance(member, NumpyScalar):
        return 1
    numbers: tuple[Type, ...] = (FLOAT, COMPLEX, INT, BOOL, NONE)
    return 2 + numbers.index(member) if member in numbers else 0


@cache
def likely_first(whole: Type) -> tuple[Type, ...]:
    """Members of a union in the order in which to test for them."""
    # A variable is often an int or None before a loop and what the loop's elements are in it.
    return tuple(sorted(whole.members, key=_likelihood))
