"""Python syntax for the operations of the IR.

In: an operation, and the syntax of its operands. Out: an `ast` expression. Outside things that it needs (built-in
functions, the user's other functions) are names that start with a dot, which no name of the user's does; `Outside` has
their values.
"""

from __future__ import annotations

import ast
import builtins
import operator as operators
from collections.abc import Callable, Mapping, Sequence
from inspect import signature
from types import FunctionType
from typing import Any

from lean_agentic.kernel.evaluate import ARRAY_MAKERS
from lean_agentic.kernel.expressions import BINARY, COMPARE, UNARY
from lean_agentic.kernel.intrinsics import INTRINSICS
from lean_agentic.kernel.ir import (
    Atom,
    Attribute,
    Binary,
    Call,
    Compare,
    Constant,
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
    Unary,
    Unpack,
)
from lean_agentic.kernel.operation_types import BINARY as BINARY_FUNCTIONS
from lean_agentic.kernel.scope import Guard
from lean_agentic.kernel.source import called_function

Read = Callable[[Atom], ast.expr]
BINARY_SYNTAX = {text: kind() for kind, text in BINARY.items()}
UNARY_SYNTAX = {text: kind() for kind, text in UNARY.items()}
COMPARE_SYNTAX = {text: kind() for kind, text in COMPARE.items()}
LOAD, STORE = ast.Load(), ast.Store()


IN_PLACE: dict[str, Callable[[Any, Any], Any]] = {
    text: getattr(operators, f"__i{BINARY_FUNCTIONS[text].__name__.strip('_')}__") for text in BINARY_SYNTAX
}


class InPlace(ast.Call):
    """A call of `operator.iadd` or the like, which is better written `target += value` where it is assigned back."""

    def __init__(self, function: ast.expr, operands: list[ast.expr], operator: ast.operator) -> None:
        super().__init__(function, operands, [])
        self.operator = operator

    def assigned_to(self, target: ast.expr) -> ast.stmt | None:
        """`target operator= value`, if the target is what the left operand read."""
        left, right = self.args
        if not isinstance(left, ast.Name | ast.Subscript) or ast.dump(left) != ast.dump(target):
            return None
        written = (
            ast.Name(left.id, STORE) if isinstance(left, ast.Name) else ast.Subscript(left.value, left.slice, STORE)
        )
        return ast.AugAssign(written, self.operator, right)


