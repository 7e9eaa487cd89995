"""Inferred result types against results on values that the samples do not contain."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lean_agentic.kernel import UnsupportedError, type_of
from lean_agentic.kernel.operation_types import BINARY, COMPARE, probed
from lean_agentic.kernel.program_generator import BOUNDARY_FLOATS, BOUNDARY_INTS
from lean_agentic.kernel.types import COMPLEX, DTYPES, FLOAT, INT, NONE, join

NUMPY_VALUES = st.builds(lambda dtype, n: np.dtype(dtype).type(n), st.sampled_from(DTYPES), st.integers(0, 100))
VALUES = st.one_of(
    st.sampled_from(BOUNDARY_INTS), st.sampled_from(BOUNDARY_FLOATS), st.booleans(), NUMPY_VALUES, st.integers(-70, 70)
)
SAFE = sorted({*BINARY} - {"**", "<<"})


@settings(derandomize=True, deadline=None, max_examples=1500)
@given(st.sampled_from([*SAFE, *COMPARE]), VALUES, VALUES)
def test_every_result_is_of_the_inferred_type(operator: str, left: object, right: object) -> None:
    function = (BINARY | COMPARE)[operator]
    try:
        inferred = probed(function, (type_of(left), type_of(right)), huge=operator in COMPARE)
    except UnsupportedError:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            result = function(left, right)
        except (ArithmeticError, ValueError):
            return
    assert type_of(result) in inferred.members


def test_powers_depend_on_signs() -> None:
    assert probed(BINARY["**"], (INT, INT)) == join([INT, FLOAT])
    assert probed(BINARY["**"], (FLOAT, FLOAT)) == join([FLOAT, COMPLEX])


def test_a_possible_type_error_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="raises TypeError"):
        probed(BINARY["+"], (join([INT, NONE]), INT))
