"""Outside names that are rebound while a compiled call is under way: the call sees it, as it would in CPython."""

from __future__ import annotations

import signal
import threading
import time
from types import FunctionType
from typing import Any

import pytest

from lean_agentic.jit_runtime import JitRuntime, JitRuntimeConfig
from lean_agentic.kernel import function_from_source

CONFIG = JitRuntimeConfig(baseline_threshold=1, least_work=0.0)
WHILE = """
running = True
step = 1
def f(n):
    k = 0
    while running and k < n:
        k += step
    return k
"""
ENDLESS = 10**13
"""Iterations: hours."""


def tiered(source: str, config: JitRuntimeConfig = CONFIG) -> Any:
    return JitRuntime(config).tiered(function_from_source(source))


def later(function: FunctionType, seconds: float = 0.3, **values: Any) -> threading.Timer:
    timer = threading.Timer(seconds, lambda: function.__globals__.update(values))
    timer.start()
    return timer


@pytest.mark.parametrize("max_tier", [1, 2, 3])
def test_another_thread_ends_a_loop(max_tier: int) -> None:
    function = tiered(WHILE, JitRuntimeConfig(baseline_threshold=1, least_work=0.0, max_tier=max_tier))
    for _ in range(200):
        assert function(500) == 500
    timer = later(function, running=False)
    assert 0 < function(ENDLESS) < ENDLESS
    timer.join()


def test_a_call_that_was_moved_in_mid_loop_sees_it_too() -> None:
    function = tiered(WHILE, JitRuntimeConfig())
    timer = later(function, 0.5, running=False)
    assert 0 < function(ENDLESS) < ENDLESS
    timer.join()


def test_a_signal_handler_ends_a_loop() -> None:
    function = tiered(WHILE)
    for _ in range(200):
        function(500)
    before = signal.signal(signal.SIGALRM, lambda *_: function.__globals__.update(running=False))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        assert 0 < function(ENDLESS) < ENDLESS
    finally:
        signal.signal(signal.SIGALRM, before)


def test_a_number_of_another_type() -> None:
    function = tiered(WHILE)
    for _ in range(200):
        function(500)
    timer = later(function, step=1e12)
    result = function(ENDLESS)
    timer.join()
    assert type(result) is float
    assert result >= ENDLESS


def test_a_closure_cell() -> None:
    source = """
def make():
    running = True
    def f(n):
        k = 0
        while running and k < n:
            k += 1
        return k
    def stop():
        nonlocal running
        running = False
    return f, stop
f, stop = make()
"""
    names: dict[str, Any] = {}
    module = function_from_source(source + "def g():\n    return f, stop\n")
    names["f"], stop = module()
    function = JitRuntime(CONFIG).tiered(names["f"])
    timer = threading.Timer(0.3, stop)
    timer.start()
    assert 0 < function(ENDLESS) < ENDLESS
    timer.join()


def test_other_names_of_the_module_may_change_all_the_time() -> None:
    function = tiered(WHILE)
    expected = function_from_source(WHILE)
    done = threading.Event()

    def busy() -> None:
        number = 0
        while not done.is_set():
            number += 1
            function.__globals__["other"] = number
            time.sleep(0.0001)

    thread = threading.Thread(target=busy)
    thread.start()
    try:
        assert function(30_000_000) == 30_000_000
    finally:
        done.set()
        thread.join()
    assert expected(1000) == 1000
