"""Liveness against its definition by paths; last uses, wishes and what is left out, on small blocks."""

from __future__ import annotations

import random

import pytest

from lean_agentic.jit_runtime.emitter import Emitter
from lean_agentic.jit_runtime.lir import Block, Function, Variable
from lean_agentic.jit_runtime.x86_analysis import analyse
from lean_agentic.jit_runtime.x86_facts import ALWAYS, NOTHING
from tests.jit_runtime.test_llvm_operations import begun, leave


def random_flow(source: random.Random) -> Function:
    """Blocks that read (by an exit) and set some of five variables, and go anywhere."""
    variables = [Variable(k, "i", "") for k in range(5)]
    count = source.randint(1, 7)
    blocks = []
    for label in range(1, count + 1):
        block = Block(label)
        for _ in range(source.randint(0, 3)):
            variable = source.choice(variables)
            reads = ("guard", 1, leave(len(block.instructions), variable))
            block.instructions.append(source.choice([reads, ("set", variable, 7)]))
        there, elsewhere = source.randint(1, count), source.randint(1, count)
        block.instructions.append(source.choice([("br", there), ("cbr", 1, there, elsewhere), ("ret", ())]))
        blocks.append(block)
    return Function("flow", [], "", variables, blocks)


def reads_first(block: Block, variable: Variable) -> bool | None:
    """Whether a block reads a variable before it sets it; None if it does neither."""
    for operation, *rest in block.instructions:
        if operation == "guard" and variable in rest[1].values:
            return True
        if operation == "set" and rest[0] == variable:
            return False
    return None


def live_at(function: Function, label: int, variable: Variable) -> bool:
    """Whether some path from a block's entry reads the variable before it sets it."""
    blocks = {each.label: each for each in function.blocks}
    todo, seen = [label], set()
    while todo:
        here = todo.pop()
        if here in seen:
            continue
        seen.add(here)
        found = reads_first(blocks[here], variable)
        if found:
            return True
        if found is None:
            operation, *rest = blocks[here].instructions[-1]
            todo += {"br": rest, "cbr": rest[1:]}.get(operation, [])
    return False


@pytest.mark.parametrize("seed", range(150))
def test_liveness_is_what_paths_say(seed: int) -> None:
    function = random_flow(random.Random(seed))
    facts = analyse(function)
    for block in facts.blocks:
        for variable in function.variables:
            live = live_at(function, block.block.label, variable)
            assert bool(block.live_in >> variable.number & 1) == live
        followers = {"br": slice(1, 2), "cbr": slice(2, 4)}.get(block.instructions[-1][0], slice(0, 0))
        after = [each.live_in for each in facts.blocks if each.block.label in block.instructions[-1][followers]]
        assert all(block.live_out & each == each for each in after)


def test_what_is_not_used_is_left_out() -> None:
    e, (a, b) = begun("f", "ii", "i")
    used = e.op("add", "i", e.get(a), 1)
    unused = e.op("mul", "i", e.get(b), 3)
    e.op("sub", "i", unused, used)
    e.op("addo", "i", used, 1, leave(0))
    e.set(b, 5)
    e.set(b, 6)
    e.do("ret", (used,))
    (block,) = analyse(e.function).blocks
    names = [each[0] for each in block.instructions]
    # The first `set` is never read; the last one may be, for all that is known in the block.
    assert names == ["get", "add", "nothing", "nothing", "nothing", "addo", "nothing", "set", "ret"]
    assert NOTHING not in e.function.blocks[0].instructions


def test_last_uses_and_names() -> None:
    e, (a,) = begun("f", "i", "i")
    first = e.get(a)  # 0
    doubled = e.op("add", "i", first, first)  # 1
    e.set(a, doubled)  # 2
    again = e.get(a)  # 3
    e.guard(e.op("icmp", "b", again, 9, "slt"), leave(0, a))  # 4, 5
    e.do("ret", (e.op("xor", "i", again, 1),))  # 6, 7
    (block,) = analyse(e.function).blocks
    # A comparison is made where it is used, so its operand lives until then.
    assert (block.last[first.number], block.last[again.number], block.set_last[2]) == (1, 6, 6)
    assert block.last[~a.number] == 1
    assert block.hints == {doubled.number: ~a.number}


def test_a_wish_is_given_up_when_the_old_value_is_read_in_between() -> None:
    for spoil in (False, True):
        e, (a,) = begun("f", "i", "")
        value = e.op("add", "i", e.get(a), 1)
        e.guard(e.op("icmp", "b", value, 0, "ne"), leave(0, *([a] if spoil else [])))
        e.set(a, value)
        e.do("ret", ())
        (block,) = analyse(e.function).blocks
        assert block.hints == ({} if spoil else {value.number: ~a.number})


def test_temporaries_used_in_other_blocks() -> None:
    e, (a,) = begun("f", "i", "i")
    value, other = e.op("add", "i", e.get(a), 1), e.op("add", "i", e.get(a), 2)
    later = e.new_block()
    e.branch(later)
    e.begin(later)
    e.do("ret", (e.op("sub", "i", value, 3),))
    first, second = analyse(e.function).blocks
    assert first.crossing == [value.number]
    assert first.last[value.number] == ALWAYS
    assert other.number not in first.last
    assert first.live_out == second.live_in != 0


def test_a_definition_behind_its_use_in_the_text() -> None:
    """A block that comes later in the text may run, and define something, earlier."""
    e = Emitter(Function("f", [], "i"))
    early, late = e.new_block(), e.new_block()
    e.branch(late)
    made = e.temporary("i")
    e.begin(early)
    e.do("ret", (made,))
    e.begin(late)
    e.do("add", made, 20, 22)
    e.branch(early)
    facts = analyse(e.function)
    assert [each.crossing for each in facts.blocks] == [[], [], [made.number]]
    assert facts.blocks[2].instructions[0][0] == "add"
