"""Result types of operations, the ones CPython and NumPy really give.

For scalars the rules are not written down: the operation is run on samples of the operand types and the types of the
results are joined. The samples reach each alternative that depends on values (2 ** -1 is a float, -0.5 ** 1.5 is
complex, `min(1, 0.5)` is either), so the tables are those of the NumPy and Python installed.
"""

from __future__ import annotations

import operator
import warnings
from collections.abc import Callable, Sequence
from functools import cache
from itertools import product
from typing import Any

import numpy as np

from lean_agentic.kernel.errors import UnsupportedError
from lean_agentic.kernel.intrinsics import INTRINSICS
from lean_agentic.kernel.ir import (
    Atom,
    Attribute,
    Binary,
    Compare,
    Constant,
    Copy,
    Index,
    Intrinsic,
    MakeList,
    MakeTuple,
    NewArray,
    Operation,
    Slice,
    StoreSlice,
    Unary,
    Unpack,
)
from lean_agentic.kernel.types import (
    BOOL,
    COMPLEX,
    FLOAT,
    INT,
    NEVER,
    NONE,
    ArrayType,
    ListType,
    NumpyScalar,
    PythonScalar,
    TupleType,
    Type,
    is_index,
    is_scalar,
    join,
    type_of,
)

BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "//": operator.floordiv,
    "%": operator.mod, "**": operator.pow, "<<": operator.lshift, ">>": operator.rshift, "&": operator.and_,
    "|": operator.or_, "^": operator.xor,
}  # fmt: skip
UNARY: dict[str, Callable[[Any], Any]] = {
    "-": operator.neg, "+": operator.pos, "~": operator.invert, "not": operator.not_,
}  # fmt: skip
COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
    "is": operator.is_, "isnot": operator.is_not, "in": lambda left, right: left in (right,),
    "inset": lambda left, right: left in {right},
}  # fmt: skip
SAMPLES: dict[Type, tuple[Any, ...]] = {
    NONE: (None,),
    BOOL: (False, True),
    INT: (-1, 0, 1, 2, 3),
    FLOAT: (-0.5, 1.5, 2.0),
    COMPLEX: (0.5 + 1j, 1 + 0j),
}
HUGE = 2**70
"""NumPy answers comparisons with ints that no dtype holds by a class of its own choice."""


@cache
def samples(a_type: Type) -> tuple[Any, ...]:
    """Values of a scalar type on which results show all their types."""
    if isinstance(a_type, NumpyScalar):
        make = np.dtype(a_type.dtype).type
        values = {"b": (0, 1), "u": (0, 1, 2), "i": (-1, 0, 1, 2), "f": (-0.5, 1.5, 2.0)}[np.dtype(a_type.dtype).kind]
        return tuple(map(make, values))
    return SAMPLES[a_type]


@cache
def probed(function: Callable[..., Any], operands: tuple[Type, ...], huge: bool = False) -> Type:
    """Types that a function of scalars gives, learned by calling it.

    Whether a power is complex shows at run time, and whether an int has a NumPy form: what is a TypeError only for
    those is taken if there is another alternative.

    Raises
    ------
    UnsupportedError
        If it raises TypeError for any other alternative, or gives something outside the kernel language.
    """
    found: set[Type | str] = set()
    large = (HUGE, 2**63) if isinstance(function, np.ufunc) else (HUGE,) if huge else ()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for alternative in product(*(each.members for each in operands)):
            sets = [samples(each) + (large if each is INT else ()) for each in alternative]
            found.update(_outcome_type(function, alternative, values) for values in product(*sets))
    failures = [each for each in found if isinstance(each, str)]
    types = join(each for each in found if not isinstance(each, str))
    if failures and types is NEVER and function not in (int, float):
        raise UnsupportedError(failures[0])
    return types


