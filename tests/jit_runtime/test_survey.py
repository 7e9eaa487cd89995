"""What is found out about locals before selection."""

from __future__ import annotations

from lean_agentic.jit_runtime.survey import OPERANDS, Survey, survey, surveys
from lean_agentic.kernel import lower, type_of
from lean_agentic.kernel.ir import Assign, atoms, walk
from lean_agentic.kernel.types import FLOAT, INT, ArrayType, ListType, Type
from tests.jit_runtime.against_cpython import as_function
from tests.kernel.test_programs import PROGRAMS


def seen(source: str, *types: Type) -> Survey:
    """Survey of the entry."""
    return survey(lower(as_function(source), types).entry)


def test_operands_are_the_atoms() -> None:
    for function, arguments in PROGRAMS:
        for _, statement in lower(function, [type_of(each) for each in arguments]).statements.values():  # type: ignore[arg-type]
            if isinstance(statement, Assign):
                rule = OPERANDS[type(statement.operation)]
                assert rule(statement.operation) == tuple(atoms(statement.operation))


def test_locals_of_one_block_need_no_variables() -> None:
    found = seen(
        "def f(n):\n    x = n + 1\n    y = x * x\n    for i in range(y):\n        n = n + x\n    return n", INT
    )
    assert found.in_temporaries("%1")
    assert not found.in_temporaries("x"), "read in the loop"
    assert not found.in_temporaries("n"), "assigned twice"


def test_locals_read_before_they_are_assigned_need_variables() -> None:
    found = seen(
        "def f(n):\n    while n > 0:\n        if n < 5:\n            n = n - x\n        x = 2\n        n = n - 1", INT
    )
    assert not found.in_temporaries("x")
    assert found.checked == {"x"}


def test_names_of_the_same_thing() -> None:
    source = """
def f(xs, n):
    ys = xs
    for i in range(n):
        old = n
        n = n - ys[i] + old
    return n
"""
    found = seen(source, ListType(INT), INT)
    assert found.same["ys"] == "xs"
    assert "old" not in found.same, "n changes"
    assert found.looked_into_inside("xs")


def test_a_name_that_changes_with_the_loop_is_not_the_same() -> None:
    source = """
def f(n):
    y = 0
    for i in range(n):
        x = i * 2
        for k in range(n):
            y = y + x
        z = x
        for k in range(n):
            y = y + z
    return y
"""
    assert not seen(source, INT).same.keys() & {"x", "z"}


def test_lists_that_are_written() -> None:
    source = "def f(a, b, c):\n    a[0] = b[0]\n    return [x for x in c]"
    found = seen(source, ListType(INT), ListType(INT), ListType(FLOAT))
    assert found.written == {ListType(INT), ListType(FLOAT)}


def test_loops_with_loops_and_calls_inside() -> None:
    source = """
def g(n):
    return n

def f(n):
    for i in range(n):
        for j in range(n):
            n = n + 1
    for i in range(n):
        n = g(n)
    for i in range(n):
        n = n + 1
    return n
"""
    kernel = lower(as_function(source), [INT])
    loops = [each.id for each in walk(kernel.entry.body) if type(each).__name__ == "ForRange"]
    assert survey(kernel.entry).loops_inside == {loops[0], loops[2]}


def test_what_escapes_through_calls() -> None:
    source = """
def keep(a, b):
    c = b
    return [c]

def look(a):
    return a[0]

def f(g):
    u = g[0]
    v = g[1]
    w = g[2]
    x = w
    return keep(u, v), look(u), look(x), (x,)
"""
    kernel = lower(as_function(source), [ArrayType("float64", 2)])
    found = surveys([kernel.entry, *(each for each in kernel.procedures.values() if each is not kernel.entry)])
    escaping = found[kernel.entry.name].escaping
    assert {"v", "w", "x"} <= escaping
    assert "u" not in escaping
