from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lean_agentic import kernel
from lean_agentic.jit_runtime import _sampling
from lean_agentic.jit_runtime.argument_types import type_of

scalars = st.sampled_from([1, 2.5, True, None, 1j, np.int8(1), np.float64(2.0)])
lists = st.lists(scalars, max_size=200).filter(lambda values: len(set(map(type, values))) < 8)


@given(lists, st.integers(1, 100))
def test_types_are_the_kernels(values: list[object], times: int) -> None:
    assert type_of(values * times) == kernel.type_of(values * times)
    assert _sampling.classes(values) == set(map(type, values))


@given(st.lists(st.lists(st.sampled_from([1, 2.5]), max_size=100), max_size=100))
def test_nested_lists(values: list[list[object]]) -> None:
    assert type_of(values) == kernel.type_of(values)


def test_what_is_outside_the_language_is_refused() -> None:
    with pytest.raises(kernel.UnsupportedError, match=r"builtins\.str"):
        type_of([1] * 100 + ["text"])
    with pytest.raises(TypeError, match="takes a list"):
        _sampling.classes((1, 2))  # type: ignore[arg-type]