def _outcome_type(function: Callable[..., Any], operands: Sequence[Type], values: Sequence[Any]) -> Type | str:
    """The type of a result, or for a TypeError that is taken what it says."""
    try:
        return type_of(function(*values))
    except (ArithmeticError, ValueError):
        return NEVER
    except TypeError as error:
        name = getattr(function, "__name__", "operation")
        failure = f"{name} of {', '.join(map(str, operands))} raises TypeError ({error})"
    without_form = isinstance(function, np.ufunc) and any(value is HUGE for value in values)
    if COMPLEX in operands or without_form:
        return failure
    raise UnsupportedError(failure)


def result_type(operation: Operation) -> Type:
    """Type of an operation whose operands have their types (calls are typed by inference).

    Raises
    ------
    UnsupportedError
        If some alternative of the operand types is not taken.
    """
    return RULES[type(operation)](operation)


def scalars(what: str, operands: Sequence[Type]) -> None:
    """Refuse containers where only scalars are taken."""
    for each in operands:
        if not is_scalar(each):
            raise UnsupportedError(f"{what} of {each} is outside the kernel language; write the loop")


def check_condition(a_type: Type) -> None:
    """Refuse truth values of arrays, which raise or depend on the size."""
    if any(isinstance(member, ArrayType) for member in a_type.members):
        raise UnsupportedError("the truth value of an array is outside the kernel language")


def _unary(operation: Unary) -> Type:
    if operation.operator == "not":
        check_condition(operation.operand.type)
        return BOOL
    scalars(f"unary {operation.operator}", [operation.operand.type])
    return probed(UNARY[operation.operator], (operation.operand.type,))


def _binary(operation: Binary) -> Type:
    left, right = operation.left.type, operation.right.type
    if isinstance(left, ListType) and not operation.augmented:
        if operation.operator == "*" and right.members and all(each in (INT, BOOL) for each in right.members):
            return left
        if operation.operator == "+" and left == right:
            return left
    scalars(f"{operation.operator}{'=' if operation.augmented else ''}", [left, right])
    return _power(operation) or probed(BINARY[operation.operator], (left, right))


def _power(operation: Binary) -> Type | None:
    """`x ** 2` is an int: a constant exponent that is not negative gives no float and no complex."""
    exponent = operation.right
    if operation.operator != "**" or not isinstance(exponent, Constant) or exponent.type != INT or exponent.value < 0:
        return None
    if not all(each in (INT, BOOL, FLOAT) for each in operation.left.type.members):
        return None
    return join(FLOAT if each == FLOAT else INT for each in operation.left.type.members)


def _compare(operation: Compare) -> Type:
    left, right = operation.left.type, operation.right.type
    if operation.operator in ("is", "isnot"):
        if NONE not in (left, right):
            raise UnsupportedError("`is` is taken only against None")
        return BOOL
    scalars(f"comparison {operation.operator}", [left, right])
    return probed(COMPARE[operation.operator], (left, right), huge=True)


def as_equality(operation: Compare) -> Compare:
    """The `==` that an "in" or "inset" is for the types of its operands.

    Raises
    ------
    UnsupportedError
        If identity or hashing may matter: a NaN is found by identity only.
    """
    left, right = operation.left, operation.right
    both = set(left.type.members) & set(right.type.members) & {FLOAT, COMPLEX}
    if both and not any(isinstance(each, Constant) and each.value == each.value for each in (left, right)):
        raise UnsupportedError("`in` finds a NaN by its identity; compare floats with == or any(x == y for y in ...)")
    if any(isinstance(each, NumpyScalar) for each in right.type.members):
        raise UnsupportedError("`in` is not taken where the elements are NumPy scalars; use any(x == y for y in ...)")
    floating = any(isinstance(each, NumpyScalar) and each.dtype.startswith("float") for each in left.type.members)
    if floating and operation.operator == "inset":
        raise UnsupportedError("a NumPy float in a set is found by its hash; use a tuple")
    return Compare("==", right, left)


