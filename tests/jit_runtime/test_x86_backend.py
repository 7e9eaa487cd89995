"""The direct back end: every operation as through LLVM, and what only a register allocator can get wrong."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from lean_agentic.jit_runtime import x86_backend
from lean_agentic.jit_runtime.lir import Exit, Mode, Unit
from lean_agentic.jit_runtime.x86_unit import UnitCode
from tests.jit_runtime import test_llvm_operations as operations
from tests.jit_runtime.test_llvm_operations import (
    INTS,
    RETURNED,
    Mapped,
    Runtime,
    begun,
    call,
    fibonacci,
    from_slots,
    leave,
    signed,
    straight,
    unit_of,
)

pytestmark = pytest.mark.skipif(not x86_backend.available(), reason="needs x86-64 with AVX and BMI2")
# The tests of the operations ask for the fixture `compiled`, which in this module is the direct back end.
globals().update({name: each for name, each in vars(operations).items() if name.startswith("test_")})


class Direct:
    """A unit's code."""

    def __init__(self, unit: Unit) -> None:
        code, entry = x86_backend.compile_unit(unit)
        self.code = code
        self.memory = Mapped(code)
        self.address = self.memory.address + entry
        self.results = unit.functions[0].results

    def __call__(self, *arguments: Any, runtime: Runtime | None = None) -> tuple[int, list[Any]]:
        return (runtime or Runtime()).call(self.address, arguments, self.results)

    def value(self, *arguments: Any, runtime: Runtime | None = None) -> list[Any]:
        status, values = self(*arguments, runtime=runtime)
        assert status == RETURNED
        return values


@pytest.fixture
def compiled() -> Callable[[Unit], Direct]:
    return Direct


def test_code_needs_nothing_outside() -> None:
    """The same bytes work at another address."""
    first, second = Direct(fibonacci()), Direct(fibonacci())
    assert first.code == second.code
    assert first.value(20) == second.value(20) == [6765]


@pytest.mark.parametrize("letter", "if")
def test_more_values_than_registers(letter: str) -> None:
    add = {"i": "add", "f": "fadd"}[letter]
    count = 40

    def emit(e: Any, *values: Any) -> Sequence[Any]:
        sums = [e.op(add, letter, values[k], values[(k + 7) % count]) for k in range(count)]
        return [e.op(add, letter, each, each) for each in sums]

    kind = {"i": int, "f": float}[letter]
    values = [kind(3 * k + 1) for k in range(count)]
    expected = [2 * (values[k] + values[(k + 7) % count]) for k in range(count)]
    assert Direct(straight(letter * count, letter * count, emit)).value(*values) == expected


@pytest.mark.parametrize("letters", ["i" * 30, "f" * 30, "if" * 15])
def test_more_variables_than_registers_in_a_loop(letters: str) -> None:
    """Each pass moves all variables by one place: many are live at once, and all change."""
    e, variables = begun("turn", "i" + letters, letters)
    counter, turning = variables[0], variables[1:]
    head, body, end = e.new_block(), e.new_block(), e.new_block()
    e.branch(head)
    e.depth = 1
    e.begin(head)
    e.choose(e.op("icmp", "b", e.get(counter), 0, "sgt"), body, end)
    e.begin(body)
    e.set(counter, e.op("sub", "i", e.get(counter), 1))
    for letter in "if":
        ring = [each for each in turning if each.machine == letter]
        values = [e.get(each) for each in ring]
        for variable, value in zip(ring, values[1:] + values[:1], strict=True):
            e.set(variable, value)
    e.branch(head)
    e.begin(end)
    e.do("ret", tuple(map(e.get, turning)))
    start = [k if letter == "i" else k + 0.5 for k, letter in enumerate(letters)]
    found = Direct(unit_of(e)).value(7, *start)
    for kind in (int, float):
        ring = [each for each in start if type(each) is kind]
        assert [each for each in found if type(each) is kind] == ring[7:] + ring[:7]


