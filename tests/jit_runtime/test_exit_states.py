"""Exits carry the live locals, in an order of their own, and say where to go on."""

from __future__ import annotations

from lean_agentic.jit_runtime.exit_points import ExitPoint
from lean_agentic.jit_runtime.lir import Mode
from lean_agentic.jit_runtime.selection import select
from lean_agentic.kernel import liveness, lower
from lean_agentic.kernel.ir import Assign, Call
from lean_agentic.kernel.kernel import Kernel
from lean_agentic.kernel.types import FLOAT, INT, ListType, Type
from tests.jit_runtime.against_cpython import as_function


def points(source: str, *types: Type) -> tuple[Kernel, list[ExitPoint]]:
    """The exits of a function."""
    kernel = lower(as_function(source), types)
    return kernel, select(kernel).exits


def test_all_live_locals_are_carried() -> None:
    source = """
def f(xs, n):
    total, best = 0.0, xs[0]
    for i in range(n):
        if xs[i] > best:
            best = xs[i]
        total = total + best / xs[i]
    return total, best
"""
    kernel, exits = points(source, ListType(FLOAT), INT)
    live = liveness(kernel.entry)
    assert len(exits) > 4
    for point in exits:
        assert set(point.names) == live.before[point.statement], point
        assert len(point.names) == len(point.state)


def test_behind_a_call_the_result_is_pending() -> None:
    source = "def g(n):\n    return n + 1\n\ndef f(n, m):\n    k = g(n)\n    return k + m"
    kernel, exits = points(source, INT, INT)
    call = next(
        each for _, each in kernel.statements.values() if isinstance(each, Assign) and isinstance(each.operation, Call)
    )
    behind = next(point for point in exits if point.behind)
    assert (behind.statement, behind.mode) == (call.id, Mode.LEAVE)
    assert behind.names == ("m", call.target)
    assert behind.state == (("int",), ("pending",))
    assert behind.result_descriptor == ("int",)


def test_asks_carry_the_operands() -> None:
    kernel, exits = points("import math\ndef f(n, m):\n    return math.comb(n, 5) + math.comb(m, n)", INT, INT)
    asks = [point for point in exits if point.mode is Mode.ASK]
    assert [point.names for point in asks] == [("#0",), ("#0", "#1")]
    assert all(point.operation is kernel.statements[point.statement][1].operation for point in asks)  # type: ignore[attr-defined]
    assert all(point.result_descriptor == ("int",) for point in asks)


def test_locals_that_may_have_no_value_are_marked() -> None:
    source = "def f(n):\n    if n:\n        x = n // 3\n    n = n + 1\n    return x + n"
    _, exits = points(source, INT)
    addition = next(point for point in exits if point.reason == "overflow or error of +")
    assert dict(zip(addition.names, addition.state, strict=True)) == {"n": ("int",), "x": ("maybe", ("int",))}


def test_reasons() -> None:
    source = f"""
def g(n):
    return n

def f(xs, n, x):
    if n > 3:
        raise KeyError(n)
    xs[n] = g({2**70}) if n else xs[n - 1]
    return int(x)
"""
    _, exits = points(source, ListType(INT), INT, FLOAT)
    assert {
        "raise KeyError", "overflow or error of -", "index out of range", "a constant without machine form", "int",
        "store out of range, into a read-only array, or of what does not fit",
    } <= {point.reason for point in exits}  # fmt: skip


def test_exits_of_callees_belong_to_the_callee() -> None:
    source = "def g(n):\n    return 1.0 / n\n\ndef f(n):\n    return [g(n)]"
    kernel, exits = points(source, INT)
    division = next(point for point in exits if point.reason == "overflow or error of /")
    assert division.procedure in kernel.procedures
    assert division.procedure != kernel.entry.name
    assert division.result == FLOAT