class Outside:
    """Values of the dotted names that generated code reads."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def name(self, text: str, value: Any) -> ast.expr:
        """The name of an outside value."""
        self.values[f".{text}"] = value
        return ast.Name(f".{text}", LOAD)

    def present(self, guard: Guard) -> ast.expr:
        """What an outside name means when the code runs."""
        name, *attributes = guard.path
        function = guard.function
        found: ast.expr
        if guard.kind == "closure":
            cell = (function.__closure__ or ())[function.__code__.co_freevars.index(name)]
            found = ast.Attribute(self.name(f"cell {id(cell)}", cell), "cell_contents", LOAD)
        elif name in function.__globals__:
            globals_ = self.name(f"globals {id(function.__globals__)}", function.__globals__)
            found = ast.Subscript(globals_, ast.Constant(name), LOAD)
        else:
            found = self.name(name, getattr(builtins, name))
        for attribute in attributes:
            found = ast.Attribute(found, attribute, LOAD)
        return found


class Expressions:
    """Translates operations; `callees` are the user's functions by the handles in calls."""

    def __init__(self, outside: Outside, callees: Mapping[str, FunctionType]) -> None:
        self.outside = outside
        self._callees = callees

    def expression(self, operation: Operation, read: Read) -> ast.expr:
        """An operation, with `read` giving the syntax of each operand."""
        match operation:
            case Copy(source):
                return read(source)
            case Unary(operator, operand):
                return ast.UnaryOp(UNARY_SYNTAX[operator], read(operand))
            case Binary(operator, left, right, True):
                return self._in_place(operator, read(left), read(right))
            case Binary(operator, left, right):
                return ast.BinOp(read(left), BINARY_SYNTAX[operator], read(right))
            case Compare():
                return _compare(operation, read)
            case Intrinsic(name, arguments):
                return call(self.outside.name(name, INTRINSICS[name]), map(read, arguments))
            case Call():
                return self._call(operation, read)
            case Index(container, items):
                return ast.Subscript(subject(read(container)), key(items, read), LOAD)
            case Unpack(source, _, position):
                return ast.Subscript(subject(read(source)), ast.Constant(position), LOAD)
            case MakeTuple(items):
                return ast.Tuple([read(item) for item in items], LOAD)
            case MakeList(items):
                return ast.List([read(item) for item in items], LOAD)
            case Attribute(source, name):
                return ast.Attribute(read(source), name, LOAD)
            case NewArray():
                return self._new_array(operation, read)
        raise TypeError(f"no Python syntax for {type(operation).__name__}")

    def exception(self, statement: Raise, read: Read) -> ast.expr:
        """The exception that a statement raises."""
        name = self.outside.name(statement.exception, getattr(builtins, statement.exception))
        arguments = [
            self._message(each, read) if isinstance(each, Message) else read(each) for each in statement.arguments
        ]
        return call(name, arguments)

    def _message(self, message: Message, read: Read) -> ast.expr:
        """The user's expression; its variables keep their names, constants get theirs."""
        values = dict(zip(message.names, map(read, message.operands), strict=True))
        return _Filled(values, self.outside).visit(ast.parse(message.text, mode="eval").body)  # type: ignore[no-any-return]

    def _in_place(self, operator: str, left: ast.expr, right: ast.expr) -> ast.expr:
        """What `left operator= right` assigns, as an expression."""
        return InPlace(self.outside.name(f"{operator}=", IN_PLACE[operator]), [left, right], BINARY_SYNTAX[operator])

    def _call(self, operation: Call, read: Read) -> ast.expr:
        function = called_function(self._callees[operation.procedure])
        named = zip(signature(function).parameters.values(), map(read, operation.arguments), strict=True)
        positional, keywords = [], []
        for parameter, argument in named:
            if parameter.kind is parameter.KEYWORD_ONLY:
                keywords.append(ast.keyword(parameter.name, argument))
            else:
                positional.append(argument)
        return call(self.outside.name(operation.procedure, function), positional, keywords)

    def _new_array(self, operation: NewArray, read: Read) -> ast.expr:
        keywords = [] if operation.dtype is None else [ast.keyword("dtype", ast.Constant(operation.dtype))]
        make = self.outside.name(f"np.{operation.kind}", ARRAY_MAKERS[operation.kind])
        return call(make, map(read, operation.arguments), keywords)


class _Filled(ast.NodeTransformer):
    """Puts values in the place of names; what has none is a built-in function."""

    def __init__(self, values: Mapping[str, ast.expr], outside: Outside) -> None:
        self._values = values
        self._outside = outside

    def visit_Name(self, node: ast.Name) -> ast.expr:
        found = self._values.get(node.id)
        return self._outside.name(node.id, getattr(builtins, node.id)) if found is None else found


def _compare(operation: Compare, read: Read) -> ast.expr:
    left, right = operation.left, operation.right
    if operation.operator in ("in", "inset"):
        value, item = read(left), read(right)
        return ast.Compare(
            value, [ast.In()], [ast.Tuple([item], LOAD) if operation.operator == "in" else ast.Set([item])]
        )
    constants = [each for each in (left, right) if isinstance(each, Constant) and each.value is not None]
    if operation.operator in ("is", "isnot") and constants:
        # Always known, and the compiler would warn about `is` with a literal.
        read(left), read(right)
        return ast.Constant(operation.operator == "isnot")
    return ast.Compare(read(left), [COMPARE_SYNTAX[operation.operator]], [read(right)])


def call(function: ast.expr, arguments: Any, keywords: Sequence[ast.keyword] = ()) -> ast.expr:
    """`function(*arguments, **keywords)`."""
    return ast.Call(function, list(arguments), list(keywords))


def subject(value: ast.expr) -> ast.expr:
    """What stands before brackets; a constant there, in code that is never reached, would make the compiler warn."""
    return ast.NamedExpr(ast.Name("%constant", STORE), value) if isinstance(value, ast.Constant) else value


def key(items: Sequence[Atom | Slice], read: Read) -> ast.expr:
    """What stands between brackets."""
    parts = [_part(item, read) for item in items]
    return parts[0] if len(parts) == 1 else ast.Tuple(parts, LOAD)


def _part(item: Atom | Slice, read: Read) -> ast.expr:
    if not isinstance(item, Slice):
        return read(item)
    missing = [isinstance(each, Constant) and each.value is None for each in (item.start, item.stop, item.step)]
    start, stop, step = (
        None if absent else read(each) for absent, each in zip(missing, (item.start, item.stop, item.step), strict=True)
    )
    return ast.Slice(start, stop, step)
