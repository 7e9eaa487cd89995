"""Tiered functions behave as the plain ones: the oracle is the undecorated function in CPython."""

from __future__ import annotations

import copy
import functools
import inspect
import math
import pickle
import threading
import traceback
import warnings
from types import FunctionType
from typing import Any

import numpy as np
import pytest

from lean_agentic.jit_runtime import explain, tiered, tiers_of
from lean_agentic.jit_runtime.runtime import JitRuntime
from lean_agentic.kernel import function_from_source, interpret, lower, type_of
from tests.jit_runtime.stub_backend import StubBackend, stub_runtime


@tiered
def at_module_level(n: int) -> int:
    """Doc."""
    return n + 1


def triangle(n):
    total = 0
    for i in range(n):
        total += i
    return total


def make(text: str, **options: Any) -> tuple[FunctionType, FunctionType, JitRuntime]:
    """A tiered and a plain function of one source."""
    runtime = stub_runtime(**options)
    return runtime.tiered(function_from_source(text)), function_from_source(text), runtime


def fresh(function: FunctionType) -> FunctionType:
    return FunctionType(function.__code__, function.__globals__, function.__name__, None, function.__closure__)


def test_the_function_object_and_its_description_stay() -> None:
    def scale(x: float, by: float = 2.0, *, plus: float = 0.0) -> float:
        """Scale and shift."""
        return x * by + plus

    described = (scale.__name__, scale.__qualname__, scale.__doc__, inspect.signature(scale), scale.__module__)
    made = stub_runtime(baseline_threshold=2).tiered(scale)
    assert made is scale
    for _ in range(6):
        now = (scale.__name__, scale.__qualname__, scale.__doc__, inspect.signature(scale), scale.__module__)
        assert now == described
        assert (scale(3.0), scale(3.0, 1.0), scale(3.0, plus=1.0), scale(by=4.0, x=1.0)) == (6.0, 3.0, 7.0, 4.0)
    assert explain(scale).tier == 1


def test_defaults_that_change_are_seen() -> None:
    made, _, _ = make("def f(x, y=1):\n    return x + y", baseline_threshold=2)
    for _ in range(4):
        made(1)
    assert tiers_of(made).tier == 1
    made.__defaults__ = (10,)
    assert made(1) == 11


def test_pickle_and_copy_give_the_same_function() -> None:
    assert pickle.loads(pickle.dumps(at_module_level)) is at_module_level
    assert copy.deepcopy(at_module_level) is at_module_level


def test_methods_keep_binding() -> None:
    class Box:
        def __init__(self, value: int) -> None:
            self.value = value

        def add(self, n: int) -> int:
            return self.value + n

        @staticmethod
        def double(n: int) -> int:
            return 2 * n

    runtime = stub_runtime(baseline_threshold=2)
    runtime.tiered(Box.add)
    runtime.tiered(Box.double)
    assert [Box(3).add(4) for _ in range(20)] == [7] * 20
    assert [Box.double(4) for _ in range(20)] == [8] * 20
    assert tiers_of(Box.double).tier == 1
    assert "outside the kernel language" in explain(Box.add).why_not_higher


def test_counts_of_calls_lead_to_higher_tiers() -> None:
    made, plain, _ = make(
        "def f(n):\n    s = 0\n    for i in range(n):\n        s += i\n    return s",
        baseline_threshold=3, optimising_threshold=6, max_opt_threshold=9,
    )  # fmt: skip
    tiers = []
    for n in range(14):
        assert made(n) == plain(n)
        tiers.append(tiers_of(made).tier)
        for version in tiers_of(made).versions:  # what a sample would do
            version.function.consider(version)
    assert tiers[:2] == [0, 0]
    assert sorted(tiers) == tiers
    assert tiers[-1] == 3


def test_the_tier_configured_as_highest_is_not_passed() -> None:
    made, _, _ = make("def f(n):\n    return n", baseline_threshold=1, optimising_threshold=1, max_tier=1)
    for n in range(9):
        made(n)
    assert explain(made).tier == 1
    assert explain(made).why_not_higher == "max_tier is 1"
    kept, _, _ = make("def f(n):\n    return n", baseline_threshold=1, max_tier=0)
    assert [kept(n) for n in range(9)] == list(range(9))
    assert explain(kept).why_not_higher.endswith("max_tier is 0")


def test_several_types_have_versions_up_to_a_bound() -> None:
    made, plain, _ = make("def f(x, y):\n    return x * y + 1", baseline_threshold=2, max_versions=2)
    state = tiers_of(made)
    arguments = [(2, 3), (2.0, 3.0), (True, 4), (2, 1.5)]
    for _ in range(40):
        for x, y in arguments:
            got, expected = made(x, y), plain(x, y)
            assert (type(got), got) == (type(expected), expected)
            state.due = state.due or bool(state.versions)  # as if more time had been spent in CPython
    assert len(state.versions) == 2
    assert len(explain(made).versions) == 2


