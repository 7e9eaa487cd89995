"""Random LIR programs: the direct back end does what Python does, exits and their states included."""

from __future__ import annotations

import ctypes
import os
import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lean_agentic.jit_runtime import x86_backend
from tests.jit_runtime.lir_programs import (
    BUFFER_SLOTS,
    RUNTIME,
    Expected,
    Program,
    answer,
    letter_of,
    status_of,
)
from tests.jit_runtime.test_llvm_operations import Mapped, Runtime, from_slots, same

pytestmark = pytest.mark.skipif(not x86_backend.available(), reason="needs x86-64 with AVX and BMI2")
EXAMPLES = int(os.environ.get("LIR_EXAMPLES", "150"))


class Machine:
    """A program's machine code, and what it does."""

    def __init__(self, program: Program) -> None:
        self.program = program
        code, entry = x86_backend.compile_unit(program.unit)
        self.code = code
        self.mapped = Mapped(code)
        self.address = self.mapped.address + entry
        self.results_of_exits = {
            leave.number: "".join(each.machine for each in targets)
            for function in program.unit.functions for block in function.blocks
            for operation, targets, *rest in block.instructions if operation == "ask" for leave in rest
        }  # fmt: skip
        for function in program.unit.functions:
            for block in function.blocks:
                for instruction in block.instructions:
                    if instruction[0] != "ask":
                        for leave in instruction[1:]:
                            if type(leave).__name__ == "Exit":
                                self.results_of_exits[leave.number] = function.results
                    elif instruction[2].behind is not None:
                        self.results_of_exits[instruction[2].behind.number] = function.results

    def run(self, arguments: list[Any], memory: bytes) -> tuple[Any, ...]:
        """Status, results, exits taken, memory."""
        taken: list[tuple[int, list[Any]]] = []
        counts: dict[int, int] = {}

        def on_exit(number: int, state: int) -> tuple[int, Sequence[Any]]:
            leave = self.program.exits[number]
            letters = "".join(map(letter_of, leave.values))
            taken.append((number, from_slots(ctypes.string_at(state, 8 * len(letters)), letters)))
            times = counts.get(number, 0)
            counts[number] = times + 1
            return status_of(leave, times), answer(number, self.results_of_exits[number])

        runtime = Runtime(on_exit, **RUNTIME)
        runtime.poll_word.value = 1
        buffer = ctypes.create_string_buffer(memory, len(memory))
        given = [ctypes.addressof(buffer) if isinstance(each, tuple) else each for each in arguments]
        status, results = runtime.call(self.address, given, self.program.entry.function.results)
        return status, results, taken, buffer.raw


def alike(found: Any, expected: Any) -> bool:
    if isinstance(expected, list | tuple):
        return len(found) == len(expected) and all(map(alike, found, expected))
    return same(found, expected) if isinstance(expected, float) else bool(found == expected)


def check(seed: int) -> None:
    source = random.Random(seed)
    program = Program(source)
    machine = Machine(program)
    for _ in range(3):
        arguments = program.arguments()
        memory = source.randbytes(8 * BUFFER_SLOTS)
        world = Expected(program, bytearray(memory))
        status, results = world.run("entry", arguments)
        found = machine.run(arguments, memory)
        assert alike(found[2], world.taken)
        assert found[0] == status
        assert found[3] == bytes(world.buffer)
        if status == 0:
            assert alike(found[1], results)


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.integers(0, 2**32))
def test_programs(seed: int) -> None:
    check(seed)
