"""Lowering of `in` and `not in`: comparisons one after the other, which stop where one holds.

In: the comparison. Out: a truth value. Each element is compared with the operation "in" (the same object, or equal),
which inference takes for `==` where the types say that this is the same.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Sequence

from lean_agentic.kernel.builder import Builder, constant
from lean_agentic.kernel.ir import Atom, Compare, Copy, Intrinsic, Local, Unary
from lean_agentic.kernel.sequences import Tree, emit_loop, leave_loop, lower_iterable, outside_function


def contains(build: Builder, node: ast.Compare) -> Local:
    """`x in container`, `x not in container`."""
    container, present = node.comparators[0], isinstance(node.ops[0], ast.In)
    if len(node.ops) > 1:
        raise build.unsupported(node, "`in` inside a chain of comparisons is outside the kernel language")
    value = build.atom(node.left)
    if isinstance(container, ast.Tuple | ast.List | ast.Set):
        items = [build.atom(item) for item in container.elts]
        result = build.fresh()
        _compare(build, value, items, result, present, "inset" if isinstance(container, ast.Set) else "in")
        return Local(result)
    if isinstance(container, ast.Call) and outside_function(build, container.func) is builtins.range:
        return _in_range(build, value, container, present)
    return _search(build, value, container, present)


def _compare(build: Builder, value: Atom, items: Sequence[Atom], result: str, present: bool, operator: str) -> None:
    """The elements of a display."""
    if not items:
        build.assign(Copy(constant(not present)), result)
        return
    same = build.assign(Compare(operator, value, items[0]))
    build.choose(
        same,
        lambda: _set(build, result, present),
        lambda: _compare(build, value, items[1:], result, present, operator),
    )


def _in_range(build: Builder, value: Atom, node: ast.Call, present: bool) -> Local:
    build.value(node.func)
    given = [build.atom(argument) for argument in node.args]
    if not 1 <= len(given) <= 3 or node.keywords:
        raise build.unsupported(node, "range takes 1 to 3 arguments")
    start, stop, step = (*([constant(0)] if len(given) == 1 else []), *given, constant(1))[:3]
    found = build.assign(Intrinsic("in_range", (value, start, stop, step)))
    return found if present else build.assign(Unary("not", found))


def _search(build: Builder, value: Atom, container: ast.expr, present: bool) -> Local:
    """The elements of a list or tuple."""
    if isinstance(container, ast.Call | ast.GeneratorExp):
        raise build.unsupported(container, "`in` is taken for displays, range and names of lists and tuples")
    iterable = lower_iterable(build, container)
    result = build.assign(Copy(constant(not present)))

    def found() -> None:
        _set(build, result.name, present)
        leave_loop(build)

    def test(item: Tree) -> None:
        assert not isinstance(item, tuple)
        build.choose(build.assign(Compare("in", value, item)), found, lambda: None)

    emit_loop(build, iterable, test, lambda: None)
    return result


def _set(build: Builder, name: str, value: bool) -> None:
    build.assign(Copy(constant(value)), name)
