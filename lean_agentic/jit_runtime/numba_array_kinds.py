"""What the expressions of whole-array functions are, where Numba computes them exactly as NumPy does.

In: an expression's syntax and the kinds of the variables. Out: its kind, or `RefusedError` with what stands in the way.
Used by `numba_arrays`, which says what the rules are.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import FunctionType
from typing import Any, NoReturn

import numpy as np

from lean_agentic.jit_runtime._native import MISSING
from lean_agentic.kernel.types import FLOAT, INT, ArrayType, Type

LARGEST_CONSTANT = 2**31
"""Ints up to this are doubles, and stay so when a few are added up."""
ELEMENTWISE = {
    "sqrt": "f", "abs": "f", "absolute": "f", "floor": "f", "ceil": "f", "trunc": "f", "negative": "f", "square": "f",
    "add": "ff", "subtract": "ff", "multiply": "ff", "divide": "ff",
}  # fmt: skip
LIKE = ("zeros_like", "ones_like")
ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.Div)
LOGIC = (ast.BitAnd, ast.BitOr, ast.BitXor)
COMPARISONS = (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq)


@dataclass(frozen=True)
class Array:
    """Elements `f8`, `f4` or `b1`; fresh: nothing else refers to its memory."""

    dtype: str
    rank: int
    fresh: bool = True
    view: bool = False
    """Of another array: not to be returned."""


INDEX, COUNT, NUMBER, ELEMENT, TRUTH = "index", "count", "number", "element", "truth"
"""An int that is not far from a length; any int; a Python float; an element of a float64 array; a bool."""
Kind = Array | str
DTYPES = {"float64": "f8", "float32": "f4", "bool": "b1"}


class RefusedError(Exception):
    """What stands in the way, at a node."""

    def __init__(self, node: ast.AST, reason: str) -> None:
        self.reason = f"line {getattr(node, 'lineno', 0)}: {reason}"
        super().__init__(self.reason)


def kind_of(a_type: Type) -> Kind | None:
    """What an argument is; None: not taken."""
    if isinstance(a_type, ArrayType):  # NumPy makes scalars of arrays without axes
        taken = a_type.dtype in DTYPES and a_type.rank > 0
        return Array(DTYPES[a_type.dtype], a_type.rank, fresh=False) if taken else None
    return COUNT if a_type == INT else NUMBER if a_type == FLOAT else None


class Expressions:
    """Finds kinds; `kinds` are those of all variables so far, `outside` the outside names that were relied on."""

    def __init__(self, function: FunctionType) -> None:
        self.function = function
        self.kinds: dict[str, Kind] = {}
        self.outside: dict[str, Any] = {}

    def refuse(self, node: ast.AST, reason: str) -> NoReturn:
        """Stop here."""
        raise RefusedError(node, reason)

    def kind(self, node: ast.expr, known: Mapping[str, Kind]) -> Kind:
        """What an expression gives."""
        rule = EXPRESSIONS.get(type(node))
        if rule is None:
            self.refuse(node, f"{type(node).__name__} is not known to be the same")
        found: Kind = rule(self, node, known)
        return found

    def constant(self, node: ast.Constant, known: Mapping[str, Kind]) -> Kind:
        """A number."""
        if type(node.value) is int and abs(node.value) <= LARGEST_CONSTANT:
            return INDEX
        if type(node.value) is float:
            return NUMBER
        self.refuse(node, f"the constant {node.value!r}")

    def name(self, node: ast.Name, known: Mapping[str, Kind]) -> Kind:
        """A variable that surely has a value."""
        if node.id not in known:
            self.refuse(node, f"{node.id} is from outside, or may have no value")
        return known[node.id]

    def attribute(self, node: ast.Attribute, known: Mapping[str, Kind]) -> Kind:
        """`a.size`."""
        if node.attr == "size" and isinstance(self.kind(node.value, known), Array):
            return INDEX
        self.refuse(node, f"the attribute {node.attr}")

    def unary(self, node: ast.UnaryOp, known: Mapping[str, Kind]) -> Kind:
        """`-x`, `~mask`, `not truth`."""
        kind = self.kind(node.operand, known)
        if isinstance(node.op, ast.Invert) and _is_mask(kind):
            return new(kind)
        if isinstance(node.op, ast.USub) and (kind in (INDEX, NUMBER, ELEMENT) or _floats(kind)):
            return new(kind)
        if isinstance(node.op, ast.Not) and kind == TRUTH:
            return TRUTH
        self.refuse(node, f"{type(node.op).__name__} of {kind}")

    def binary(self, node: ast.BinOp, known: Mapping[str, Kind]) -> Kind:
        """`+ - * /` of numbers and arrays, `& | ^` of masks."""
        left, right = self.kind(node.left, known), self.kind(node.right, known)
        if isinstance(node.op, LOGIC) and _is_mask(left) and _is_mask(right):
            return Array("b1", max(each.rank for each in (left, right) if isinstance(each, Array)))
        near = left == right == INDEX and (is_constant(node.left) or is_constant(node.right))
        if near and isinstance(node.op, ast.Add | ast.Sub):
            return INDEX
        if not isinstance(node.op, ARITHMETIC):
            self.refuse(node, f"{type(node.op).__name__} of {left} and {right}")
        return self.arithmetic(node, node.op, (left, node.left), (right, node.right))

    def arithmetic(self, node: ast.AST, op: ast.operator, *sides: tuple[Kind, ast.expr]) -> Kind:
        """`+ - * /` of floats and arrays of floats, and of constant ints with them."""
        kinds = [kind for kind, _ in sides]
        arrays = [kind for kind in kinds if isinstance(kind, Array)]
        others = {kind for kind in kinds if not isinstance(kind, Array)}
        if any(kind == INDEX and not is_constant(each) for kind, each in sides) or (others == {INDEX} and not arrays):
            self.refuse(node, "arithmetic of ints")
        alike = len({each.dtype for each in arrays}) <= 1 and all(map(_floats, arrays))
        if not alike or not others <= {NUMBER, ELEMENT, INDEX} or (others and arrays and arrays[0].dtype != "f8"):
            self.refuse(node, f"arithmetic of {kinds[0]} and {kinds[1]}")
        if arrays:
            return Array(arrays[0].dtype, max(each.rank for each in arrays))
        if ELEMENT not in kinds:
            return NUMBER
        if isinstance(op, ast.Div) and not (is_constant(sides[1][1]) and ast.literal_eval(sides[1][1]) != 0):
            self.refuse(node, "a division by zero is inf for NumPy's scalars and an error for Numba's")
        return ELEMENT

    def compare(self, node: ast.Compare, known: Mapping[str, Kind]) -> Kind:
        """A comparison of arrays of floats or of numbers."""
        if len(node.ops) > 1 or not isinstance(node.ops[0], COMPARISONS):
            self.refuse(node, "chained comparisons, `is` and `in`")
        sides = [(self.kind(each, known), each) for each in (node.left, node.comparators[0])]
        if {kind for kind, _ in sides} <= {INDEX, COUNT}:
            return TRUTH
        found = self.arithmetic(node, ast.Add(), *sides)
        return replace(found, dtype="b1") if isinstance(found, Array) else TRUTH

    def both(self, node: ast.BoolOp, known: Mapping[str, Kind]) -> Kind:
        """`and`, `or` of bools."""
        if any(self.kind(each, known) != TRUTH for each in node.values):
            self.refuse(node, "`and`, `or` of something else than bools")
        return TRUTH

    def subscript(self, node: ast.Subscript, known: Mapping[str, Kind]) -> Kind:
        """An element, a view by ints and slices without steps, or a length from a shape."""
        inside = node.value
        if isinstance(inside, ast.Attribute) and inside.attr == "shape":
            return self._length(node, self.kind(inside.value, known))
        kind = self.kind(inside, known)
        items = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if not isinstance(kind, Array) or len(items) > kind.rank:
            self.refuse(node, "an index of something else than an array, or with too many axes")
        slices = [each for each in items if isinstance(each, ast.Slice)]
        for each in items:
            for part in (each.lower, each.upper) if isinstance(each, ast.Slice) else (each,):
                if part is not None and self.kind(part, known) != INDEX:
                    self.refuse(node, "an index that is not an int near a length")
            if isinstance(each, ast.Slice) and each.step is not None:
                self.refuse(node, "a slice with a step")
        rank = kind.rank - len(items) + len(slices)
        if rank:
            return Array(kind.dtype, rank, fresh=False, view=True)
        if kind.dtype != "f8":
            self.refuse(node, f"an element of an array of {kind.dtype}")
        return ELEMENT

    def _length(self, node: ast.Subscript, kind: Kind) -> Kind:
        """`a.shape[0]`."""
        axis = ast.literal_eval(node.slice) if is_constant(node.slice) else None
        if isinstance(kind, Array) and type(axis) is int and -kind.rank <= axis < kind.rank:
            return INDEX
        self.refuse(node, "an index of a shape that is not a constant")

    def call(self, node: ast.Call, known: Mapping[str, Kind]) -> Kind:
        """`len`, elementwise functions, `np.where`, `np.zeros_like`, `a.copy()`."""
        if node.keywords:
            self.refuse(node, "keywords in a call")
        function = node.func
        if isinstance(function, ast.Attribute) and function.attr == "copy" and not node.args:
            kind = self.kind(function.value, known)
            if isinstance(kind, Array):
                return new(kind)
        given = [self.kind(each, known) for each in node.args]
        if self.is_builtin(function, "len") and len(given) == 1 and isinstance(given[0], Array):
            return INDEX
        name = self._numpy(function)
        if name in ELEMENTWISE and len(ELEMENTWISE[name]) == len(given) and all(map(_floats, given)):
            sides = list(zip(given, node.args, strict=True))
            return self.arithmetic(node, ast.Add(), *sides) if len(sides) == 2 else new(given[0])
        if name in LIKE and len(given) == 1 and _floats(given[0]):
            return new(given[0])
        if name == "where" and len(given) == 3:
            return self._where(node, given)
        self.refuse(node, f"a call of {ast.unparse(function)}")

    def _where(self, node: ast.Call, given: list[Kind]) -> Kind:
        mask, *values = given
        arrays = [each for each in values if isinstance(each, Array)]
        if not isinstance(mask, Array) or not _is_mask(mask):
            self.refuse(node, "np.where without a mask")
        if not arrays or {each.rank for each in arrays} != {mask.rank}:
            self.refuse(node, "np.where whose arrays have other axes than the mask, or without arrays")
        self.arithmetic(node, ast.Add(), *zip(values, node.args[1:], strict=True))
        if INDEX in values:
            self.refuse(node, "np.where with an int")
        return new(arrays[0])

    def _numpy(self, function: ast.expr) -> str:
        """The name of a function of NumPy's, or ""."""
        if not isinstance(function, ast.Attribute) or not isinstance(function.value, ast.Name):
            return ""
        module = function.value.id
        if self._is_inside(module) or self.function.__globals__.get(module) is not np:
            return ""
        self.outside[module] = np
        return function.attr

    def is_builtin(self, function: ast.expr, name: str) -> bool:
        """Whether a name is the builtin of that name."""
        if not isinstance(function, ast.Name) or function.id != name:
            return False
        if self._is_inside(name) or name in self.function.__globals__:
            return False
        self.outside[name] = MISSING  # so that it means the builtin
        return True

    def _is_inside(self, name: str) -> bool:
        code = self.function.__code__
        return name in (*code.co_varnames, *code.co_cellvars, *code.co_freevars)


def _floats(kind: Kind) -> bool:
    return isinstance(kind, Array) and kind.dtype != "b1"


def _is_mask(kind: Kind) -> bool:
    return isinstance(kind, Array) and kind.dtype == "b1"


def new(kind: Kind) -> Kind:
    """The same kind, of a new object."""
    return replace(kind, fresh=True, view=False) if isinstance(kind, Array) else kind


def is_constant(node: ast.expr) -> bool:
    """Whether it is a number as written, perhaps with a minus."""
    value = node.operand if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) else node
    return isinstance(value, ast.Constant) and type(value.value) in (int, float)


Rule = Callable[..., Any]
EXPRESSIONS: dict[type[ast.expr], Rule] = {
    ast.Constant: Expressions.constant, ast.Name: Expressions.name, ast.Attribute: Expressions.attribute,
    ast.UnaryOp: Expressions.unary, ast.BinOp: Expressions.binary, ast.Compare: Expressions.compare,
    ast.BoolOp: Expressions.both, ast.Subscript: Expressions.subscript, ast.Call: Expressions.call,
}  # fmt: skip
