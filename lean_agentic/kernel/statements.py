"""Lowering of statements."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import cast

from lean_agentic.kernel.builder import Builder, constant, lowers, reached_by_all
from lean_agentic.kernel.expressions import BINARY, index_items
from lean_agentic.kernel.growth import method_call
from lean_agentic.kernel.intrinsics import EXCEPTIONS
from lean_agentic.kernel.ir import (
    Append,
    Atom,
    Binary,
    Constant,
    Continue,
    Index,
    MakeList,
    Message,
    Raise,
    Return,
    Slice,
    Store,
    While,
)
from lean_agentic.kernel.loops import Loop
from lean_agentic.kernel.messages import is_text, message
from lean_agentic.kernel.scope import Static
from lean_agentic.kernel.sequences import (
    Tree,
    as_atom,
    assign_target,
    emit_loop,
    leave_loop,
    lower_iterable,
    outside_function,
)


@lowers(ast.Assign)
def lower_assign(build: Builder, node: ast.Assign) -> None:
    """`target = value`, several targets left to right; tuples on both sides are not built."""
    if len(node.targets) == 1 and _make_growing(build, node.targets[0], node.value):
        return
    value: Tree
    if len(node.targets) == 1 and _make_several(build, node.targets[0], node.value):
        return
    if isinstance(node.value, ast.Tuple) and all(isinstance(t, ast.Tuple | ast.List) for t in node.targets):
        # Frozen one by one: a later element, or a target, may assign a variable that an earlier one read.
        value = tuple(build.freeze(build.atom(item)) for item in node.value.elts)
    else:
        value = build.atom(node.value)
    for target in node.targets:
        assign_target(build, target, value, lambda each, item: store(build, each, item))


@lowers(ast.AnnAssign)
def lower_annotated(build: Builder, node: ast.AnnAssign) -> None:
    """`x: int = value`; the annotation is not evaluated, as in CPython."""
    if node.value is not None and not _make_growing(build, node.target, node.value):
        store(build, node.target, build.atom(node.value))


def _make_growing(build: Builder, target: ast.expr, value: ast.expr) -> bool:
    """`x = [a, b]` where `x` grows later: an empty list and what is appended first."""
    if not _grows(build, target) or not isinstance(target, ast.Name):
        return False
    if _makes_list(build, value):
        _copy_growing(build, target.id, value)
        return True
    if not isinstance(value, ast.List):
        return False
    _begin_growing(build, target.id, [build.freeze(build.atom(item)) for item in value.elts])
    return True


def _make_several(build: Builder, target: ast.expr, value: ast.expr) -> bool:
    """`x, n = [a, b], 0` where `x` grows later."""
    if not isinstance(value, ast.Tuple) or not isinstance(target, ast.Tuple) or len(target.elts) != len(value.elts):
        return False
    pairs = list(zip(target.elts, value.elts, strict=True))
    displays = [_grows(build, each) and isinstance(made, ast.List) for each, made in pairs]
    if not any(displays):
        return False
    parts: list[list[Atom]] = []
    for (_, made), display in zip(pairs, displays, strict=True):
        items = made.elts if display and isinstance(made, ast.List) else [made]
        parts.append([build.freeze(build.atom(item)) for item in items])
    for (each, _), display, values in zip(pairs, displays, parts, strict=True):
        if display and isinstance(each, ast.Name):
            _begin_growing(build, each.id, values)
        else:
            assign_target(build, each, values[0], lambda name, item: store(build, name, item))
    return True


def _grows(build: Builder, target: ast.expr) -> bool:
    return isinstance(target, ast.Name) and target.id in build.growing


def _begin_growing(build: Builder, name: str, items: Sequence[Atom]) -> None:
    """An empty list and what is appended first."""
    made = build.assign(MakeList((), growing=True), name)
    build.bound_now(name)
    for item in items:
        build.emit(Append, container=made, value=item)


def _makes_list(build: Builder, value: ast.expr) -> bool:
    """Whether an expression always gives a list that nobody else has."""
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Add | ast.Mult):
        return isinstance(value.left, ast.List) or isinstance(value.right, ast.List)
    return isinstance(value, ast.ListComp) or (
        isinstance(value, ast.Call) and outside_function(build, value.func) is list
    )


def _copy_growing(build: Builder, name: str, value: ast.expr) -> None:
    """A list made in one go, element by element into one that can grow."""
    iterable = lower_iterable(build, value)
    made = build.assign(MakeList((), growing=True), name)
    build.bound_now(name)
    emit_loop(build, iterable, lambda item: build.emit(Append, container=made, value=as_atom(build, item)), _nothing)


def _nothing() -> None:
    """No statements."""


def store(build: Builder, target: ast.expr, value: Atom) -> None:
    """Assign to a name, to an element or to a part of an array."""
    if isinstance(target, ast.Name):
        build.bind(target.id, value)
    elif isinstance(target, ast.Subscript):
        container = build.atom(target.value)
        build.emit(Store, container=container, items=index_items(build, target), value=value)
    else:
        raise build.unsupported(target, f"assignment to {type(target).__name__} is outside the kernel language")


def _element_items(build: Builder, target: ast.Subscript) -> tuple[Atom, ...]:
    items = index_items(build, target)
    if any(isinstance(item, Slice) for item in items):
        raise build.unsupported(target, "augmented assignment to a slice is outside the language; write the loop")
    return cast(tuple[Atom, ...], items)


@lowers(ast.AugAssign)
def lower_augmented(build: Builder, node: ast.AugAssign) -> None:
    """`target op= value`: container and index are evaluated once."""
    operator = BINARY.get(type(node.op))
    if operator is None or isinstance(node.target, ast.Attribute):
        raise build.unsupported(node, "this augmented assignment is outside the kernel language")
    if isinstance(node.target, ast.Name):
        old: Atom = build.read(node.target.id)
        new = build.assign(Binary(operator, old, build.atom(node.value), augmented=True))
        build.bind(node.target.id, new)
        return
    container = build.atom(node.target.value)
    items = _element_items(build, node.target)
    old = build.assign(Index(container, items))
    new = build.assign(Binary(operator, old, build.atom(node.value), augmented=True))
    build.emit(Store, container=container, items=items, value=new)


@lowers(ast.Expr)
def lower_expression_statement(build: Builder, node: ast.Expr) -> None:
    """An expression for its effect; a docstring has none."""
    name = method_call(node.value, "append", 1)
    if name in build.growing and isinstance(node.value, ast.Call):
        container = build.read(name)
        build.emit(Append, container=container, value=build.atom(node.value.args[0]))
    elif not isinstance(node.value, ast.Constant):
        build.value(node.value)


@lowers(ast.Pass)
def lower_pass(build: Builder, node: ast.Pass) -> None:
    """Nothing."""


@lowers(ast.If)
def lower_if(build: Builder, node: ast.If) -> None:
    """`if`, `elif`, `else`."""
    build.choose(build.atom(node.test), lambda: build.body(node.body), lambda: build.body(node.orelse))


@lowers(ast.While)
def lower_while(build: Builder, node: ast.While) -> None:
    """`while`, with `else`; the test is a block because it may take several operations."""
    number, line = build.next_id(), build.line
    build.loops.append(Loop(line, node.col_offset, number, _extent(node.test), _extent(*node.body)))
    with build.block() as test:
        condition = build.atom(node.test)
    before = build.bound
    build.break_bounds.append([])
    with build.block() as inside:
        build.body(node.body)
    leaving = build.break_bounds.pop()
    endless = isinstance(condition, Constant) and bool(condition.value)
    build.bound = None if endless else before
    with build.block() as after:
        build.body(node.orelse)
    build.bound = reached_by_all(build.bound, *leaving)
    build.emit(
        While, id=number, line=line, test=tuple(test), condition=condition, body=tuple(inside), orelse=tuple(after)
    )


def _extent(*nodes: ast.expr | ast.stmt) -> tuple[int, int, int, int]:
    first, last = nodes[0], nodes[-1]
    return (first.lineno, first.col_offset, last.end_lineno or 0, last.end_col_offset or 0)


@lowers(ast.For)
def lower_for(build: Builder, node: ast.For) -> None:
    """`for`, with `else`."""
    iterable = lower_iterable(build, node.iter)

    def body(value: Tree) -> None:
        assign_target(build, node.target, value, lambda target, item: store(build, target, item))
        build.body(node.body)

    build.line = node.lineno
    emit_loop(build, iterable, body, lambda: build.body(node.orelse), node.col_offset)


@lowers(ast.Break)
def lower_break(build: Builder, node: ast.Break) -> None:
    """`break`."""
    leave_loop(build)


@lowers(ast.Continue)
def lower_continue(build: Builder, node: ast.Continue) -> None:
    """`continue`."""
    build.emit(Continue)
    build.bound = None


@lowers(ast.Return)
def lower_return(build: Builder, node: ast.Return) -> None:
    """`return`."""
    build.emit(Return, value=constant(None) if node.value is None else build.atom(node.value))
    build.bound = None


@lowers(ast.Assert)
def lower_assert(build: Builder, node: ast.Assert) -> None:
    """`assert`: the message is evaluated only when it fails."""

    def fail() -> None:
        _raise(build, "AssertionError", _exception_arguments(build, [] if node.msg is None else [node.msg]))

    build.choose(build.atom(node.test), lambda: None, fail)


@lowers(ast.Raise)
def lower_raise(build: Builder, node: ast.Raise) -> None:
    """`raise SomeBuiltinError` or `raise SomeBuiltinError(number or text, ...)`."""
    call = node.exc
    named = call.func if isinstance(call, ast.Call) else call
    exception = build.value(named) if isinstance(named, ast.Name | ast.Attribute) else None
    if node.cause or not isinstance(exception, Static) or not _is_exception(exception.value):
        raise build.unsupported(node, "only built-in exceptions are raised, without a cause")
    given = call.args if isinstance(call, ast.Call) else []
    if isinstance(call, ast.Call) and call.keywords:
        raise build.unsupported(node, "an exception with keyword arguments is outside the kernel language")
    _raise(build, exception.value.__name__, _exception_arguments(build, given))


def _exception_arguments(build: Builder, given: Sequence[ast.expr]) -> tuple[Atom | Message, ...]:
    """Numbers and messages; a message is made last, so what stands behind it must not be able to fail."""
    found: list[Atom | Message] = []
    for node in given:
        before = len(build.statements)
        found.append(message(build, node) if is_text(node) else build.atom(node))
        if len(build.statements) > before and any(isinstance(each, Message) for each in found[:-1]):
            raise build.unsupported(node, "behind a message that is made only variables and constants are taken")
    return tuple(found)


def _raise(build: Builder, exception: str, arguments: tuple[Atom | Message, ...]) -> None:
    build.emit(Raise, exception=exception, arguments=arguments)
    build.bound = None


def _is_exception(value: object) -> bool:
    return isinstance(value, type) and value in EXCEPTIONS