def test_values_outside_the_language_run_in_cpython() -> None:
    made, plain, _ = make("def f(x):\n    return x * 2", baseline_threshold=2)
    for _ in range(3):
        assert made(3) == 6
    assert tiers_of(made).tier == 1
    assert made("ab") == "abab"
    assert made([1, "a"]) == [1, "a", 1, "a"]
    assert made(3) == plain(3)
    assert explain(made).refused


@pytest.mark.parametrize(
    ("text", "call", "reason"),
    [
        ("def f(n):\n    yield n", lambda f: list(f(3)), "generators"),
        ("def f(*n):\n    return n", lambda f: f(1, 2), "*args"),
        ("def f(n):\n    try:\n        return 1 // n\n    except ValueError:\n        return 0", lambda f: f(2), "try"),
        ("def f(n):\n    g = lambda: n\n    return g()", lambda f: f(3), "Lambda"),
        ("def f(n):\n    return {n: 1}[n]", lambda f: f(3), "Dict"),
        ("async def f(n):\n    return n", lambda f: f(3).close(), "coroutines"),
    ],
)  # fmt: skip
def test_what_is_not_taken_stays_as_it_is(text: str, call: Any, reason: str) -> None:
    made, plain, _ = make_any(text)
    for _ in range(20):
        assert call(made) == call(plain)
    assert reason in explain(made).why_not_higher
    assert made.__code__ == plain.__code__.replace(co_filename=made.__code__.co_filename)


def make_any(text: str) -> tuple[Any, Any, JitRuntime]:
    spaces: list[dict[str, Any]] = [{}, {}]
    for space in spaces:
        exec(text, space)
    runtime = stub_runtime(baseline_threshold=2)
    if "async" not in text:
        return runtime.tiered(function_from_source(text)), function_from_source(text), runtime
    return runtime.tiered(spaces[0]["f"]), spaces[1]["f"], runtime


def test_unsupported_code_says_line_and_reason() -> None:
    made, _, _ = make("def f(n):\n    m = n\n    return {m: 1}", baseline_threshold=2)
    for n in range(5):
        made(n)
    assert explain(made).why_not_higher.startswith("line 3: ")


def test_only_functions_are_taken() -> None:
    with pytest.raises(TypeError, match="plain Python function, not type"):
        tiered(int)
    with pytest.raises(TypeError, match="is not tiered"):
        explain(len)


def test_decorating_twice_changes_nothing() -> None:
    made, _, runtime = make("def f(n):\n    return n")
    state = tiers_of(made)
    assert tiers_of(runtime.tiered(made)) is state


def test_exceptions_show_the_users_lines_only() -> None:
    text = "def f(xs, n):\n    total = 0\n    for i in range(n):\n        total += xs[i]\n    return total"
    made, plain, _ = make(text, baseline_threshold=2)
    for tier_one in (False, True):
        with pytest.raises(IndexError) as caught:
            made([1, 2], 3)
        with pytest.raises(IndexError) as expected:
            plain([1, 2], 3)
        assert users_frames(caught.tb) == users_frames(expected.tb) == [("f", 4)]
        for _ in range(3):
            made([1, 2], 2)
        assert tiers_of(made).tier == 1 or not tier_one


def users_frames(entry: Any) -> list[tuple[str, int | None]]:
    """The frames but for those of this file and of the stub."""
    frames = traceback.extract_tb(entry)
    return [(each.name, each.lineno) for each in frames if not each.filename.endswith(".py")]


def test_wrong_calls_raise_as_before() -> None:
    made, plain, _ = make("def f(x, *, y=1):\n    return x + y", baseline_threshold=2)
    for _ in range(4):
        for call in (lambda f: f(), lambda f: f(1, 2), lambda f: f(1, z=3)):
            with pytest.raises(TypeError) as got:
                call(made)
            with pytest.raises(TypeError) as expected:
                call(plain)
            assert str(got.value) == str(expected.value)
        made(1)


def test_recursion_goes_through_the_tiers() -> None:
    space: dict[str, Any] = {}
    text = "def fib(n):\n    return n if n < 2 else fib(n - 1) + fib(n - 2)"
    made = function_from_source(text, namespace=space)
    stub_runtime(baseline_threshold=4).tiered(made)
    assert [made(n) for n in range(12)] == [0, 1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89]
    assert tiers_of(made).tier >= 1


def test_a_rebound_global_is_seen_at_once() -> None:
    space: dict[str, Any] = {"k": 2}
    made = function_from_source("def f(x):\n    return k * x", namespace=space)
    recorder: list[Any] = []
    stub_runtime(recorder, baseline_threshold=2).tiered(made)
    assert [made(5) for _ in range(4)] == [10] * 4
    space["k"] = 3
    assert [made(5) for _ in range(4)] == [15] * 4
    assert tiers_of(made).renewals == 1
    assert any("changed" in record.steps[0].outcome for record in recorder)
    for value in range(20):  # a global that keeps changing: the function stays in CPython
        space["k"] = value
        tiers_of(made).expect_version()  # as if time had been spent
        assert [made(5) for _ in range(4)] == [5 * value] * 4
    assert tiers_of(made).blocked


