"""Calls that are moved out of CPython in mid-loop end as they would have: the oracle is CPython."""

from __future__ import annotations

import copy
import textwrap
from collections.abc import Callable
from types import FrameType, FunctionType
from typing import Any

import numpy as np
import pytest

from lean_agentic.jit_runtime import _sampling, explain, tiers_of
from lean_agentic.jit_runtime.backend import NativeBackend
from lean_agentic.jit_runtime.compiled import compile_kernel
from lean_agentic.jit_runtime.machine_code import Options
from lean_agentic.jit_runtime.policy import JitRuntimeConfig
from lean_agentic.jit_runtime.runtime import JitRuntime
from lean_agentic.kernel import fingerprint, function_from_source, lower, type_of
from tests.jit_runtime.stub_backend import StubBackend

pytestmark = pytest.mark.no_cover  # whoever traces sees the user's code run: nothing is moved then

PROGRAMS: dict[str, tuple[str, tuple[Any, ...]]] = {
    "range": (
        """
        def f(n):
            s = 0
            for i in range(n):
                s += i * i
            return s, i
        """,
        (5,),
    ),
    "range with bounds": (
        """
        def f(a, b, c):
            s = 0
            for i in range(a, b, c):
                a, b, c = 7, 8, 9
                s = 3 * s + i
            return s
        """,
        (10, -7, -3),
    ),
    "nested": (
        """
        def f(n):
            s = 0
            for i in range(n):
                for j in range(i, n):
                    s = 2 * s + i - j
                s += 1
            return s
        """,
        (4,),
    ),
    "list": (
        """
        def f(xs):
            s = 0
            for x in xs:
                s = 2 * s + x
            return s
        """,
        ([1, 2, 3, 4],),
    ),
    "list rebound": (
        """
        def f(xs):
            s = 0
            for x in xs:
                xs = [9]
                s = 2 * s + x
            return s
        """,
        ([1, 2, 3],),
    ),
    "list changed": (
        """
        def f(xs):
            for k, x in enumerate(xs):
                xs[k] = x + len(xs)
                xs[0] = xs[0] + 1
            return xs[0]
        """,
        ([1, 2, 3, 4],),
    ),
    "tuple": (
        """
        def f(xs):
            s = 0
            for x in xs:
                s = 2 * s + x
            return s
        """,
        ((1, 2, 3),),
    ),
    "array": (
        """
        def f(xs):
            s = 0.0
            for x in xs:
                s = 2 * s + x
            return s
        """,
        (np.array([1.5, 2.0, -3.0]),),
    ),
    "rows": (
        """
        def f(a):
            s = 0
            for row in a:
                for x in row:
                    s = 2 * s + x
            return s
        """,
        (np.array([[0, 1, 2], [3, 4, 5]]),),
    ),
    "zip": (
        """
        def f(xs, ys):
            s = 0
            for x, y, z in zip(xs, ys, range(7, 1, -2)):
                s = 2 * s + x * y - z
            return s
        """,
        ([1, 2, 3, 4], (4, 5, 6)),
    ),
    "enumerate of zip": (
        """
        def f(xs, ys):
            s = 0
            for k, (x, y) in enumerate(zip(xs, ys), 5):
                s = 2 * s + k * x - y
            return s
        """,
        ([1, 2, 3], [4, 5, 6]),
    ),
    "reversed": (
        """
        def f(xs, t, a):
            s = 0
            for x in reversed(xs):
                s = 2 * s + x
            for x in reversed(t):
                s = 2 * s - x
            for x in reversed(a):
                s = 2 * s - x
            for k in reversed(range(1, 9, 3)):
                s = 2 * s + k
            return s
        """,
        ([1, 2, 3], (4, 5, 6), np.array([1, 2])),
    ),
    "zip of reversed": (
        """
        def f(xs, n):
            s = 0
            for x, k in zip(reversed(xs), reversed(range(n))):
                s = 2 * s + x * k
            return s
        """,
        ([1, 2, 3], 3),
    ),
    "while": (
        """
        def f(n):
            s = 0
            while n != 1:
                n = 3 * n + 1 if n % 2 else n // 2
                s += 1
            return s
        """,
        (7,),
    ),
    "while with two tests": (
        """
        def f(n, xs):
            s = 0
            while s < n and (xs[s % 2] or s < 4):
                s += 1
            else:
                s = -s
            return s
        """,
        (9, [0, 1]),
    ),
    "endless while": (
        """
        def f(n):
            k = 0
            while True:
                k += 1
                if k % 3 == 0:
                    continue
                if k > n:
                    break
            return k
        """,
        (8,),
    ),
    "loops in a while": (
        """
        def f(n):
            s = 0
            while n > 0:
                for i in range(n):
                    s = 2 * s + i
                    if i == 2:
                        break
                n -= 1
            return s
        """,
        (5,),
    ),
    "while in a while": (
        """
        def f(n):
            s = 0
            while n > 0:
                m = n
                while m > 0:
                    m -= 2
                    s = 2 * s + m
                n -= 1
            return s
        """,
        (4,),
    ),
    "while first in a while": (
        """
        def f(n):
            s = 0
            m = n
            while n > 0:
                while m > 0:
                    m -= 1
                    if m % 2:
                        continue
                    s = 2 * s + m
                n -= 1
                m = n
            return s
        """,
        (4,),
    ),
    "else and continue": (
        """
        def f(n):
            s = 0
            for i in range(n):
                for j in range(n):
                    if j == i:
                        continue
                    if j > 3:
                        break
                    s += j
                else:
                    s += 100
            else:
                s += 1000
            return s
        """,
        (6,),
    ),
    "if at the end": (
        """
        def f(n):
            s = 0
            for i in range(n):
                if i % 2:
                    if i % 3:
                        s += i
            return s
        """,
        (9,),
    ),
    "comprehension between": (
        """
        def f(n):
            s = 0
            for i in range(n):
                xs = [j * i for j in range(i)]
                for x in xs:
                    s += x
            return s
        """,
        (5,),
    ),
    "variable without a value": (
        """
        def f(n):
            for i in range(n):
                if i == 2:
                    late = i
            return late
        """,
        (5,),
    ),
    "raises": (
        """
        def f(xs, n):
            s = 0
            for i in range(n):
                s += xs[i]
                xs[i] = 0
            return s
        """,
        ([1, 2, 3], 5),
    ),
    "one line": (
        """
        def f(n):
            s = 0
            for i in range(n): s += i
            while s > 3: s -= 2
            return s
        """,
        (6,),
    ),
    "indented": (
        """
        if True:
            def f(n):
                s = 0
                for i in range(n):
                    s += i
                return s
        """,
        (6,),
    ),
    "method style": (
        """
        class C:
            def f(n):
                s = 0
                while n:
                    n -= 1
                    s += n
                return s
        f = C.f
        """,
        (4,),
    ),
    "types change": (
        """
        def f(n):
            s = 0
            for i in range(n):
                s = s + i * 0.5
            return s
        """,
        (4,),
    ),
}


