"""Counts and samples of calls, compared with counting by hand."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from lean_agentic.jit_runtime.profile import Profile, parameters, short_type


@pytest.mark.parametrize("stops", [(), (10,), (3, 100)])
def test_calls_are_counted_and_sampled_at_some_and_at_stops(stops: tuple[int, ...]) -> None:
    sampled: list[int] = []
    profile = Profile(stops, lambda frame: sampled.append(profile.calls))

    def call(x):
        next(profile.counter)

    for number in range(1, 300):
        call(number)
        assert profile.calls == number
    assert sampled == sorted({2, 8, 32, 128, *stops})


def test_an_interrupted_sample_does_not_lose_count() -> None:
    def fail(frame: object) -> None:
        if profile.calls == 8:
            raise KeyboardInterrupt

    renewed: list[bool] = []
    profile = Profile((), fail, lambda: renewed.append(True))
    for number in range(1, 10):
        if number == 8:
            with pytest.raises(KeyboardInterrupt):
                next(profile.counter)
        else:
            next(profile.counter)
    assert profile.calls == 9
    assert renewed == [True]


def test_argument_shapes_are_counted() -> None:
    profile = Profile()

    def call(a, b, *, c=1.0):
        next(profile.counter)

    for number in range(1, 40):
        call(1, [1.0] if number == 8 else [1, 2], c=3.0)
    assert profile.shapes == {("int", "list[int]", "float"): 2, ("int", "list[float]", "float"): 1}


def test_parameters_are_those_of_the_frame() -> None:
    def function(a, b, *rest, c):
        local = a
        del b
        return dict(parameters(sys._getframe())), local

    assert function(1, 2, 3, c=4)[0] == {"a": 1, "c": 4}


def test_short_types() -> None:
    values = [1, 1.0, None, np.int8(1), [[1.5]], [], np.zeros((2, 3), np.float32), (1, 2)]
    names = ["int", "float", "NoneType", "int8", "list[list[float]]", "list[]", "array[float32, 2]", "tuple"]
    assert list(map(short_type, values)) == names


def test_trip_counts_keep_the_largest() -> None:
    profile = Profile()
    for count in (3, 9, 5):
        profile.note_trips(7, count)
    assert profile.trip_counts == {7: 9}
