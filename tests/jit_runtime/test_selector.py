"""The state of one selection: what is known of variables, and the exits of statements."""

from __future__ import annotations

from collections import Counter

from lean_agentic.jit_runtime.lir import Function
from lean_agentic.jit_runtime.selection import select
from lean_agentic.jit_runtime.selector import OPERATIONS, STATEMENTS
from lean_agentic.kernel import ir, lower
from lean_agentic.kernel.types import INT, ListType, Type
from tests.jit_runtime.against_cpython import as_function


def entry(source: str, *types: Type) -> Function:
    """The entry's LIR."""
    return select(lower(as_function(source), types)).unit.functions[0]


def test_every_statement_and_operation_has_a_rule() -> None:
    kinds = [each for each in vars(ir).values() if isinstance(each, type)]
    operations = {each for each in kinds if issubclass(each, ir.Operation)} - {ir.Operation, ir.Call}
    statements = {each for each in kinds if issubclass(each, ir.Statement)} - {ir.Statement}
    assert operations <= OPERATIONS.keys()  # `parallel` adds one of its own
    assert statements == STATEMENTS.keys()


def test_a_variable_is_read_once_in_a_block() -> None:
    function = entry("def f(n):\n    n = n + n\n    n = n * n\n    return n - n", INT)
    counts = Counter(each[0] for each in function.blocks[0].instructions)
    assert counts["get"] == 1


def test_all_checks_of_a_statement_share_one_exit() -> None:
    selected = select(lower(as_function("def f(xs, i, j):\n    return xs[i][j]"), [ListType(ListType(INT)), INT, INT]))
    assert len(selected.exits) == 2
    guards = [each for block in selected.unit.functions[0].blocks for each in block.instructions if each[0] == "guard"]
    assert {each[2].number for each in guards} == {0, 1}


def test_values_that_are_read_once_need_no_variables() -> None:
    function = entry("def f(a, b, c):\n    x = a * b\n    y = x + c\n    return (y, x)[0]", INT, INT, INT)
    assert len(function.variables) == 3
