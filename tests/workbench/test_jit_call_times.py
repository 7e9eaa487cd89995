from __future__ import annotations

import numpy as np
import pytest

from lean_agentic.workbench import jit_call_times
from lean_agentic.workbench.jit_call_times import DISTURBED_EVERY, Way, WrongResultError, call_times, disturb
from lean_agentic.workbench.jit_suite import DEMOS, programs

(DEMO,) = DEMOS
BY_COUNTS = Way(calls=300, baseline=10, optimising=40, max_opt=120, by_work=False, background=False)


def test_by_counts_alone_a_function_goes_up_at_the_thresholds() -> None:
    (program,) = programs(["dot"], ["lists"])
    times = call_times(program, BY_COUNTS)
    assert (np.diff(times.tiers) >= 0).all()
    assert times.tiers[: BY_COUNTS.baseline - 1].max() == 0
    assert times.tiers[-1] == 3
    assert not times.deoptimised.any()
    assert times.explanation.calls >= BY_COUNTS.calls


def test_disturbed_calls_leave_machine_code_and_no_others() -> None:
    times = call_times(DEMO, Way(**vars(BY_COUNTS) | {"disturbed": True}))
    left = np.flatnonzero(times.deoptimised)
    assert left.size > 0
    assert (left % DISTURBED_EVERY == 0).all()
    assert (left >= BY_COUNTS.calls // 2).all()


def test_a_wrong_result_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jit_call_times, "fingerprint", lambda value: object())
    with pytest.raises(WrongResultError, match="CPython gives"):
        call_times(DEMO, BY_COUNTS)


def test_disturbing_changes_types_or_takes_what_the_program_names() -> None:
    assert disturb(DEMO) == (400, 6364136223846793005, 2**61)
    (scalar,) = programs(["fib"])
    assert [type(each) for each in disturb(scalar)] == [np.int64]
    (lists,) = programs(["matmul"], ["lists"])
    assert {type(each) for matrix in disturb(lists) for row in matrix for each in row} == {int}
    (arrays,) = programs(["dot"], ["arrays"])
    assert {each.dtype.name for each in disturb(arrays)} == {"float32"}