def _intrinsic(operation: Intrinsic) -> Type:
    types = tuple(argument.type for argument in operation.arguments)
    if operation.name == "len":
        return join(_length(member) for member in types[0].members)
    if operation.name in ("sum", "min", "max") and not is_scalar(types[0]):
        return join(_reduction(operation.name, member, types[1:]) for member in types[0].members)
    if operation.name in ("index", "range_length"):
        if not all(map(is_index, types)):
            raise UnsupportedError(f"range and enumerate take ints, not {', '.join(map(str, types))}")
        return INT
    scalars(operation.name, types)
    if operation.name == "in_range":
        if not all(map(is_index, types[1:])):
            raise UnsupportedError(f"range takes ints, not {', '.join(map(str, types[1:]))}")
        return BOOL
    if operation.name == "round" and types[1:] and not is_index(types[1]):
        raise UnsupportedError("round takes an int for the number of digits")
    return probed(INTRINSICS[operation.name], types)


def _length(a_type: Type) -> Type:
    if isinstance(a_type, TupleType | ListType) or (isinstance(a_type, ArrayType) and a_type.rank > 0):
        return INT
    raise UnsupportedError(f"{a_type} has no length and cannot be iterated")


def _reduction(name: str, container: Type, more: tuple[Type, ...]) -> Type:
    _length(container)
    element = _any_element(container)
    scalars(name, [element, *more])
    if name != "sum":
        if more:
            raise UnsupportedError(f"{name} of a container and something else raises TypeError")
        return element
    total = more[0] if more else INT
    while (wider := join([total, probed(operator.add, (total, element))])) != total:
        total = wider
    return total


def _any_element(container: Type) -> Type:
    if isinstance(container, ArrayType):
        return container.element if container.rank == 1 else ArrayType(container.dtype, container.rank - 1)
    if isinstance(container, TupleType):
        return join(container.elements)
    return container.element if isinstance(container, ListType) else NEVER


def _index(operation: Index) -> Type:
    return join(_indexed(member, operation.items) for member in operation.container.type.members)


def _indexed(container: Type, items: Sequence[Atom | Slice]) -> Type:
    check_items(items)
    slices = sum(isinstance(item, Slice) for item in items)
    if isinstance(container, ArrayType):
        rank = container.rank - (len(items) - slices)
        if len(items) > container.rank:
            raise UnsupportedError(f"{len(items)} indexes for {container}")
        return ArrayType(container.dtype, rank) if rank else container.element
    if len(items) == 1 and isinstance(container, ListType):
        return container if slices else container.element
    if len(items) == 1 and isinstance(container, TupleType) and not slices:
        return _tuple_item(container, items[0])
    raise UnsupportedError(f"this index into {container} is outside the kernel language")


def check_items(items: Sequence[Atom | Slice]) -> None:
    """Refuse indexes that are no ints: a bool makes a mask of an array, a float raises TypeError."""
    for item in items:
        parts = (item.start, item.stop, item.step) if isinstance(item, Slice) else (item,)
        for part in parts:
            missing = isinstance(item, Slice) and part.type == NONE
            if not missing and not (is_index(part.type) and BOOL not in part.type.members):
                raise UnsupportedError(f"an index of type {part.type} is outside the kernel language; use an int")


def _tuple_item(container: TupleType, item: Atom | Slice) -> Type:
    length = len(container.elements)
    if isinstance(item, Constant) and -length <= item.value < length:
        return container.elements[int(item.value)]
    return join(container.elements)


def _unpack(operation: Unpack) -> Type:
    parts = []
    for member in operation.source.type.members:
        if not isinstance(member, TupleType) or len(member.elements) != operation.count:
            raise UnsupportedError(f"{member} cannot be unpacked into {operation.count} targets")
        parts.append(member.elements[operation.position])
    return join(parts)


def _attribute(operation: Attribute) -> Type:
    return join(_attribute_of(member, operation.name) for member in operation.source.type.members)


