from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable

import pytest

from lean_agentic.jit_runtime import JitRuntime, JitRuntimeConfig, explain, tiered, tiers_of
from lean_agentic.kernel import function_from_source
from tests.jit_runtime.stub_backend import stub_runtime


def double(x: int, plus: int = 0) -> int:
    return 2 * x + plus


def adding(k: int) -> Callable[[int], int]:
    def inner(x: int) -> int:
        return x + k

    return inner


def test_execute_takes_functions_and_names() -> None:
    runtime = stub_runtime()
    assert runtime.execute(double, [4]) == 8
    assert runtime.execute(double, (4,), {"plus": 1}) == 9
    assert tiers_of(double) is not None
    triple = runtime.register(function_from_source("def f(x):\n    return 3 * x"), "triple")
    assert runtime.execute("triple", [4]) == 12
    assert runtime.named("triple") is triple
    with pytest.raises(KeyError, match="no function 'other'"):
        runtime.execute("other")
    assert {state.name for state in runtime} >= {"double", "f"}


def test_tiered_with_and_without_arguments() -> None:
    recorder: list[object] = []

    @tiered(config=JitRuntimeConfig(max_tier=0), recorder=recorder)
    def one(x):
        return x

    @tiered
    def two(x):
        return x

    assert (one(1), two(2)) == (1, 2)
    assert tiers_of(one).config.max_tier == 0
    assert tiers_of(one).runtime.recorder is recorder
    assert tiers_of(two).config == JitRuntimeConfig()


def test_functions_that_are_gone_are_forgotten() -> None:
    runtime = JitRuntime(JitRuntimeConfig(baseline_threshold=2, least_work=0.0, max_tier=1))
    runtime.backend.load()
    function = runtime.tiered(adding(3))
    for n in range(5):
        assert function(n) == n + 3
    gone = weakref.ref(tiers_of(function))
    assert len(list(runtime)) == 1
    del function
    gc.collect()
    assert gone() is None
    assert list(runtime) == []


def test_real_code_in_all_tiers_gives_cpythons_results() -> None:
    text = "def f(xs, k):\n    s = 0.0\n    for i, x in enumerate(xs):\n        s += x * i - k\n    return s"
    plain = function_from_source(text)
    config = JitRuntimeConfig(
        baseline_threshold=2, optimising_threshold=4, max_opt_threshold=8, least_work=0.0,
        sampling=False, background=False,
    )  # fmt: skip
    runtime = JitRuntime(config)
    runtime.backend.load()
    made = runtime.tiered(function_from_source(text))
    tiers = set()
    for n in range(20):
        xs = [0.5 * each for each in range(n)]
        assert made(xs, n) == plain(xs, n)
        tiers.add(tiers_of(made).tier)
        for version in tiers_of(made).versions:
            version.function.consider(version)
    assert tiers == {0, 1, 2, 3}
    assert explain(made).why_not_higher == "this is the highest tier"
    assert explain(made).versions[0].compile_ms.keys() == {1, 2, 3}


def test_sampling_promotes_in_other_threads() -> None:
    runtime = JitRuntime(JitRuntimeConfig(max_tier=1))
    runtime.backend.load()
    text = "def f(n):\n    s = 0\n    for i in range(n):\n        s += i & 3\n    return s"
    made, plain = runtime.tiered(function_from_source(text)), function_from_source(text)
    wrong: list[int] = []
    finished = threading.Event()

    def work() -> None:
        # Until it is promoted: how long that takes is the scheduler's business.
        for _ in range(20_000):
            if made(2000) != expected:
                wrong.append(1)
            if tiers_of(made).tier:
                break
        finished.set()

    expected = plain(2000)
    threading.Thread(target=work).start()
    assert finished.wait(60)
    assert not wrong
    assert tiers_of(made).tier == 1
