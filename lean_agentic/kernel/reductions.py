"""Lowering of `sum`, `min`, `max`, `any`, `all` over what need not be a list: generator expressions, ranges, `zip`.

In: the call. Out: a loop that takes one element after the other and keeps a running value, as the built-in function
does; `any` and `all` stop where that does.
"""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Callable
from typing import Any

from lean_agentic.kernel.builder import Builder, Value, constant
from lean_agentic.kernel.comprehensions import Comprehension, copied, lower_comprehension, run_comprehension
from lean_agentic.kernel.ir import Atom, Binary, CheckBound, Compare, Constant, Copy, Intrinsic, Local, Raise
from lean_agentic.kernel.sequences import Iterable, is_iterator, leave_loop, lower_iterable
from lean_agentic.kernel.types import STRING

COMPENSATED = sys.version_info >= (3, 12)
"""Whether `sum` adds floats with compensation, so that it is not repeated `+`."""
EMPTY = "{}() iterable argument is empty" if sys.version_info >= (3, 12) else "{}() arg is an empty sequence"


def reduction(build: Builder, node: ast.Call, function: Any) -> Value | None:
    """A call of a reducing function as a loop; None where it is something else or takes a finished container."""
    rule = next((rule for known, rule in RULES.items() if known is function), None)
    if rule is None or not node.args:
        return None
    iterated = is_iterator(build, node.args[0]) or function in (any, all)
    if not iterated and not any(keyword.arg == "default" for keyword in node.keywords):
        return None
    return rule(build, node, copied(node.args[0]))


def _first(build: Builder, each: Comprehension) -> Iterable:
    """The first iterable, which Python evaluates before the function's other arguments."""
    return lower_iterable(build, each.generators[0].iter)


def _sum(build: Builder, node: ast.Call, each: Comprehension) -> Value:
    more = [*node.args[1:], *(keyword.value for keyword in node.keywords)]
    if len(more) > 1 or any(keyword.arg != "start" for keyword in node.keywords):
        raise build.unsupported(node, "sum takes an iterable and a start")
    if COMPENSATED:
        if more and not isinstance(more[0], ast.Constant):
            raise build.unsupported(node, "sum of a generator expression with a start; sum a list")
        return build.assign(Intrinsic("sum", (lower_comprehension(build, each), *map(build.atom, more))))
    first = _first(build, each)
    total = build.assign(Copy(build.atom(more[0]) if more else constant(0)))

    def add() -> None:
        build.assign(Binary("+", total, build.atom(each.elt)), total.name)

    run_comprehension(build, each, add, first)
    return total


def _search(build: Builder, node: ast.Call, each: Comprehension, wanted: bool) -> Value:
    if len(node.args) > 1 or node.keywords:
        raise build.unsupported(node, "any and all take one argument")
    first = _first(build, each)
    found = build.assign(Copy(constant(False)))

    def stop() -> None:
        build.assign(Copy(constant(True)), found.name)
        leave_loop(build)

    def test() -> None:
        held = build.atom(each.elt)
        build.choose(held, stop if wanted else _nothing, _nothing if wanted else stop)

    run_comprehension(build, each, test, first, found)
    if wanted:
        return found
    result = build.fresh()
    build.choose(found, lambda: _set(build, result, constant(False)), lambda: _set(build, result, constant(True)))
    return Local(result)


def _best(build: Builder, node: ast.Call, each: Comprehension, name: str, operator: str) -> Value:
    if len(node.args) > 1 or len(node.keywords) > 1 or any(keyword.arg != "default" for keyword in node.keywords):
        raise build.unsupported(node, f"{name} of an iterable takes no arguments but default=")
    first = _first(build, each)
    default = build.freeze(build.atom(node.keywords[0].value)) if node.keywords else None
    some, best = build.assign(Copy(constant(False))), Local(build.fresh("best"))

    def begin(item: Atom) -> None:
        _set(build, best.name, item)
        _set(build, some.name, constant(True))

    def compare(item: Atom) -> None:
        build.emit(CheckBound, name=best.name)
        better = build.assign(Compare(operator, item, best))
        build.choose(better, lambda: _set(build, best.name, item), _nothing)

    def take() -> None:
        item = build.freeze(build.atom(each.elt))
        build.choose(some, lambda: compare(item), lambda: begin(item))

    run_comprehension(build, each, take, first)
    return _best_or(build, name, some, best, default)


def _best_or(build: Builder, name: str, some: Local, best: Local, default: Atom | None) -> Value:
    result = build.fresh()

    def found() -> None:
        build.emit(CheckBound, name=best.name)
        _set(build, result, best)

    def none() -> None:
        if default is not None:
            _set(build, result, default)
        else:
            build.emit(Raise, exception="ValueError", arguments=(Constant(EMPTY.format(name), STRING),))

    build.choose(some, found, none)
    return Local(result)


def _set(build: Builder, name: str, value: Atom) -> None:
    build.assign(Copy(value), name)


def _nothing() -> None:
    """An empty branch."""


RULES: dict[Any, Callable[[Builder, ast.Call, Comprehension], Value]] = {
    builtins.sum: _sum,
    builtins.any: lambda build, node, each: _search(build, node, each, True),
    builtins.all: lambda build, node, each: _search(build, node, each, False),
    builtins.min: lambda build, node, each: _best(build, node, each, "min", "<"),
    builtins.max: lambda build, node, each: _best(build, node, each, "max", ">"),
}
