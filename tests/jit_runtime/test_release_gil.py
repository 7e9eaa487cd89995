"""`Code.release_gil`: other threads run while machine code runs, from its first instruction on."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from tests.jit_runtime.native_machine import INT, NONE, Recorder, code, list_of, machine, slot, take

LEAVE = 0
WAITS = f"""
{slot("data", 1, "p")}
br label %again
again:
%seen = load volatile i64, ptr %data
%go = icmp ne i64 %seen, 0
br i1 %go, label %done, label %again
done:
ret i32 0
"""
"""Ends when another thread stores into the array. It does not poll, so with the GIL it would wait for ever."""


def test_others_run_at_once():
    waits = code(machine(WAITS), [("array", "int64", 1)], NONE)
    assert waits.release_gil is False
    waits.release_gil = True
    array = np.zeros(1, dtype=np.int64)
    other = threading.Timer(0.01, lambda: array.fill(1))
    other.start()
    assert waits(array) is None
    other.join()


def test_python_is_asked_with_the_gil():
    recorder = Recorder(lambda state: state[0] + 1)
    asks = machine(take("status", 0) + "ret i32 %status")
    made = code(asks, [INT], INT, [(LEAVE, [INT], INT)], recorder)
    made.release_gil = True
    assert [made(k) for k in (1, 2**62)] == [2, 2**62 + 1]
    assert recorder.exits == [(0, (1,)), (0, (2**62,))]


def test_exceptions_come_through():
    def fails(state):
        raise KeyError(state[0])

    made = code(machine(take("status", 0) + "ret i32 %status"), [INT], INT, [(LEAVE, [INT], INT)], Recorder(fails))
    made.release_gil = True
    with pytest.raises(KeyError, match="7"):
        made(7)


def test_lists_keep_it():
    made = code(machine("ret i32 0"), [list_of(INT)], NONE)
    made.release_gil = True
    assert made([1, 2]) is None
