"""Homes of variables: nobody shares one while both are needed, and the busiest get registers."""

from __future__ import annotations

import itertools
import random

import pytest

from lean_agentic.jit_runtime.lir import Function
from lean_agentic.jit_runtime.x86_allocation import CALLEE_SAVED, SLOT, Homes
from lean_agentic.jit_runtime.x86_analysis import analyse
from lean_agentic.jit_runtime.x86_encoder import XMM
from tests.jit_runtime.lir_programs import Program
from tests.jit_runtime.test_llvm_operations import begun, call, leave


def homes_of(function: Function) -> Homes:
    return Homes(analyse(function), 0)


@pytest.mark.parametrize("seed", range(40))
def test_no_two_live_variables_share_a_home(seed: int) -> None:
    for function in Program(random.Random(seed)).unit.functions:
        facts = analyse(function)
        homes = Homes(facts, 5 * SLOT)
        for block in facts.blocks:
            present = block.live_in | block.live_out
            live = [key for key, bit in facts.bits.items() if bit & present]
            places = [homes.registers.get(key, 1000 + homes.slots.get(key, 0)) for key in live]
            assert len(set(places)) == len(live)
            for key, place in zip(live, places, strict=True):
                assert (facts.machines[key] == "f") == (place >= XMM) or place >= 1000
        assert not set(homes.registers) & set(homes.slots)
        assert sorted(homes.slots.values()) == list(range(5 * SLOT, homes.end, SLOT))


def test_the_variables_of_the_inner_loop_get_the_registers() -> None:
    e, variables = begun("f", "i" * 30, "")
    loop, end = e.new_block(), e.new_block()
    for variable in variables:
        e.set(variable, e.op("add", "i", e.get(variable), 1))
    e.branch(loop)
    e.depth = 1
    e.begin(loop)
    busy = variables[20:25]
    for variable in busy:
        e.set(variable, e.op("add", "i", e.get(variable), 1))
    e.choose(e.op("icmp", "b", e.get(busy[0]), 9, "slt"), loop, end)
    e.begin(end)
    e.guard(0, leave(0, *variables))
    e.do("ret", ())
    homes = homes_of(e.function)
    assert {~each.number for each in busy} <= set(homes.registers)
    assert len(homes.slots) == len(variables) - len(homes.registers) > 0


def test_values_across_calls_are_in_registers_that_calls_keep() -> None:
    """Integers where that pays; doubles in the frame, as calls keep no register for them."""
    callee, _ = begun("callee", "", "")
    callee.do("ret", ())
    e, (a, x, b) = begun("f", "ifi", "")
    loop, end = e.new_block(), e.new_block()
    e.branch(loop)
    e.depth = 1
    e.begin(loop)
    call(e, "callee", "", [], leave(0))
    e.set(a, e.op("add", "i", e.get(a), 1))
    e.set(x, e.op("fadd", "f", e.get(x), 1.0))
    e.choose(e.op("icmp", "b", e.get(a), 9, "slt"), loop, end)
    e.begin(end)
    e.guard(0, leave(1, a, x, b))
    e.do("ret", ())
    homes = homes_of(e.function)
    assert homes.registers[~a.number] in CALLEE_SAVED
    assert ~x.number in homes.slots
    assert homes.saved == [each for each in CALLEE_SAVED if each in homes.registers.values()]


def test_variables_whose_lives_do_not_meet_share_a_register() -> None:
    e, _ = begun("f", "", "i")
    variables = [e.variable("i") for _ in range(20)]
    blocks = [e.new_block() for _ in range(40)]
    for k, variable in enumerate(variables):
        e.set(variable, k)
        e.branch(blocks[2 * k])
        e.begin(blocks[2 * k])
        e.guard(e.op("icmp", "b", e.get(variable), 3, "ne"), leave(k, variable))
        e.branch(blocks[2 * k + 1])
        e.begin(blocks[2 * k + 1])
    e.do("ret", (0,))
    homes = homes_of(e.function)
    assert len(homes.registers) == len(variables)
    assert not homes.slots
    pairs = itertools.pairwise(homes.registers[~each.number] for each in variables)
    assert all(a == b for a, b in pairs)
