"""Lowering of what loops run over.

Every iterable of the kernel language has a length that cannot change while it is iterated and an element for each
position, so all `for` loops become one form: a range over positions whose body begins by computing the element.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable
from dataclasses import dataclass
from typing import Union

from lean_agentic.kernel.builder import Builder, constant, reached_by_all
from lean_agentic.kernel.ir import (
    Atom,
    Binary,
    Break,
    ForRange,
    Index,
    Intrinsic,
    Local,
    MakeTuple,
    Unpack,
)
from lean_agentic.kernel.loops import Iterated, Loop
from lean_agentic.kernel.scope import Static

Tree = Union[Atom, "tuple[Tree, ...]"]
"""What an iteration yields: a value, or a tuple that need not be built when it is unpacked at once."""


@dataclass(frozen=True)
class Iterable:
    """A length and a way to compute the element at a position."""

    length: Atom
    item: Callable[[Builder, Atom], Tree]
    bounds: tuple[Atom, Atom, Atom] | None = None
    """start, stop, step, when the positions themselves can run over a range."""
    source: Iterated | None = None


def lower_iterable(build: Builder, node: ast.expr) -> Iterable:
    """Evaluate an iterable: range, enumerate, zip, reversed, or a list, tuple or array."""
    if isinstance(node, ast.Call):
        function = outside_function(build, node.func)
        for known, rule in RULES.items():
            if function is known and not node.keywords and not any(isinstance(a, ast.Starred) for a in node.args):
                build.value(node.func)
                return rule(build, node)
    container = build.freeze(build.atom(node))
    length = build.assign(Intrinsic("len", (container,)))
    source = Iterated("items", (container, length))
    return Iterable(length, lambda build, position: build.assign(Index(container, (position,))), source=source)


def outside_function(build: Builder, node: ast.expr) -> object:
    """What a name from outside the function means; None for any other expression. Emits and guards nothing new."""
    if not isinstance(node, ast.Name) or node.id in build.scope.locals or node.id in build.renamed:
        return None
    with build.block():  # look without emitting
        value = build.value(node)
    return value.value if isinstance(value, Static) else None


def is_iterator(build: Builder, node: ast.expr) -> bool:
    """Whether an expression is a generator expression, a range or the like: something that is no container."""
    if isinstance(node, ast.Call):
        function = outside_function(build, node.func)
        return any(function is known for known in RULES)
    return isinstance(node, ast.GeneratorExp)


def _range(build: Builder, node: ast.Call, counted: bool = False) -> Iterable:
    if not 1 <= len(node.args) <= 3:
        raise build.unsupported(node, "range takes 1 to 3 arguments")
    given = [_index(build, build.atom(argument)) for argument in node.args]
    if len(given) == 1:
        given.insert(0, constant(0))
    start, stop, step = (*given, constant(1))[:3]
    length: Atom = constant(0)
    if counted:
        length = build.assign(Intrinsic("range_length", (start, stop, step)))

    def item(build: Builder, position: Atom) -> Tree:
        return build.assign(Binary("+", start, build.assign(Binary("*", position, step))))

    return Iterable(length, item, (start, stop, step), Iterated("range", (start, stop, step, length)))


def _counted(build: Builder, node: ast.expr) -> Iterable:
    """An iterable whose length is known as a value, as zip and reversed want it."""
    if isinstance(node, ast.Call) and outside_function(build, node.func) is builtins.range and not node.keywords:
        build.value(node.func)
        return _range(build, node, counted=True)
    return lower_iterable(build, node)


def _index(build: Builder, value: Atom) -> Atom:
    """The value as a Python int, kept from later assignments."""
    known = not isinstance(value, Local) and type(value.value) is int
    return value if known else build.assign(Intrinsic("index", (value,)))


def _enumerate(build: Builder, node: ast.Call) -> Iterable:
    if not 1 <= len(node.args) <= 2:
        raise build.unsupported(node, "enumerate takes 1 or 2 arguments")
    inner = _counted(build, node.args[0])
    start = _index(build, build.atom(node.args[1])) if len(node.args) == 2 else constant(0)

    def item(build: Builder, position: Atom) -> Tree:
        count = position if start == constant(0) else build.assign(Binary("+", start, position))
        return (count, inner.item(build, position))

    return Iterable(inner.length, item, source=Iterated("enumerate", (start,), _sources(inner)))


def _zip(build: Builder, node: ast.Call) -> Iterable:
    if not node.args:
        raise build.unsupported(node, "zip needs an argument")
    inner = [_counted(build, argument) for argument in node.args]
    lengths = [inner[0].length]
    for each in inner[1:]:
        lengths.append(build.assign(Intrinsic("min", (lengths[-1], each.length))))
    source = Iterated("zip", tuple(lengths[1:]), _sources(*inner))

    def item(build: Builder, position: Atom) -> Tree:
        return tuple(each.item(build, position) for each in inner)

    return Iterable(lengths[-1], item, source=source)


def _reversed(build: Builder, node: ast.Call) -> Iterable:
    if len(node.args) != 1:
        raise build.unsupported(node, "reversed takes 1 argument")
    function = outside_function(build, node.args[0].func) if isinstance(node.args[0], ast.Call) else None
    if function in (enumerate, zip, reversed):
        raise build.unsupported(node, "reversed takes a range, a list, a tuple or an array")
    inner = _counted(build, node.args[0])
    last = build.assign(Binary("-", inner.length, constant(1)))

    def item(build: Builder, position: Atom) -> Tree:
        return inner.item(build, build.assign(Binary("-", last, position)))

    return Iterable(inner.length, item, source=Iterated("reversed", (last,), _sources(inner)))


def _sources(*inner: Iterable) -> tuple[Iterated, ...]:
    return tuple(each.source for each in inner if each.source is not None)


RULES: dict[object, Callable[[Builder, ast.Call], Iterable]] = {
    range: _range, enumerate: _enumerate, zip: _zip, reversed: _reversed,
}  # fmt: skip


def emit_loop(
    build: Builder,
    iterable: Iterable,
    body: Callable[[Tree], None],
    orelse: Callable[[], None],
    column: int | None = None,
) -> None:
    """Emit the loop; `body` gets what the iteration yields. `column` is given for a loop statement of the user's."""
    number, line, before = build.next_id(), build.line, build.bound
    counter = build.fresh()
    if column is not None:
        build.loops.append(
            Loop(line, column, number, counter=counter, direct=iterable.bounds is not None, source=iterable.source)
        )
    build.break_bounds.append([])
    with build.block() as inside:
        body(Local(counter) if iterable.bounds else iterable.item(build, Local(counter)))
    build.bound = before  # the loop may run no iteration
    leaving = build.break_bounds.pop()
    with build.block() as after:
        orelse()
    build.bound = reached_by_all(build.bound, *leaving)
    start, stop, step = iterable.bounds or (constant(0), iterable.length, constant(1))
    build.emit(
        ForRange, id=number, line=line, counter=counter, start=start, stop=stop, step=step,
        body=tuple(inside), orelse=tuple(after),
    )  # fmt: skip


def assign_target(build: Builder, target: ast.expr, value: Tree, store: Callable[[ast.expr, Atom], None]) -> None:
    """Assign what an iteration yields; `store` assigns one value to a target that is not a tuple."""
    if not isinstance(target, ast.Tuple | ast.List):
        store(target, as_atom(build, value))
        return
    if any(isinstance(item, ast.Starred) for item in target.elts):
        raise build.unsupported(target, "starred targets are outside the kernel language")
    if not isinstance(value, tuple):
        source, count = build.freeze(value), len(target.elts)
        value = tuple(build.assign(Unpack(source, count, position)) for position in range(count))
    if len(value) != len(target.elts):
        raise build.unsupported(target, f"{len(value)} values for {len(target.elts)} targets")
    for item, part in zip(target.elts, value, strict=True):
        assign_target(build, item, part, store)


def as_atom(build: Builder, value: Tree) -> Atom:
    """Build the tuples of a tree."""
    if not isinstance(value, tuple):
        return value
    return build.assign(MakeTuple(tuple(as_atom(build, item) for item in value)))


def leave_loop(build: Builder) -> None:
    """Emit a `break`."""
    build.break_bounds[-1].append(build.bound)
    build.emit(Break)
    build.bound = None
