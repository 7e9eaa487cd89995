"""Facts of the range analysis against runs of the reference interpreter: what is proved never fails."""

from __future__ import annotations

import copy
import os
import warnings
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, note, settings

from lean_agentic.jit_runtime.facts import Condition, Facts
from lean_agentic.jit_runtime.range_analysis import USUAL_INT, analyse
from lean_agentic.kernel import Kernel, UnsupportedError, evaluate, function_from_source, interpret, lower, type_of
from lean_agentic.kernel.ir import Assign, Index, Operation, Store
from lean_agentic.kernel.program_generator import Program, programs

EXAMPLES = int(os.environ.get("KERNEL_EXAMPLES", "200"))
LIMIT = 2**63


class BeyondMachine(BaseException):
    """The run got an int that compiled code would have left for: the facts say nothing of what follows."""


class Refuted(BaseException):
    """A fact does not hold."""


class Witness:
    """Checks each operation of an interpreted run against the facts; stands in for `evaluate.evaluate`."""

    def __init__(self, kernel: Kernel, facts: Facts) -> None:
        self.facts = facts
        self.checked = 0
        self._statements = {
            id(each.operation if isinstance(each, Assign) else each): each.id
            for _, each in kernel.statements.values()
            if isinstance(each, Assign | Store)
        }
        self._evaluate, self._store = evaluate.evaluate, evaluate.store

    def evaluate(self, operation: Operation, read: Any) -> Any:
        statement = self._statements[id(operation)]
        if isinstance(operation, Index):
            self._check_items(statement, read(operation.container), operation.items, read)
        value = self._evaluate(operation, read)
        if type(value) is int and not -LIMIT <= value < LIMIT:
            if statement in self.facts.exact:
                raise Refuted(statement, value)
            raise BeyondMachine
        return value

    def store(self, statement: Store, read: Any) -> None:
        self._check_items(statement.id, read(statement.container), statement.items, read)
        self._store(statement, read)

    def _check_items(self, statement: int, container: Any, items: Any, read: Any) -> None:
        lengths = container.shape if isinstance(container, np.ndarray) else (len(container),)
        for axis, item in enumerate(items):
            if (statement, axis) in self.facts.within:
                self.checked += 1
                if not 0 <= read(item) < lengths[axis]:
                    raise Refuted(statement, axis, read(item))
            elif (statement, axis) in self.facts.nonnegative and read(item) < 0:
                raise Refuted(statement, axis, read(item))


def small(value: Any) -> bool:
    return type(value) is not int or USUAL_INT[0] <= value <= USUAL_INT[1]


def witnessed(kernel: Kernel, arguments: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch) -> Witness:
    facts = analyse(kernel, lambda name: small(dict(zip(kernel_names(kernel), arguments, strict=True))[name]))
    witness = Witness(kernel, facts)
    with monkeypatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.setattr(evaluate, "evaluate", witness.evaluate)
        patch.setattr(evaluate, "store", witness.store)
        with suppress(BeyondMachine):
            interpret(kernel, copy.deepcopy(arguments), budget=100_000)
    return witness


def kernel_names(kernel: Kernel) -> list[str]:
    return [each.name for each in kernel.entry.parameters]


@settings(
    max_examples=EXAMPLES, derandomize="KERNEL_EXAMPLES" not in os.environ, deadline=None, database=None,
    suppress_health_check=list(HealthCheck), phases=(Phase.generate, Phase.shrink),
)  # fmt: skip
@given(program=programs())
def test_nothing_proved_fails_in_a_run(program: Program) -> None:
    try:
        kernel = lower(function_from_source(program.source, "program"), [type_of(each) for each in program.arguments])
    except UnsupportedError:
        return
    if any(type(each) is int and not -LIMIT <= each < LIMIT for each in program.arguments):
        return  # compiled code is not entered
    note(f"{program.source}\n{program.arguments}\n{kernel}")
    with pytest.MonkeyPatch.context() as monkeypatch:
        witnessed(kernel, program.arguments, monkeypatch)


def facts_of(source: str, *arguments: Any) -> tuple[Kernel, Facts]:
    kernel = lower(function_from_source(source), [type_of(each) for each in arguments])
    return kernel, analyse(kernel)


