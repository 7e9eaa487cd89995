from __future__ import annotations

import traceback

import pytest

from lean_agentic.jit_runtime.backend import NativeBackend
from lean_agentic.jit_runtime.policy import JitRuntimeConfig
from lean_agentic.jit_runtime.tracebacks import clean
from lean_agentic.kernel import function_from_source, lower


def names(error: BaseException) -> list[str]:
    return [each.name for each in traceback.extract_tb(error.__traceback__)]


def test_frames_of_the_package_go() -> None:
    function = function_from_source("def f(n):\n    return {n: 1}")

    def forwarding() -> None:
        lower(function, [])

    with pytest.raises(TypeError) as caught:
        forwarding()
    caught.value.__traceback__ = caught.tb.tb_next
    clean(caught.value)
    assert names(caught.value) == ["forwarding"]


def test_the_users_frames_further_down_stay() -> None:
    def fail() -> None:
        raise KeyError("x")

    class Odd:
        @property
        def engine(self) -> str:
            fail()
            return ""

        cache = False

    def forwarding() -> None:
        config: JitRuntimeConfig = Odd()  # type: ignore[assignment]
        NativeBackend(config).is_ready(1)

    with pytest.raises(KeyError) as caught:
        forwarding()
    caught.value.__traceback__ = caught.tb.tb_next
    clean(caught.value)
    assert names(caught.value) == ["engine", "fail"]


def test_an_exception_without_a_traceback_is_left_alone() -> None:
    error = ValueError()
    clean(error)
    assert error.__traceback__ is None
