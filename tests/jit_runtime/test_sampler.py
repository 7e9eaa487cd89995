"""The sampler sees tiered frames; what it sees is compared with what runs."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import Any

import pytest

from lean_agentic.jit_runtime import _sampling
from lean_agentic.jit_runtime.instrument import Site, profiled
from lean_agentic.jit_runtime.policy import JitRuntimeConfig
from lean_agentic.jit_runtime.sampler import sampler, tiered_frames
from lean_agentic.kernel import function_from_source

pytestmark = pytest.mark.no_cover  # whoever traces sees the user's code run: nothing is moved then


@pytest.fixture(autouse=True)
def _resting() -> None:
    _sampling.activate(False)


class Owner:
    """Takes the place of a function's state."""

    def __init__(self, **settings: Any) -> None:
        self.config = JitRuntimeConfig(**settings)
        self.seen: list[tuple[str, int]] = []
        self.others: list[int] = []

    def sampled(self, frame: FrameType, tier: int, milliseconds: float) -> None:
        self.seen.append((frame.f_code.co_name, tier))

    def wants_replacement(self, frame: FrameType) -> bool:
        return False

    def running(self, thread: int, tier: int, milliseconds: float) -> None:
        self.others.append(thread)


def marked(text: str, owner: Any, tier: int = 0, **outside: Any) -> Any:
    function = function_from_source(text, "f", outside)
    counter: Iterator[None] = iter(())
    code = profiled(function.__code__, counter, lambda: None, lambda error: None, Site(owner, tier))
    function.__code__ = code
    return function


def test_all_tiered_frames_are_told_once() -> None:
    inner_owner, outer_owner, deaf = Owner(), Owner(), Owner(sampling=False)
    inner = marked("def f(n):\n    return f(n - 1) if n else look()", inner_owner, 1, look=sampler_looks)
    silent = marked("def f(n):\n    return inner(n)", deaf, inner=inner)
    outer = marked("def f(n):\n    return silent(n)", outer_owner, silent=silent)
    outer(5)
    assert inner_owner.seen == [("f", 1)]
    assert outer_owner.seen == [("f", 0)]
    assert deaf.seen == []


def sampler_looks() -> None:
    sampler.period_ms = sampler.period_ms or 1.0
    sampler._look(sys._getframe(), False, 1.0)


def test_nothing_is_counted_while_paused() -> None:
    owner = Owner()

    def look() -> None:
        with sampler.paused():
            sampler_looks()

    marked("def f(n):\n    return look()", owner, look=look)(1)
    assert owner.seen == []


def test_frames_are_found_innermost_first() -> None:
    found: list[int] = []
    look = lambda: found.extend(frame.f_locals["n"] for frame in tiered_frames(sys._getframe()))  # noqa: E731
    marked("def f(n):\n    return f(n - 1) if n else look()", Owner(), look=look)(3)
    assert found == [0, 1, 2, 3]


def test_the_stack_of_a_frame_holds_its_iterators() -> None:
    seen: list[Any] = []

    def callback(frame: FrameType, chased: bool, milliseconds: float) -> None:
        if chased:
            seen.append([each.__length_hint__() for each in _sampling.stack(frame, 2)])
        else:
            _sampling.chase(frame, 10**6)

    text = "def f(n):\n    for i in range(n):\n        for j in range(7):\n            n += j\n    return n"
    _sampling.configure(callback, Site, 10**9)
    _sampling.look_soon()
    marked(text, Owner())(3)
    assert seen == [[2, 6]]


def test_wrong_uses_are_refused() -> None:
    with pytest.raises(TypeError, match="must be frame"):
        _sampling.chase(3, 1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no such stack"):
        _sampling.stack(sys._getframe(), 1000)


def test_the_ticker_sees_a_loop() -> None:
    seen = threading.Event()
    _sampling.configure(lambda frame, chased, milliseconds: seen.set(), Site, 100_000)
    _sampling.activate(True)
    function = marked("def f(e):\n    while not e.is_set():\n        pass", Owner())
    function(seen)  # ends when it has been seen
    assert seen.is_set()


def test_looks_that_take_long_do_not_stop_the_ticker() -> None:
    looks: list[int] = []
    enough = threading.Event()

    def callback(frame: FrameType, chased: bool, milliseconds: float) -> None:
        until = time.perf_counter() + 0.005  # many ticks
        while time.perf_counter() < until:
            pass
        looks.append(1)
        if len(looks) == 3:
            enough.set()

    _sampling.configure(callback, Site, 100_000)
    _sampling.activate(True)
    marked("def f(e):\n    while not e.is_set():\n        pass", Owner())(enough)
    assert len(looks) == 3


def test_news_wake_the_ticker() -> None:
    seen = threading.Event()
    _sampling.configure(lambda frame, chased, milliseconds: seen.set(), Site, 100_000)
    _sampling.activate(True)
    sampler.expect_news()
    _sampling.news()
    marked("def f(e):\n    while not e.is_set():\n        pass", Owner())(seen)
    assert seen.is_set()


def test_unmarked_code_is_not_looked_at() -> None:
    seen: list[Any] = []
    _sampling.configure(lambda frame, chased, milliseconds: seen.append(frame), Site, 100_000)
    _sampling.activate(True)
    until = time.perf_counter() + 0.02
    while time.perf_counter() < until:
        pass
    _sampling.activate(False)
    assert seen == []


def test_other_threads_are_told_while_this_one_waits() -> None:
    owner = Owner()
    stop = threading.Event()
    function = marked("def f(e):\n    while not e.is_set():\n        pass", owner)
    thread = threading.Thread(target=function, args=(stop,))
    thread.start()
    sampler._look_at_others(threading.get_ident(), 1.0)
    stop.set()
    thread.join()
    assert set(owner.others) <= {thread.ident}


def test_the_process_ends_while_the_ticker_runs() -> None:
    program = (
        "from lean_agentic.jit_runtime import tiered\n"
        "@tiered\ndef f(n):\n    s = 0\n    for i in range(n):\n        s += i\n    return s\n"
        "print(f(300000))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["44999850000"]
    assert done.stderr == ""


def test_a_period_is_shared() -> None:
    before = sampler.period_ms
    sampler.follow(Followed(), (before or 1.0) * 10)
    assert sampler.period_ms <= (before or 10.0)


class Followed:
    """Something that a weak set can hold."""


@pytest.mark.parametrize("start", ["cProfile.Profile().enable()", "sys.settrace(lambda *args: None)", "pass"])
def test_a_profiler_or_tracer_does_not_stop_the_program(start: str) -> None:
    program = (
        "import cProfile, sys\nfrom lean_agentic.jit_runtime import tiered\n"
        "from lean_agentic.kernel import function_from_source\n"
        "source = 'def f(n):\\n    t = 0\\n    for i in range(n):\\n        for j in range(400):\\n"
        "            t += i ^ j\\n    return t\\n'\n"
        f"f = tiered(function_from_source(source))\n{start}\n"
        "print([f(300) for _ in range(8)] == [f.__kernel_function__(300)] * 8)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=90, check=False)
    assert done.stdout == "True\n", done.stderr
