"""The text of modules: what stands in it and what does not. Its meaning is tested in `test_llvm_operations`."""

from __future__ import annotations

import math
import re

import llvmlite.binding as llvm
import pytest

from lean_agentic.jit_runtime.emitter import Emitter
from lean_agentic.jit_runtime.lir import Block, Exit, Function, Mode, Unit
from lean_agentic.jit_runtime.llvm_text import EngineOptions, entry_name, unit_text


def begun(name: str, parameters: str, results: str, recursive: bool = False) -> Emitter:
    e = Emitter(Function(name, [], results, recursive=recursive))
    e.function.parameters += [e.variable(letter) for letter in parameters]
    return e


def verified(unit: Unit, options: EngineOptions | None = None) -> str:
    text = unit_text(unit, options)
    llvm.parse_assembly(text).verify()
    return text


def loop(vector_width: int | None = None) -> Unit:
    """Sum of squares as floats."""
    e = begun("squares", "i", "f")
    n, i, total = e.function.parameters[0], e.variable("i"), e.variable("f")
    e.set(i, 0)
    e.set(total, 0.0)
    head, body, out = e.new_block(), e.new_block(), e.new_block()
    e.branch(head)
    e.begin(head)
    e.do("poll", Exit(0, Mode.POLL, (n, i, total)), 1)
    e.choose(e.op("icmp", "b", e.get(i), e.get(n), "slt"), body, out)
    e.begin(body)
    x = e.op("itof", "f", e.get(i))
    e.set(total, e.op("fadd", "f", e.get(total), e.op("fmul", "f", x, x)))
    e.set(i, e.op("addo", "i", e.get(i), 1, Exit(1, Mode.LEAVE, (n, i, total))))
    e.branch(head)
    e.begin(out)
    e.do("ret", (e.get(total),))
    if vector_width:
        e.function.vector_width[head.label] = vector_width
    return Unit([e.function], 2)


def test_a_module_defines_one_visible_function_and_refers_to_intrinsics_alone() -> None:
    text = verified(loop())
    assert re.findall(r"^define (.*?)@", text, re.M) == ["i32 "]
    assert all(name.startswith("llvm.") for name in re.findall(r"^declare .*@([\w.]+)\(", text, re.M))
    assert f"@{entry_name(loop())}(" in text


def test_equal_units_have_equal_text() -> None:
    assert unit_text(loop()) == unit_text(loop())


def test_names_that_llvm_does_not_know() -> None:
    unit = Unit([Function('outer.<locals>.λ "x"', [], "", blocks=[Block(1, instructions=[("ret", ())])])], 0)
    verified(unit)
    assert re.fullmatch(r"entry\.[\w.]+", entry_name(unit), re.ASCII)


def test_an_exit_has_one_block_however_many_checks_take_it() -> None:
    e = begun("checks", "i", "i")
    shared = Exit(7, Mode.LEAVE, (e.function.parameters[0],))
    for _ in range(5):
        e.guard(e.op("icmp", "b", e.get(e.function.parameters[0]), 3, "sgt"), shared)
    e.do("ret", (1,))
    text = verified(Unit([e.function], 8))
    assert len(re.findall(r"^x7\.\d+:", text, re.M)) == 1
    assert text.count("call i32") == 1


def test_cold_blocks_and_exits_follow_what_is_warm() -> None:
    e = begun("cold", "i", "i")
    cold, warm = e.new_block(cold=True), e.new_block()
    e.choose(e.op("icmp", "b", e.get(e.function.parameters[0]), 0, "eq"), cold, warm)
    e.begin(cold)
    e.guard(e.op("itob", "b", 1), Exit(0, Mode.LEAVE, ()))
    e.branch(warm)
    e.begin(warm)
    e.do("ret", (1,))
    labels = re.findall(r"^([bx]\d+)", verified(Unit([e.function], 1)), re.M)
    assert labels == [f"b{e.function.blocks[0].label}", f"b{warm.label}", f"b{cold.label}", "x0"]


def test_floats_are_written_exactly() -> None:
    for value, bits in ((0.1, "3FB999999999999A"), (-0.0, "8000000000000000"), (math.inf, "7FF0000000000000")):
        e = begun("constant", "", "f")
        e.do("ret", (value,))
        assert f"0x{bits}" in verified(Unit([e.function], 0))


def test_fast_math_is_only_where_it_was_asked_for() -> None:
    assert "reassoc" not in verified(loop())
    fast = verified(loop(), EngineOptions(fast_math=True))
    assert len(re.findall(r"= f(?:add|mul) reassoc", fast)) == 2
    # With these, a NaN could make a check undefined.
    assert not re.search(r"\b(nnan|ninf|fast)\b", fast)


def test_wished_vectorisation_stands_at_the_back_edge_alone() -> None:
    assert "llvm.loop" not in verified(loop())
    text = verified(loop(vector_width=4))
    assert [line for line in text.splitlines() if "!llvm.loop !" in line] == [" br label %b2, !llvm.loop !10"]
    assert '"llvm.loop.vectorize.width", i32 4' in text


def test_polls_read_the_word_each_time() -> None:
    assert "load volatile i32, ptr %poll" in verified(loop())


@pytest.mark.parametrize("recursive", [False, True])
def test_only_recursive_procedures_check_the_stack(recursive: bool) -> None:
    e = begun("f", "if", "if", recursive)
    e.do("ret", tuple(map(e.get, e.function.parameters)))
    text = verified(Unit([e.function], 0))
    assert ("%limit" in text) is recursive
    assert text.count("define") == 1 + recursive


def test_an_unknown_operation_is_named() -> None:
    with pytest.raises(KeyError, match="frobnicate"):
        unit_text(Unit([Function("f", [], "", blocks=[Block(1, instructions=[("frobnicate",)])])], 0))
