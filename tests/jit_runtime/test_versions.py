from __future__ import annotations

import numpy as np
import pytest

from lean_agentic.jit_runtime.versions import looks_like, observed, outline
from lean_agentic.kernel import type_of

VALUES = [
    *(None, True, 3, 2.5, 1j, (1, 2.0), [1], [1.0], []),
    *(np.int8(1), np.float64(2.0), np.zeros(3), np.zeros((2, 2)), np.zeros(3, np.int32)),
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_value_looks_like_its_type(value: object) -> None:
    assert looks_like(value, type_of(value))


def test_values_of_other_classes_do_not_look_alike() -> None:
    for value in VALUES:
        for other in VALUES:
            if type(value) is not type(other):
                assert not looks_like(value, type_of(other)) or type(value) in (tuple, list), (value, other)


def test_an_outline_has_the_strides_and_no_memory() -> None:
    array = np.zeros((6, 8))[::2, ::-1]
    thin = outline(array)
    assert (thin.strides, thin.dtype, thin.ndim, thin.size) == (array.strides, array.dtype, 2, 0)
    assert not np.shares_memory(thin, array)


def test_observed_keeps_numbers_and_outlines() -> None:
    found = observed({"n": 3, "x": 1.5, "xs": [1], "a": np.zeros(4), "flag": True})
    assert found.keys() == {"n", "x", "a", "flag"}
    assert found["a"].size == 0
