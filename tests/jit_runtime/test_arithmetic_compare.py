"""Comparisons and truth values against CPython and NumPy."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from lean_agentic.jit_runtime.arithmetic_compare import as_bool, logical_not, truth
from lean_agentic.jit_runtime.emitter import Emitter, Leave, Value
from lean_agentic.kernel.operation_types import COMPARE
from lean_agentic.kernel.types import BOOL, COMPLEX, FLOAT, INT, Type
from tests.jit_runtime.arithmetic_trial import FLOATS, INTS, NUMPY, binary, compiled, is_taken, rows, trial, values

OPERATORS = ["==", "!=", "<", "<=", ">", ">="]
NUMBERS = [BOOL, INT, FLOAT, COMPLEX]
HUGE = [2**63, 2**63 + 1, 2**64 - 1, 2**64, -(2**63) - 1, 2**70, 2**65 + 1, 10**400, -(10**400)]


PAIRS = [
    (operator, *pair)
    for operator, pair in product(OPERATORS, product(NUMBERS, repeat=2))
    if is_taken(COMPARE[operator], pair)
]


@pytest.mark.parametrize(("operator", "left", "right"), PAIRS, ids=str)
def test_python_numbers(operator: str, left: Type, right: Type) -> None:
    types = (left, right)
    emit, meaning = binary(operator)
    tally = trial(emit, meaning, types, rows(types, 900))
    assert tally is not None
    # An int that is not known is compared with a float only up to 2**53.
    assert all(any("." not in each and abs(int(each)) > 2**53 for each in row if each.lstrip("-").isdigit())
               for row in tally.needless)  # fmt: skip
    assert not tally.needless or {INT, FLOAT} <= {*types, FLOAT if COMPLEX in types else INT}


@pytest.mark.parametrize("operator", OPERATORS)
def test_python_numbers_with_a_constant(operator: str) -> None:
    emit, meaning = binary(operator)
    halves = [2.0**53 + 2, 2.0**62, 9.2e18, 1e18, -0.5]
    for a_type, known in product([INT, FLOAT], [*INTS, *HUGE, *FLOATS, *halves, True]):
        for operands in ((a_type, known), (known, a_type)):
            nearby = [(each,) for each in (known, known - 1, known + 1) if type(each) is int and abs(each) < 2**63]
            tally = trial(emit, meaning, operands, rows((a_type,), 60) + (nearby if a_type == INT else []))
            assert tally is not None
            assert not tally.needless, operands


def test_floats_next_to_constants_between_doubles() -> None:
    for operator, known in product(OPERATORS, (2**53 + 1, -(2**53) - 1, 2**63 - 1, 2**70 + 1)):
        near = [(float(known + d),) for d in (-3, -1, 0, 1, 3)]
        assert trial(*binary(operator), (FLOAT, known), near) is not None


@pytest.mark.parametrize("operator", OPERATORS)
def test_numpy_scalars(operator: str) -> None:
    emit, meaning = binary(operator)
    scalars = [BOOL, INT, FLOAT, *NUMPY.values()]
    for types in product(scalars, repeat=2):
        if any(each in NUMPY.values() for each in types):
            tally = trial(emit, meaning, types, rows(types, 60))
            assert tally is not None, types
            assert not tally.needless, types


@pytest.mark.parametrize("operator", OPERATORS)
def test_numpy_scalars_with_a_constant(operator: str) -> None:
    emit, meaning = binary(operator)
    for each in NUMPY.values():
        for known in [*values(INT, 0), 2**63, 2**64 - 1, *values(FLOAT, 0)]:
            for operands in ((each, known), (known, each)):
                tally = trial(emit, meaning, operands, rows((each,), 12))
                assert tally is not None or (type(known) is int and known > 2**62), operands
                assert tally is None or not tally.needless, operands


@pytest.mark.parametrize("a_type", [*NUMBERS, *NUMPY.values()], ids=str)
def test_truth(a_type: Type) -> None:
    def emit(e: Emitter, operands: list[Value], leave: Leave) -> Value:
        return as_bool(e, truth(e, operands[0]))

    def negated(e: Emitter, operands: list[Value], leave: Leave) -> Value:
        return logical_not(e, operands[0])

    def negation(value: Any) -> bool:
        return not value

    samples = rows((a_type,), 100)
    for tally in (trial(emit, bool, (a_type,), samples), trial(negated, negation, (a_type,), samples)):
        assert tally is not None
        assert tally.same == len(samples)
    for (value,) in samples:
        assert trial(emit, bool, (value,), [()]) is not None


def test_not_of_a_comparison_is_one_more_instruction() -> None:
    def emit(e: Emitter, operands: list[Value], leave: Leave) -> Value:
        found = as_bool(e, e.op("icmp", "b", operands[0].operands[0], 5, "slt"))
        return logical_not(e, found)

    made = compiled(emit, (INT,))
    assert made is not None
    assert [each[0] for each in made.function.blocks[0].instructions] == ["get", "icmp", "btoi", "bnot", "btoi", "ret"]
    assert trial(emit, lambda a: not a < 5, (INT,), rows((INT,), 40)) is not None
