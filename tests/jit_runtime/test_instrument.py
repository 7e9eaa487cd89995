"""Profiled code and trampolines behave as the code they are made from."""

from __future__ import annotations

import inspect
import sys
import traceback
from collections.abc import Iterator
from itertools import chain, repeat
from types import CodeType, FunctionType
from typing import Any

import pytest

from lean_agentic.jit_runtime import _sampling
from lean_agentic.jit_runtime.instrument import Site, Transfer, profiled, trampoline, why_unsuited
from lean_agentic.jit_runtime.policy import JitRuntimeConfig
from tests.jit_runtime.test_replacement import PROGRAMS, build, outcome

pytestmark = pytest.mark.no_cover  # whoever traces sees the user's code run: nothing is moved then


class Owner:
    """One that the sampler passes by."""

    config = JitRuntimeConfig(sampling=False)


OWNER = Owner()
UNSEEN = Site(OWNER, 0)


def with_code(function: FunctionType, code: CodeType) -> FunctionType:
    made = FunctionType(code, function.__globals__, function.__name__, function.__defaults__, function.__closure__)
    made.__kwdefaults__ = function.__kwdefaults__
    return made


def instrumented(function: FunctionType, resume: Any = None, clean: Any = lambda error: None) -> FunctionType:
    return with_code(function, profiled(function.__code__, repeat(None), resume, clean, UNSEEN))


@pytest.mark.parametrize("name", PROGRAMS)
def test_profiled_code_does_what_the_users_does(name: str) -> None:
    text, arguments = PROGRAMS[name]
    assert outcome(instrumented(build(text)), arguments) == outcome(build(text), arguments)


def test_lines_and_positions_of_the_body_stay() -> None:
    function = build("def f(xs):\n    s = 0\n    for x in xs:\n        s += 1 // x\n    return s")
    made = instrumented(function)
    assert inspect.signature(made) == inspect.signature(function)
    for each in (function, made):
        with pytest.raises(ZeroDivisionError) as caught:
            each([1, 0])
        assert traceback.extract_tb(caught.tb)[-1].lineno == 4
    positions = list(function.__code__.co_positions())
    assert set(positions) <= set(made.__code__.co_positions())


def test_each_call_takes_an_item_of_the_counter() -> None:
    class Pieces:
        asked = 0

        def __iter__(self) -> Iterator[Iterator[None]]:
            return self

        def __next__(self) -> Iterator[None]:
            self.asked += 1
            self.locals = dict(sys._getframe(1).f_locals)
            return repeat(None, 10)

    pieces = Pieces()
    function = build("def f(a, b=2):\n    return a + b")
    code = profiled(function.__code__, chain.from_iterable(pieces), None, None, UNSEEN)
    made = with_code(function, code)
    assert [made(each) for each in range(25)] == [each + 2 for each in range(25)]
    assert pieces.asked == 3
    assert pieces.locals == {"a": 20, "b": 2}


def test_a_transfer_makes_the_call_return_what_resume_gives() -> None:
    function = build("def f(n):\n    s = 0\n    for i in range(n):\n        s += i\n    return s")
    made = instrumented(function, lambda: "elsewhere")
    _sampling.activate(False)
    _sampling.configure(chase_then_raise, Site, 10**9)
    _sampling.look_soon()
    assert made(10) == "elsewhere"
    assert sys.exc_info() == (None, None, None)
    assert made(10) == 45


def test_an_exception_behind_a_transfer_is_cleaned_and_raised() -> None:
    function = build("def f(n):\n    s = 0\n    for i in range(n):\n        s += i\n    return s")
    told: list[BaseException] = []

    def fail() -> Any:
        raise ValueError("behind")

    made = instrumented(function, fail, told.append)
    _sampling.activate(False)
    _sampling.configure(chase_then_raise, Site, 10**9)
    _sampling.look_soon()
    with pytest.raises(ValueError, match="behind") as caught:
        made(10)
    assert told == [caught.value]
    assert caught.value.__context__ is None
    assert sys.exc_info() == (None, None, None)


def chase_then_raise(frame: Any, chased: bool, milliseconds: float) -> None:
    if chased:
        raise Transfer
    _sampling.chase(frame, 10**6)


def test_a_trampoline_has_the_signature_and_passes_all_by_position() -> None:
    k = 1

    def function(a, /, b, c=3, *, d=4, e):
        return k

    seen: list[Any] = []
    code = trampoline(function.__code__, lambda *given: seen.append(given), lambda error: None, UNSEEN)
    made = with_code(function, code)
    assert inspect.signature(made) == inspect.signature(function)
    made(1, 2, e=5)
    made(1, b=2, c=0, d=0, e=0)
    assert seen == [(1, 2, 3, 4, 5), (1, 2, 0, 0, 0)]
    with pytest.raises(TypeError, match="missing 1 required keyword-only argument: 'e'"):
        made(1, 2)


def test_what_cannot_be_profiled_says_why() -> None:
    def generator():
        yield 1

    def handling(x):
        try:
            return 1 // x
        except ZeroDivisionError:
            return 0

    assert "generators" in why_unsuited(generator.__code__)
    assert "try" in why_unsuited(handling.__code__)
    assert why_unsuited(build("def f(n):\n    return [n * i for i in range(n)]").__code__) == ""
