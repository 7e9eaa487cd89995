"""Meaning of one operation on actual values: the Python and NumPy operation of the same name.

The reference interpreter adds control flow to this. Nothing is modelled: an overflow warning of a NumPy scalar, a
ZeroDivisionError or an IndexError here is CPython's own.
"""

from __future__ import annotations

import builtins
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from lean_agentic.kernel.intrinsics import INTRINSICS
from lean_agentic.kernel.ir import (
    Atom,
    Attribute,
    Binary,
    Compare,
    Copy,
    Index,
    Intrinsic,
    MakeList,
    MakeTuple,
    Message,
    NewArray,
    Operation,
    Raise,
    Slice,
    Store,
    StoreSlice,
    Unary,
    Unpack,
)
from lean_agentic.kernel.operation_types import BINARY, COMPARE, UNARY

Read = Callable[[Atom], Any]
ARRAY_MAKERS: dict[str, Callable[..., Any]] = {
    "zeros": np.zeros, "ones": np.ones, "empty": np.empty, "full": np.full, "arange": np.arange,
    "zeros_like": np.zeros_like, "ones_like": np.ones_like, "empty_like": np.empty_like,
    "copy": operator.methodcaller("copy"),
}  # fmt: skip


def evaluate(operation: Operation, read: Read) -> Any:
    """The value of an operation that is not a call; `read` gives the value of an operand."""
    return RULES[type(operation)](operation, read)


def store(statement: Store, read: Read) -> None:
    """Assign one element of a list or an array."""
    read(statement.container)[_key(statement.items, read)] = read(statement.value)


def _store_slice(operation: StoreSlice, read: Read) -> None:
    read(operation.container)[_key(operation.items, read)] = read(operation.value)


def exception(statement: Raise, read: Read) -> Exception:
    """The exception that a statement raises."""
    arguments = [_message(each, read) if isinstance(each, Message) else read(each) for each in statement.arguments]
    made = getattr(builtins, statement.exception)(*arguments)
    assert isinstance(made, Exception)
    return made


def _message(message: Message, read: Read) -> Any:
    names = dict(zip(message.names, map(read, message.operands), strict=True))
    return eval(message.text, {"__builtins__": builtins}, names)


def _key(items: tuple[Atom | Slice, ...], read: Read) -> Any:
    parts = tuple(
        slice(read(item.start), read(item.stop), read(item.step)) if isinstance(item, Slice) else read(item)
        for item in items
    )
    return parts if len(parts) > 1 else parts[0]


def _new_array(operation: NewArray, read: Read) -> Any:
    dtype = {} if operation.dtype is None else {"dtype": operation.dtype}
    return ARRAY_MAKERS[operation.kind](*map(read, operation.arguments), **dtype)


RULES: dict[type[Operation], Callable[[Any, Read], Any]] = {
    Copy: lambda operation, read: read(operation.source),
    Unary: lambda operation, read: UNARY[operation.operator](read(operation.operand)),
    Binary: lambda operation, read: BINARY[operation.operator](read(operation.left), read(operation.right)),
    Compare: lambda operation, read: COMPARE[operation.operator](read(operation.left), read(operation.right)),
    Intrinsic: lambda operation, read: INTRINSICS[operation.name](*map(read, operation.arguments)),
    Index: lambda operation, read: read(operation.container)[_key(operation.items, read)],
    Unpack: lambda operation, read: read(operation.source)[operation.position],
    MakeTuple: lambda operation, read: tuple(map(read, operation.items)),
    MakeList: lambda operation, read: list(map(read, operation.items)),
    Attribute: lambda operation, read: getattr(read(operation.source), operation.name),
    NewArray: _new_array,
    StoreSlice: _store_slice,
}
