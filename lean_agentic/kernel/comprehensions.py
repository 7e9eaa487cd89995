"""Lowering of comprehensions: nested loops and conditions around something that is done with each element.

In: a list comprehension or a generator expression. Out: its loops; its variables get names of their own.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable

from lean_agentic.kernel.builder import Builder, lowers
from lean_agentic.kernel.ir import Append, Atom, Local, MakeList
from lean_agentic.kernel.sequences import Iterable, Tree, assign_target, emit_loop, leave_loop, lower_iterable

Comprehension = ast.ListComp | ast.GeneratorExp


@lowers(ast.ListComp)
def lower_comprehension(build: Builder, node: Comprehension) -> Atom:
    """`[e for x in xs if c]`: a loop that appends to a new list; its variables get names of their own."""
    result = build.assign(MakeList((), growing=True))
    run_comprehension(build, node, lambda: build.emit(Append, container=result, value=build.atom(node.elt)))
    return result


def run_comprehension(
    build: Builder,
    node: Comprehension,
    element: Callable[[], None],
    first: Iterable | None = None,
    found: Local | None = None,
) -> None:
    """Emit the loops of a comprehension with `element` inside, leaving all once `found` is true.

    `first` is its first iterable, if that has been evaluated.
    """
    outer = dict(build.renamed)
    _Levels(build, node, element, found).level(0, first)
    build.renamed = outer


def list_of(build: Builder, iterable: ast.expr) -> Atom:
    """`list(iterable)`, as the comprehension that copies every element."""
    return lower_comprehension(build, copied(iterable))


def copied(iterable: ast.expr) -> Comprehension:
    """A comprehension that gives every element of an iterable; a generator expression is one."""
    if isinstance(iterable, ast.GeneratorExp):
        return iterable
    level = ast.comprehension(target=ast.Name("item", ast.Store()), iter=iterable, ifs=[], is_async=0)
    made = ast.GeneratorExp(elt=ast.Name("item", ast.Load()), generators=[level])
    return ast.fix_missing_locations(ast.copy_location(made, iterable))


class _Levels:
    """The loops and conditions of one comprehension."""

    def __init__(self, build: Builder, node: Comprehension, element: Callable[[], None], found: Local | None) -> None:
        self._build = build
        self._node = node
        self._element = element
        self._found = found
        # CPython 3.12 takes list comprehensions into the function; the rest has a scope of its own.
        self._enclosed = isinstance(node, ast.GeneratorExp) or sys.version_info < (3, 12)

    def level(self, level: int, first: Iterable | None = None) -> None:
        """One loop, with what is inside it."""
        build = self._build
        if level == len(self._node.generators):
            self._element()
            return
        generator = self._node.generators[level]
        if generator.is_async:
            raise build.unsupported(self._node, "asynchronous comprehensions are outside the kernel language")
        iterable = first or lower_iterable(build, generator.iter)
        names = {n.id for n in ast.walk(generator.target) if isinstance(n, ast.Name)}
        renamed = build.renamed | {name: build.fresh(f"{name}.") for name in sorted(names)}
        outside, build.enclosed = build.enclosed, build.enclosed or self._enclosed

        def body(value: Tree) -> None:
            build.renamed = renamed
            assign_target(build, generator.target, value, lambda target, item: _bind_name(build, target, item))
            self._filtered(level, 0)

        emit_loop(build, iterable, body, lambda: None)
        build.enclosed = outside
        if level > 0 and self._found is not None:
            build.choose(self._found, lambda: leave_loop(build), lambda: None)

    def _filtered(self, level: int, position: int) -> None:
        conditions = self._node.generators[level].ifs
        if position == len(conditions):
            self.level(level + 1)
            return
        condition = self._build.atom(conditions[position])
        self._build.choose(condition, lambda: self._filtered(level, position + 1), lambda: None)


def _bind_name(build: Builder, target: ast.expr, value: Atom) -> None:
    if not isinstance(target, ast.Name):
        raise build.unsupported(target, "a comprehension assigns only to names")
    build.bind(target.id, value)