def build(text: str) -> FunctionType:
    return function_from_source(textwrap.dedent(text).lstrip(), "f")


def outcome(function: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[Any, Any]:
    given = copy.deepcopy(arguments)
    try:
        result: Any = fingerprint(function(*given))
    except Exception as error:
        result = type(error), str(error)
    return result, fingerprint(given)


def eager_runtime(backend: Any = None) -> JitRuntime:
    config = JitRuntimeConfig(patience=0.0, baseline_threshold=10**6, background=False, max_tier=1, sampling_ms=1000.0)
    return JitRuntime(config, backend=backend or StubBackend())


def look_soon() -> None:
    """Have the next call seen at once. The ticker rests, for it would come at moments of its own."""
    _sampling.activate(False)
    _sampling.look_soon()


def arrive_at(state: Any, number: int) -> list[int]:
    """Have the next call moved at its backward jump of a number; the list gets the number of jumps seen."""
    seen: list[Any] = []

    def arrived(frame: FrameType) -> None:
        now = (frame.f_lasti, repr(frame.f_locals))
        if not seen or seen[-1] != now:
            seen.append(now)
        if len(seen) > number:
            state.replacement.enter(frame)
        _sampling.chase(frame, 10**6)

    state.arrived = arrived
    look_soon()
    return seen


def moved_everywhere(text: str, arguments: tuple[Any, ...], backend: Callable[[], Any] = StubBackend) -> int:
    """Compare a call moved at each of its backward jumps with CPython; how many moves there were."""
    expected = outcome(build(text), arguments)
    moves = number = 0
    while True:
        function = eager_runtime(backend()).tiered(build(text))
        state = tiers_of(function)
        seen = arrive_at(state, number)
        got = outcome(function, arguments)
        assert got == expected, f"moved at jump {number}: {state.replacement.last_obstacle}"
        moves += state.replacement.entries
        if len(seen) <= number:
            return moves
        number += 1


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_call_moved_at_any_jump_ends_the_same(name: str) -> None:
    text, arguments = PROGRAMS[name]
    assert moved_everywhere(text, arguments) >= 2


def test_a_move_is_explained() -> None:
    text, arguments = PROGRAMS["nested"]
    recorder: list[Any] = []
    runtime = eager_runtime()
    runtime.recorder = recorder
    function = runtime.tiered(build(text))
    look_soon()
    function(*arguments)
    explanation = explain(function)
    assert explanation.replaced == 1
    assert explanation.trip_counts
    assert "replaced in mid-loop: 1 from CPython" in str(explanation)
    assert [record.task_type for record in recorder] == ["jit.osr"]


def test_a_function_that_is_not_taken_runs_on() -> None:
    text = "def f(n):\n    s = {}\n    for i in range(n):\n        s[i] = i\n    return len(s)"
    function = eager_runtime().tiered(build(text))
    look_soon()
    assert function(50) == 50
    assert "line 2" in explain(function).why_not_higher


def test_a_parameter_of_another_type_by_now_is_not_held_against_the_function() -> None:
    text = "def f(n):\n    s = 0\n    for i in range(n):\n        s += i\n        n = 1.5\n    return s, n"
    function = eager_runtime().tiered(build(text))
    look_soon()
    assert function(5) == (10, 1.5)
    assert tiers_of(function).blocked is None
    assert function(5) == (10, 1.5)
    assert explain(function).tier == 1


def test_moving_can_be_switched_off() -> None:
    text, arguments = PROGRAMS["nested"]
    config = JitRuntimeConfig(patience=0.0, on_stack_replacement=False, baseline_threshold=10**6)
    function = JitRuntime(config, backend=StubBackend()).tiered(build(text))
    look_soon()
    assert outcome(function, arguments) == outcome(build(text), arguments)
    assert explain(function).replaced == 0


def test_an_exception_behind_a_move_shows_the_users_line() -> None:
    text, arguments = PROGRAMS["raises"]
    function = eager_runtime().tiered(build(text))
    look_soon()
    with pytest.raises(IndexError) as caught:
        function(*copy.deepcopy(arguments))
    assert tiers_of(function).replacement.entries == 1
    users = [entry.lineno + 1 for entry in caught.traceback if "kernel source" in str(entry.path)]
    assert users == [4]


def test_interrupting_a_move_leaves_a_working_function() -> None:
    text, arguments = PROGRAMS["nested"]

    class Interrupted(StubBackend):
        def compile(self, *given: Any) -> Any:
            if not self.made:
                self.made.append(None)  # type: ignore[arg-type]
                raise KeyboardInterrupt
            return super().compile(*given)

    function = eager_runtime(Interrupted()).tiered(build(text))
    look_soon()
    with pytest.raises(KeyboardInterrupt):
        function(*arguments)
    assert outcome(function, arguments) == outcome(build(text), arguments)
    assert explain(function).tier == 1


@pytest.mark.parametrize("name", PROGRAMS)
def test_calls_are_moved_into_machine_code(name: str) -> None:
    text, arguments = PROGRAMS[name]
    assert moved_everywhere(text, arguments, lambda: NativeBackend(JitRuntimeConfig())) >= 2


@pytest.mark.parametrize("tier", [1, 2])
def test_a_call_goes_on_in_a_higher_tier_in_mid_loop(tier: int) -> None:
    text = """
    def f(n):
        s = 0
        for i in range(n):
            for j in range(1000):
                s = (s * 5 + i - j) % 1000003
        return s
    """
    config = JitRuntimeConfig(
        baseline_threshold=2, optimising_threshold=2 if tier == 2 else 10**9, max_opt_threshold=10**9, least_work=0.0,
        patience=1e9, background=False, sampling=False, max_tier=tier + 1,
    )  # fmt: skip
    runtime = JitRuntime(config)
    runtime.backend.load()
    function, plain = runtime.tiered(build(text)), build(text)
    for n in range(4):
        assert function(n) == plain(n)
    state = tiers_of(function)
    (version,) = state.versions
    if tier == 2:
        state.consider(version)
    assert version.tier == tier
    # The poll comes every 2 ms, and the first one orders what the second one enters: the loop has to run so long.
    n = 20_000
    for _ in range(4):
        version.tiers[tier].code.request_upgrade()
        got = function(n)
        if state.replacement.upgrades:
            break
        n *= 4
    assert state.replacement.upgrades
    # CPython would take too long: code of the lowest tier that runs from beginning to end, by the other back end.
    kernel = lower(build(text), [type_of(n)])
    assert got == compile_kernel(kernel, 1, options=Options(engine="llvm")).code(n)
