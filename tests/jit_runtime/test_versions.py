from __future__ import annotations

import numpy as np

from lean_agentic.jit_runtime.versions import observed, outline


def test_an_outline_has_the_strides_and_no_memory() -> None:
    array = np.zeros((6, 8))[::2, ::-1]
    thin = outline(array)
    assert (thin.strides, thin.dtype, thin.ndim, thin.size) == (array.strides, array.dtype, 2, 0)
    assert not np.shares_memory(thin, array)


def test_observed_keeps_numbers_and_outlines() -> None:
    found = observed({"n": 3, "x": 1.5, "xs": [1], "a": np.zeros(4), "flag": True})
    assert found.keys() == {"n", "x", "a", "flag"}
    assert found["a"].size == 0