def _attribute_of(a_type: Type, name: str) -> Type:
    if isinstance(a_type, ArrayType) and name in ("shape", "ndim", "size", "T"):
        return {"shape": TupleType((INT,) * a_type.rank), "T": a_type}.get(name, INT)
    if isinstance(a_type, PythonScalar | NumpyScalar) and a_type != NONE and name in ("real", "imag"):
        return probed(operator.attrgetter(name), (a_type,))
    raise UnsupportedError(f"the attribute .{name} of {a_type} is outside the kernel language")


def _new_array(operation: NewArray) -> Type:
    types = [argument.type for argument in operation.arguments]
    if operation.kind == "arange":
        return ArrayType(operation.dtype or _arange_dtype(operation), 1) if all(map(_is_number, types)) else NEVER
    if operation.kind == "copy" or operation.kind.endswith("_like"):
        return _alike(operation, types[0])
    shape = types[0]
    rank = len(shape.elements) if isinstance(shape, TupleType) else 1
    if not all(is_index(each) for each in (shape.elements if isinstance(shape, TupleType) else (shape,))):
        raise UnsupportedError(f"the shape of np.{operation.kind} is {shape}, not ints")
    if operation.kind == "full":
        scalars("np.full", types[1:])
        return ArrayType(operation.dtype or _full_dtype(operation.arguments[1]), rank)
    return ArrayType(operation.dtype or "float64", rank)


def _alike(operation: NewArray, source: Type) -> Type:
    if isinstance(source, ListType) and operation.kind == "copy":
        return source
    if isinstance(source, ArrayType):
        return ArrayType(operation.dtype or source.dtype, source.rank)
    if source == NEVER:
        return NEVER
    raise UnsupportedError(f"{operation.kind} of {source} is outside the kernel language")


def _is_number(a_type: Type) -> bool:
    if is_scalar(a_type) and NONE not in a_type.members and COMPLEX not in a_type.members:
        return True
    raise UnsupportedError(f"np.arange of {a_type} is outside the kernel language")


def _arange_dtype(operation: NewArray) -> str:
    # Where the bounds do not fit, NumPy turns to other dtypes by value: only forms that cannot do so are taken.
    types = {argument.type for argument in operation.arguments}
    if types == {FLOAT}:
        return "float64"
    literals = all(isinstance(argument, Constant) and abs(argument.value) < 2**31 for argument in operation.arguments)
    if types == {INT} and (literals or len(operation.arguments) == 1):
        return "int64"
    raise UnsupportedError("the dtype of this np.arange depends on its values; write dtype=")


def _full_dtype(value: Atom) -> str:
    if isinstance(value.type, NumpyScalar):
        return value.type.dtype
    if value.type in (FLOAT, BOOL):
        return "float64" if value.type == FLOAT else "bool"
    if isinstance(value, Constant) and value.type == INT and abs(value.value) < 2**63:
        return "int64"
    raise UnsupportedError("the dtype of this np.full depends on its value; write dtype=")


def _store_slice(operation: StoreSlice) -> Type:
    check_items(operation.items)
    for container in operation.container.type.members:
        if not isinstance(container, ArrayType) or len(operation.items) > container.rank:
            raise UnsupportedError(f"assignment to a slice of {container} is outside the kernel language")
    for value in operation.value.type.members:
        if not isinstance(value, ArrayType | NumpyScalar) and value not in (BOOL, INT, FLOAT):
            raise UnsupportedError(f"{value} cannot be stored in part of an array; use a number or an array")
    return NONE


RULES: dict[type[Operation], Callable[[Any], Type]] = {
    Copy: lambda operation: operation.source.type,
    Unary: _unary,
    Binary: _binary,
    Compare: _compare,
    Intrinsic: _intrinsic,
    Index: _index,
    Unpack: _unpack,
    MakeTuple: lambda operation: TupleType(tuple(item.type for item in operation.items)),
    MakeList: lambda operation: ListType(join(item.type for item in operation.items)),
    Attribute: _attribute,
    NewArray: _new_array,
    StoreSlice: _store_slice,
}