def test_an_equal_global_does_not_drop_the_version() -> None:
    space: dict[str, Any] = {"k": 1000}
    made = function_from_source("def f(x):\n    return k * x", namespace=space)
    stub_runtime(baseline_threshold=2).tiered(made)
    for _ in range(4):
        made(1)
    space["k"] = int("1000")
    assert made(2) == 2000
    assert tiers_of(made).renewals == 0


def test_closures_share_their_cells() -> None:
    runtime = stub_runtime(baseline_threshold=2)

    def outer(k):
        def inner(x):
            return x + k

        def change(value):
            nonlocal k
            k = value

        return runtime.tiered(inner), change

    inner, change = outer(5)
    assert [inner(1) for _ in range(5)] == [6] * 5
    assert tiers_of(inner).tier == 1
    change(7)
    assert inner(1) == 8


def test_callers_are_lowered_with_the_users_code() -> None:
    space: dict[str, Any] = {}
    inner = function_from_source("def inner(x):\n    return x + 1", namespace=space)
    stub_runtime(baseline_threshold=2).tiered(inner)
    for n in range(5):
        inner(n)
    outer = function_from_source("def outer(x):\n    return inner(x) * 2", namespace=space)
    assert str(lower(outer, [type_of(1)]).entry.result) == "int"


def test_a_wrapper_that_carries_the_attributes_is_not_taken_for_the_function() -> None:
    inner, _, _ = make("def inner(x):\n    return x + 1")

    wrapper = function_from_source("def wrapper(x):\n    return -x")
    functools.update_wrapper(wrapper, inner, assigned=(), updated=("__dict__",))
    del wrapper.__wrapped__
    assert wrapper.__kernel_function__ is inner.__kernel_function__
    assert tiers_of(wrapper) is None
    outer = function_from_source("def outer(x):\n    return w(x)", namespace={"w": wrapper})
    assert interpret(lower(outer, [type_of(1)]), [3]).value == -3


def test_a_compiler_defect_is_a_warning_and_the_function_works() -> None:
    made, plain, _ = make("def f(n):\n    return n", backend=StubBackend(fails=KeyError), baseline_threshold=2)
    with pytest.warns(RuntimeWarning, match="defect of the compiler"):
        assert [made(n) for n in range(5)] == [plain(n) for n in range(5)]
    assert "defect" in explain(made).why_not_higher
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert made(3) == 3


def test_a_kernel_without_machine_form_stays_in_cpython() -> None:
    made, _, _ = make("def f(n):\n    return n", backend=StubBackend(refuses={1: "no form"}), baseline_threshold=2)
    assert [made(n) for n in range(5)] == list(range(5))
    assert explain(made).why_not_higher == "line 1: no form (for int); other types are still tried"
    refusing = StubBackend(refuses={2: "too hard"})
    made, _, _ = make("def f(n):\n    return n", backend=refusing, baseline_threshold=2, optimising_threshold=3)
    for n in range(5):
        made(n)
        for version in tiers_of(made).versions:
            version.function.consider(version)
    assert explain(made).tier == 1
    assert "too hard" in explain(made).why_not_higher


def test_while_the_back_end_is_not_ready_the_function_runs_in_cpython() -> None:
    backend = StubBackend(ready=False)
    made, _, runtime = make("def f(n):\n    return n", backend=backend, baseline_threshold=2, background=True)
    assert [made(n) for n in range(2)] == [0, 1]
    assert runtime.wait(10)
    assert backend.ready
    for n in range(20):
        made(n)
    assert tiers_of(made).tier == 1


def test_threads_may_share_a_function() -> None:
    made, plain, _ = make(
        "def f(n):\n    s = 0\n    for i in range(n):\n        s += i\n    return s",
        baseline_threshold=5, optimising_threshold=20, background=True,
    )  # fmt: skip
    expected = [plain(n) for n in range(50)]
    wrong: list[Any] = []

    def work() -> None:
        for _ in range(20):
            got = [made(n) for n in range(50)]
            if got != expected:
                wrong.append(got)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert tiers_of(made).tier >= 1


def test_lists_and_arrays_are_changed_in_place() -> None:
    text = "def f(xs):\n    for i in range(len(xs)):\n        xs[i] = xs[i] * 2\n    return len(xs)"
    made, plain, _ = make(text, baseline_threshold=2)
    for _ in range(5):
        got, expected = [1, 2, 3], [1, 2, 3]
        assert (made(got), got) == (plain(expected), expected)
        array, wanted = np.arange(4.0), np.arange(4.0)
        assert made(array) == plain(wanted)
        assert array.tobytes() == wanted.tobytes()


def test_the_code_of_the_user_is_left_as_it_was() -> None:
    plain = fresh(triangle)
    made = stub_runtime(baseline_threshold=2).tiered(fresh(triangle))
    state = tiers_of(made)
    assert state.switch.original.__code__ is triangle.__code__
    assert state.switch.interpreted(10) == plain(10) == made(10)
    assert math.isclose(state.profile.spent_ms, 0.0)
