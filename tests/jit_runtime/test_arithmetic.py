"""Folding, dispatch, and what has no native form, against CPython."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from lean_agentic.jit_runtime import arithmetic
from lean_agentic.jit_runtime.arithmetic_operands import fits
from lean_agentic.jit_runtime.emitter import Emitter, Value
from lean_agentic.jit_runtime.lir import Function
from lean_agentic.kernel.operation_types import BINARY, COMPARE, UNARY
from lean_agentic.kernel.outcome import fingerprint
from lean_agentic.kernel.types import BOOL, COMPLEX, FLOAT, INT, NONE, Type, type_of
from tests.jit_runtime.arithmetic_trial import (
    LEAVE,
    NUMPY,
    binary,
    boxed,
    compiled,
    intrinsic,
    is_taken,
    outcome,
    rows,
    trial,
)

TYPES = [BOOL, INT, FLOAT, COMPLEX, *NUMPY.values()]
KNOWN = [True, 0, -7, 12, 2.5, -0.0, 1 + 2j, np.int8(-128), np.uint64(2**64 - 1), np.float32(0.1), np.float64("nan")]


def nameless(types: tuple[Type, ...]) -> str:
    """Types as text."""
    return " ".join(map(str, types))


def without_native_form(operator: str) -> set[str]:
    """Pairs of types that the kernel takes and for which nothing is emitted."""
    emit, meaning = binary(operator)
    pairs = [pair for pair in product(TYPES, repeat=2) if is_taken(meaning, pair)]
    return {nameless(pair) for pair in pairs if compiled(emit, pair) is None}


@pytest.mark.parametrize("operator", ["+", "-", "*", "/", "<<", ">>", "&", "|", "^"])
def test_every_pair_of_types_has_a_native_form(operator: str) -> None:
    assert without_native_form(operator) == set()


@pytest.mark.parametrize("operator", ["//", "%"])
def test_of_floor_division_only_float32_has_none(operator: str) -> None:
    assert all("float32" in each for each in without_native_form(operator))


def test_powers_of_numpy_have_a_native_form_beside_float64_and_with_small_constants() -> None:
    missing = without_native_form("**")
    assert all("np." in each and "float64" not in each for each in missing)
    emit, _ = binary("**")
    assert all(compiled(emit, (NUMPY[each], 3)) is not None for each in ("int8", "int64", "uint32", "float64"))


@pytest.mark.parametrize("operator", ["==", "!=", "<", "<=", ">", ">="])
def test_every_comparison_has_a_native_form_but_of_complex_with_numpy(operator: str) -> None:
    assert all("complex" in each and "np." in each for each in without_native_form(operator))


@pytest.mark.parametrize("operator", [*BINARY, *COMPARE])
def test_operations_on_constants_are_computed_at_once(operator: str) -> None:
    emit, meaning = binary(operator)
    for pair in product(KNOWN, repeat=2):
        # Inference turns "in" and "inset" into `==`.
        if operator not in ("is", "isnot", "in", "inset") and is_taken(meaning, tuple(map(type_of, pair))):
            check_folded(emit, meaning, list(pair))


def check_folded(emit: Any, meaning: Any, pair: list[Any]) -> None:
    expected, code = outcome(meaning, pair), compiled(emit, pair)
    if isinstance(expected, Exception) or (type(expected) is int and not fits(expected)):
        assert code is None
        return
    assert code is not None, pair
    assert sum(len(block.instructions) for block in code.function.blocks) == 1
    assert fingerprint(code(())) == fingerprint(expected)


def test_what_takes_long_is_not_computed() -> None:
    for operator, pair in (("**", (3, 10**9)), ("<<", (1, 10**12))):
        assert compiled(binary(operator)[0], pair) is None
    assert compiled(intrinsic("round")[0], (5, -(10**9))) is None


@pytest.mark.parametrize("operator", UNARY)
def test_unary_operators(operator: str) -> None:
    def emit(e: Emitter, operands: list[Any], leave: Any) -> Any:
        return arithmetic.unary(e, operator, operands[0], leave)

    for each in TYPES:
        if is_taken(UNARY[operator], (each,)):
            tally = trial(emit, UNARY[operator], (each,), rows((each,), 100, more=20))
            assert tally is not None
            assert not tally.needless
    none = compiled(emit, (None,))
    assert (none is None) == (operator != "not")


def test_none() -> None:
    for operator, each in product(("is", "isnot", "==", "!="), TYPES):
        emit, meaning = binary(operator)
        for operands in ((each, None), (None, each)):
            tally = trial(emit, meaning, operands, rows((each,), 3))
            assert tally is not None
            assert tally.same
    assert compiled(binary("+")[0], (NONE, INT)) is None


def test_a_branch_on_a_comparison_needs_no_bool() -> None:
    e = Emitter(Function("branch", [], ""))
    left, right = (Value(INT, (e.get(e.variable("i")),)) for _ in range(2))
    found = arithmetic.compare(e, "<", left, right, lambda: LEAVE)
    assert found is not None
    before = len(e.block.instructions)
    assert arithmetic.truth(e, found) == e.block.instructions[-2][1]
    assert len(e.block.instructions) == before


def test_parts_of_a_number() -> None:
    for name in ("real", "imag"):
        for number in (2.5 - 1j, -0.0):
            made = compiled(lambda e, v, leave, name=name: arithmetic.part(v[0], name), (number,))
            assert made is not None
            assert fingerprint(made(())) == fingerprint(getattr(number, name))
    assert boxed(COMPLEX, (1.0, 2.0)) == 1 + 2j


def test_other_intrinsics_have_no_native_form() -> None:
    for name in ("sum", "len", "math.comb", "math.frexp", "pow"):
        assert compiled(intrinsic(name)[0], (INT, INT, INT)) is None