def indexes(kernel: Kernel, facts: Facts) -> list[str]:
    """`within`, `nonnegative` or `open` for each element access, in the order of the text."""
    found = []
    for number, (_, each) in sorted(kernel.statements.items()):
        access = each.operation if isinstance(each, Assign) and isinstance(each.operation, Index) else each
        if isinstance(access, Index | Store):
            key = (number, 0)
            found.append("within" if key in facts.within else "nonnegative" if key in facts.nonnegative else "open")
    return found


def test_a_loop_over_the_length_needs_no_check() -> None:
    source = "def f(xs):\n    t = 0.0\n    for i in range(len(xs)):\n        t += xs[i]\n    return t\n"
    kernel, facts = facts_of(source, [1.0])
    assert indexes(kernel, facts) == ["within"]


def test_neighbours_inside_a_border_need_no_check() -> None:
    source = (
        "def f(xs):\n    n = len(xs)\n    t = 0.0\n    for i in range(1, n - 1):\n"
        "        t += xs[i - 1] + xs[i + 1]\n    return t + xs[0]\n"
    )
    kernel, facts = facts_of(source, [1.0])
    assert indexes(kernel, facts) == ["within", "within", "nonnegative"]


def test_a_list_made_for_the_loop_is_long_enough() -> None:
    source = "def f(n):\n    xs = [0] * (n + 1)\n    for i in range(n + 1):\n        xs[i] = i * i\n    return xs\n"
    kernel, facts = facts_of(source, 5)
    assert indexes(kernel, facts) == ["within"]


def test_an_unrelated_length_becomes_a_condition() -> None:
    source = "def f(n, xs):\n    t = 0.0\n    for i in range(n):\n        t += xs[i + 1]\n    return t\n"
    _, facts = facts_of(source, 5, [1.0])
    (version,) = facts.versions.values()
    assert version.conditions == (Condition("xs", 0, None, 1),)


def test_a_reassigned_list_is_no_condition() -> None:
    source = "def f(n, xs):\n    for i in range(n):\n        xs = xs[i:]\n        xs[i] = 0.0\n"
    kernel, facts = facts_of(source, 5, [1.0])
    assert not facts.versions
    assert indexes(kernel, facts)[-1] == "nonnegative"


def test_an_index_that_passed_a_check_passes_the_next() -> None:
    source = "def f(xs, ys, i):\n    if i >= 0:\n        xs[i] += xs[i]\n        return ys[i]\n"
    kernel, facts = facts_of(source, [1.0], [1.0], 5)
    assert indexes(kernel, facts) == ["nonnegative", "within", "within", "nonnegative"]


def test_sums_of_small_numbers_stay_small() -> None:
    source = "def f(n):\n    t = 0\n    for i in range(n):\n        t += i ^ (i >> 3)\n    return t\n"
    kernel, facts = facts_of(source, 5)
    assert facts.assumed == {"n": USUAL_INT}
    arithmetic = {
        n for n, (_, s) in kernel.statements.items() if isinstance(s, Assign) and hasattr(s.operation, "left")
    }
    assert arithmetic <= facts.exact


def test_products_may_overflow() -> None:
    source = "def f(n):\n    t = 1\n    for i in range(n):\n        t *= 3\n    return t\n"
    kernel, facts = facts_of(source, 5)
    arithmetic = {
        n for n, (_, s) in kernel.statements.items() if isinstance(s, Assign) and hasattr(s.operation, "left")
    }
    assert not arithmetic & facts.exact


def test_a_condition_bounds_a_counter() -> None:
    source = "def f(n):\n    c = 0\n    while c < n and c * c < 50:\n        c += 1\n    return c\n"
    kernel, facts = facts_of(source, 5)
    additions = [
        n for n, (_, s) in kernel.statements.items() if getattr(getattr(s, "operation", None), "operator", "") == "+"
    ]
    assert set(additions) <= facts.exact


def test_recursive_functions_assume_nothing() -> None:
    _, facts = facts_of("def fib(n):\n    return n if n < 2 else fib(n - 1) + fib(n - 2)\n", 5)
    assert not facts.assumed


def test_a_callee_knows_what_its_calls_give() -> None:
    source = (
        "def g(i, j):\n    return i * j + 1\n"
        "def f(n):\n    t = 0\n    for i in range(n):\n        t += g(i, 3)\n    return t\n"
    )
    kernel, facts = facts_of(source, 5)
    (callee,) = (each for name, each in kernel.procedures.items() if name != kernel.entry.name)
    assert {each.id for each in callee.body if isinstance(each, Assign)} & facts.exact