def test_an_addition_in_place_is_undone_for_its_exit() -> None:
    """total += step, where the exit carries the old total; also total += total, and total = step - total."""
    for kind in ("sum", "twice", "reverse"):
        e, (start, step) = begun(kind, "ii", "i")
        total = e.variable("i", "total")
        e.set(total, e.get(start))
        loop, end = e.new_block(), e.new_block()
        e.branch(loop)
        e.depth = 1
        e.begin(loop)
        old, by = e.get(total), e.get(step)
        operands = {"sum": ("addo", old, by), "twice": ("addo", old, old), "reverse": ("subo", by, old)}[kind]
        e.set(total, e.op(operands[0], "i", *operands[1:], leave(5, total, step, old)))
        e.choose(e.op("icmp", "b", e.get(total), 100, "slt"), loop, end)
        e.begin(end)
        e.do("ret", (e.get(total),))
        run = Direct(unit_of(e))
        seen: list[Any] = []

        def on_exit(number: int, state: int, seen: list[Any] = seen) -> tuple[int, list[Any]]:
            seen.append(from_slots(ctypes.string_at(state, 24), "iii"))
            return RETURNED, [0]

        exact = {"sum": lambda a, b: a + b, "twice": lambda a, b: a + a, "reverse": lambda a, b: b - a}[kind]
        for a in INTS:
            for b in INTS:
                before = a
                seen.clear()
                after = exact(before, b)
                if signed(after) != after:
                    run.value(a, b, runtime=Runtime(on_exit))
                    assert seen == [[before, b, before]]
                elif after >= 100:
                    assert run.value(a, b) == [after]


def test_values_survive_calls_and_runtime_functions() -> None:
    """Live across a call: arguments, temporaries, variables of both kinds, before and after changes."""
    callee, (x, y) = begun("callee", "if", "fi")
    callee.do("ret", (callee.op("fadd", "f", callee.get(y), 1.0), callee.op("add", "i", callee.get(x), 1)))
    letters = "ifififififififif"
    e, variables = begun("caller", letters, letters + "if")
    values = [e.get(each) for each in variables]
    one, other = call(e, "callee", "fi", [values[0], values[1]], leave(0))
    for variable in variables[:4]:
        old = e.get(variable)
        e.set(variable, e.op("add", "i", old, 1) if variable.machine == "i" else e.op("fneg", "f", old))
    power = e.runtime("math_pow", "f", one, e.get(variables[3]))
    kept = [e.op("add", "i", each, other) if each.machine == "i" else e.op("fadd", "f", each, power) for each in values]
    e.do("ret", (*kept, other, power))
    start: list[Any] = [k if letter == "i" else k + 0.5 for k, letter in enumerate(letters)]
    found = Direct(unit_of(e, callee)).value(*start, runtime=Runtime(math_pow=lambda a, b: a - b))
    power_found = start[1] + 1.0 + start[3]
    assert found == [*(v + (1 if type(v) is int else power_found) for v in start), 1, power_found]


def test_a_poll_keeps_every_register() -> None:
    letters = "i" * 12 + "f" * 12
    e, variables = begun("polled", letters, letters)
    loop, end = e.new_block(), e.new_block()
    e.branch(loop)
    e.depth = 1
    e.begin(loop)
    e.do("poll", Exit(0, Mode.POLL, tuple(variables)), 1)
    for variable in variables:
        one, add = (1, "add") if variable.machine == "i" else (1.0, "fadd")
        e.set(variable, e.op(add, variable.machine, e.get(variable), one))
    e.choose(e.op("icmp", "b", e.get(variables[0]), 5, "slt"), loop, end)
    e.begin(end)
    e.do("ret", tuple(map(e.get, variables)))
    states: list[Any] = []

    def on_exit(number: int, state: int) -> tuple[int, list[Any]]:
        states.append(from_slots(ctypes.string_at(state, 8 * len(letters)), letters))
        return operations.GO_ON, []

    runtime = Runtime(on_exit)
    runtime.poll_word.value = 1
    start = [3 + k if letter == "i" else k + 0.5 for k, letter in enumerate(letters)]
    assert Direct(unit_of(e)).value(*start, runtime=runtime) == [each + 2 for each in start]
    assert states == [start, [each + 1 for each in start]]


def test_constants_are_shared() -> None:
    unit = UnitCode([])
    assert [unit.pool_place(each) for each in (5, 7, 5)] == [0, 1, 0]


def test_a_temporary_nobody_assigns() -> None:
    e, _ = begun("wrong", "", "i")
    e.do("ret", (e.temporary("i"),))
    with pytest.raises(ValueError, match="never assigned"):
        x86_backend.compile_unit(unit_of(e))


def test_availability(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    information = tmp_path / "cpuinfo"
    information.write_text("processor : 0\nflags\t\t: fpu avx bmi1 bmi2\n\nprocessor : 1\nflags : none\n")
    assert x86_backend._features_of_linux(information) == {"fpu", "avx", "bmi1", "bmi2"}
    assert x86_backend._features_of_linux(tmp_path / "missing") == set()
    monkeypatch.setattr(x86_backend.platform, "machine", lambda: "aarch64")
    assert not x86_backend.available.__wrapped__()
