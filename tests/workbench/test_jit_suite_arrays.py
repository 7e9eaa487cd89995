"""What the array programs are given. What they compute is checked against the list forms in `test_jit_suite.py`."""

from __future__ import annotations

import numpy as np
import pytest

from lean_agentic.workbench.jit_suite import Program, programs


@pytest.mark.parametrize("program", programs(forms=("arrays",)), ids=lambda program: program.title)
def test_sequences_come_as_arrays_and_go_as_arrays(program: Program) -> None:
    arguments = program.arguments("small")
    result = program.function(*arguments)
    assert all(isinstance(each, np.ndarray | int | float) for each in arguments)
    assert not isinstance(result, list)
