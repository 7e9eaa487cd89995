"""Types of values and their joins."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import pytest

from lean_agentic.kernel import UnsupportedError, type_of
from lean_agentic.kernel.types import BOOL, FLOAT, INT, NEVER, NONE, ListType, TupleType, join, nesting


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "int"), (True, "bool"), (1.0, "float"), (1j, "complex"), (None, "None"), (np.float32(1), "np.float32"),
        (np.bool_(1), "np.bool"), ((1, 2.0), "tuple[int, float]"), ([], "list[never]"), ([1, 2.5], "list[float | int]"),
        ([[1], [2]], "list[list[int]]"), (np.zeros((2, 3), np.uint8), "array[uint8, 2]"),
        (np.zeros(()), "array[float64, 0]"),
    ],
)  # fmt: skip
def test_text_of_types(value: Any, text: str) -> None:
    assert str(type_of(value)) == text


@pytest.mark.parametrize(
    "value",
    ["text", {}, OrderedDict(), np.zeros(1, "datetime64[s]"), np.zeros(1, ">f8"), np.ma.zeros(2), np.zeros(1, object)],
)
def test_other_values_are_refused(value: Any) -> None:
    with pytest.raises(UnsupportedError, match="outside the kernel language"):
        type_of(value)


def test_join_is_the_least_union() -> None:
    assert join([]) is NEVER or join([]) == NEVER
    assert join([INT, INT]) == INT
    assert join([INT, FLOAT]) == join([FLOAT, INT])
    assert join([join([INT, FLOAT]), NONE]).members == (NONE, FLOAT, INT)
    assert join([NEVER, BOOL]) == BOOL


def test_too_many_alternatives_are_refused() -> None:
    with pytest.raises(UnsupportedError, match="more than 8 types"):
        join(TupleType((INT,) * n) for n in range(9))


def test_nesting() -> None:
    assert nesting(INT) == 0
    assert nesting(ListType(TupleType((INT, ListType(INT))))) == 3
