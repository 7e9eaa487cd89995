"""Lowering of expressions: operands are evaluated left to right, each operation into a name of its own."""

from __future__ import annotations

import ast
from typing import TypeGuard

from lean_agentic.kernel.builder import Builder, Value, constant, is_constant, lowers
from lean_agentic.kernel.errors import UnsupportedError
from lean_agentic.kernel.ir import (
    Atom,
    Attribute,
    Binary,
    Compare,
    Constant,
    Copy,
    Index,
    Local,
    MakeList,
    MakeTuple,
    Slice,
    Unary,
)
from lean_agentic.kernel.membership import contains
from lean_agentic.kernel.scope import Static

BINARY: dict[type[ast.operator], str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%", ast.Pow: "**",
    ast.LShift: "<<", ast.RShift: ">>", ast.BitAnd: "&", ast.BitOr: "|", ast.BitXor: "^",
}  # fmt: skip
UNARY: dict[type[ast.unaryop], str] = {ast.USub: "-", ast.UAdd: "+", ast.Invert: "~", ast.Not: "not"}
COMPARE: dict[type[ast.cmpop], str] = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
    ast.Is: "is", ast.IsNot: "isnot",
}  # fmt: skip


@lowers(ast.Constant)
def lower_constant(build: Builder, node: ast.Constant) -> Value:
    """A literal."""
    return constant(node.value) if is_constant(node.value) else Static(node.value)


@lowers(ast.Name)
def lower_name(build: Builder, node: ast.Name) -> Value:
    """A local variable, or the present value of an outside name."""
    if node.id in build.renamed or node.id in build.scope.locals:
        return build.read(node.id)
    return outside(build, node, node.id)


@lowers(ast.Attribute)
def lower_attribute(build: Builder, node: ast.Attribute) -> Value:
    """`math.pi`, `np.float64`, or a property of a run-time value."""
    path = dotted_path(node)
    if path and path[0] not in build.renamed and path[0] not in build.scope.locals:
        return outside(build, node, *path)
    return build.assign(Attribute(build.atom(node.value), node.attr))


def dotted_path(node: ast.expr) -> tuple[str, ...]:
    """("np", "float64") for `np.float64`; () for anything that is not names with dots."""
    if isinstance(node, ast.Name):
        return (node.id,)
    if isinstance(node, ast.Attribute) and (before := dotted_path(node.value)):
        return (*before, node.attr)
    return ()


def outside(build: Builder, node: ast.expr, *path: str) -> Value:
    """An outside value: an operand if it is a number or None, otherwise something known while lowering."""
    try:
        value = build.scope.read(*path)
    except UnsupportedError as error:
        raise build.unsupported(node, error.reason) from None
    return constant(value, build.scope.guards[-1]) if is_constant(value) else Static(value)


@lowers(ast.BinOp)
def lower_binary(build: Builder, node: ast.BinOp) -> Value:
    """`left operator right`."""
    operator = BINARY.get(type(node.op))
    if operator is None:
        raise build.unsupported(node, "matrix multiplication is outside the kernel language; write the loops")
    left = build.atom(node.left)
    return build.assign(Binary(operator, left, build.atom(node.right)))


@lowers(ast.UnaryOp)
def lower_unary(build: Builder, node: ast.UnaryOp) -> Value:
    """`operator operand`; a negative literal becomes a constant."""
    operand = build.atom(node.operand)
    if isinstance(node.op, ast.USub) and _is_literal(operand):
        return constant(-operand.value)
    return build.assign(Unary(UNARY[type(node.op)], operand))


def _is_literal(operand: Atom) -> TypeGuard[Constant]:
    return isinstance(operand, Constant) and type(operand.value) in (int, float) and operand.guard is None


@lowers(ast.Compare)
def lower_compare(build: Builder, node: ast.Compare) -> Value:
    """A comparison or a chain of them; later operands are evaluated only while the chain holds."""
    if any(isinstance(each, ast.In | ast.NotIn) for each in node.ops):
        return contains(build, node)
    return _chain(build, node, build.atom(node.left), 0, build.fresh())


def _chain(build: Builder, node: ast.Compare, left: Atom, position: int, result: str) -> Local:
    operator = COMPARE[type(node.ops[position])]
    right = build.atom(node.comparators[position])
    build.assign(Compare(operator, left, right), result)
    if position + 1 < len(node.ops):
        build.choose(Local(result), lambda: _ignore(_chain(build, node, right, position + 1, result)), _nothing)
    return Local(result)


@lowers(ast.BoolOp)
def lower_boolean(build: Builder, node: ast.BoolOp) -> Value:
    """`and`, `or`: the value of the operand that decides, the rest not evaluated."""
    result = build.fresh()
    build.assign(Copy(build.atom(node.values[0])), result)
    _short_circuit(build, node, 1, result)
    return Local(result)


def _short_circuit(build: Builder, node: ast.BoolOp, position: int, result: str) -> None:
    if position == len(node.values):
        return

    def go_on() -> None:
        build.assign(Copy(build.atom(node.values[position])), result)
        _short_circuit(build, node, position + 1, result)

    if isinstance(node.op, ast.And):
        build.choose(Local(result), go_on, _nothing)
    else:
        build.choose(Local(result), _nothing, go_on)


@lowers(ast.IfExp)
def lower_conditional(build: Builder, node: ast.IfExp) -> Value:
    """`a if c else b`."""
    result = build.fresh()
    build.choose(
        build.atom(node.test),
        lambda: _ignore(build.assign(Copy(build.atom(node.body)), result)),
        lambda: _ignore(build.assign(Copy(build.atom(node.orelse)), result)),
    )
    return Local(result)


@lowers(ast.Tuple)
def lower_tuple(build: Builder, node: ast.Tuple) -> Value:
    """`(a, b)`."""
    return build.assign(MakeTuple(tuple(build.atom(item) for item in node.elts)))


@lowers(ast.List)
def lower_list(build: Builder, node: ast.List) -> Value:
    """`[a, b]`."""
    return build.assign(MakeList(tuple(build.atom(item) for item in node.elts)))


@lowers(ast.Subscript)
def lower_subscript(build: Builder, node: ast.Subscript) -> Value:
    """An element, a view of an array or a copy of part of a list."""
    container = build.atom(node.value)
    return build.assign(Index(container, index_items(build, node)))


def index_items(build: Builder, node: ast.Subscript) -> tuple[Atom | Slice, ...]:
    """What stands between the brackets, evaluated left to right."""
    parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    if not parts:
        raise build.unsupported(node, "an empty index is outside the kernel language")
    return tuple(_index_item(build, part) for part in parts)


def _index_item(build: Builder, node: ast.expr) -> Atom | Slice:
    if not isinstance(node, ast.Slice):
        return build.atom(node)
    start, stop, step = (
        constant(None) if part is None else build.atom(part) for part in (node.lower, node.upper, node.step)
    )
    return Slice(start, stop, step)


def _nothing() -> None:
    """An empty branch."""


def _ignore(_: object) -> None:
    """Turns an expression into a statement."""
