"""Which stores keep what a list holds, and which ones NumPy does element by element."""

from __future__ import annotations

from lean_agentic.kernel.errors import UnsupportedError
from lean_agentic.kernel.ir import Assign, Atom, Slice, Store, StoreSlice
from lean_agentic.kernel.operation_types import check_items, result_type
from lean_agentic.kernel.types import NEVER, ArrayType, ListType, NumpyScalar, Type, is_scalar, join


def element_type(a_type: Type) -> Type:
    """What the lists among the alternatives hold."""
    return join(member.element for member in a_type.members if isinstance(member, ListType))


def checked_store(statement: Store) -> Store | Assign:
    """A store of one element, or the operation that stores into a part of an array.

    Raises
    ------
    UnsupportedError
        For stores that change what a list holds, or that NumPy does not do.
    """
    items: tuple[Atom | Slice, ...] = statement.items
    rows = [isinstance(each, ArrayType) and each.rank > len(items) for each in statement.container.type.members]
    if any(isinstance(item, Slice) for item in items) or (rows and all(rows)):
        operation = StoreSlice(statement.container, items, statement.value)
        return Assign(statement.id, statement.line, f"%stored{statement.id}", operation, result_type(operation))
    check_items(statement.items)
    for member in statement.container.type.members:
        _check_store_into(member, len(statement.items), statement.value.type)
    return statement


def _check_store_into(container: Type, indexes: int, value: Type) -> None:
    if isinstance(container, ListType) and indexes == 1:
        # Nothing can be stored in a list without elements: IndexError, whatever the value.
        if container.element != NEVER and not set(value.members) <= set(container.element.members):
            raise UnsupportedError(f"a {container} would hold {value}; convert the value or start with the wider type")
    elif isinstance(container, ArrayType) and indexes == container.rank:
        numbers = all(isinstance(each, NumpyScalar) or each.name in ("bool", "int", "float") for each in value.members)  # type: ignore[attr-defined]
        if not is_scalar(value) or not numbers:
            raise UnsupportedError(f"{value} cannot be stored in one element of {container}")
    else:
        raise UnsupportedError(f"a store into {container} with {indexes} indexes is outside the kernel language")
