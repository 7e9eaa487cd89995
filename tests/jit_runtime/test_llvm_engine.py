"""Levels, options and the life of machine code. What the code computes is tested in `test_llvm_operations`."""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

from lean_agentic.jit_runtime import elf, object_code
from lean_agentic.jit_runtime.emitter import Emitter
from lean_agentic.jit_runtime.lir import Block, Function, Unit
from lean_agentic.jit_runtime.llvm_engine import LEVELS, EngineOptions, compile_unit, warm_up

ENTRY = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)


def plus(constant: int) -> Unit:
    e = Emitter(Function("plus", [], "i"))
    e.function.parameters.append(e.variable("i"))
    e.do("ret", (e.op("add", "i", e.get(e.function.parameters[0]), constant),))
    return Unit([e.function], 0)


def call(address: int, *arguments: int) -> int:
    given, out = (ctypes.c_int64 * (len(arguments) + 1))(*arguments), ctypes.c_int64()
    assert ENTRY(address)(0, ctypes.addressof(given), ctypes.addressof(out)) == 0
    return out.value


def counted(parameters: str, emit: Callable[[Emitter, list[object], object], None], results: str = "") -> Unit:
    """A loop over `range(n)`, n being the last parameter; the lists' data addresses are read again each time."""
    e = Emitter(Function("counted", [], results))
    e.function.parameters += [e.variable(letter) for letter in parameters]
    n, i = e.function.parameters[-1], e.variable("i")
    total = e.variable("f")
    e.set(total, 0.0)
    e.set(i, 0)
    head, body, out = e.new_block(), e.new_block(), e.new_block()
    e.branch(head)
    e.begin(head)
    e.choose(e.op("icmp", "b", e.get(i), e.get(n), "slt"), body, out)
    e.begin(body)
    k = e.get(i)
    places: list[object] = [
        e.op("advance", "p", e.op("load", "p", e.get(each), 8, "ptr"), k, 8) for each in e.function.parameters[:-1]
    ]
    emit(e, places, total)
    e.set(i, e.op("add", "i", k, 1))
    e.branch(head)
    e.begin(out)
    e.do("ret", (e.get(total),) if results else ())
    return Unit([e.function], 0)


def add_lists(e: Emitter, places: list[object], total: object) -> None:
    a, b, c = places
    e.do("store", c, 0, e.op("add", "i", e.op("load", "i", a, 0, "i64"), e.op("load", "i", b, 0, "i64")), "i64")


def dot(e: Emitter, places: list[object], total: object) -> None:
    a, b = (e.op("load", "f", each, 0, "f64") for each in places)
    e.do("set", total, e.op("fadd", "f", e.op("get", "f", total), e.op("fmul", "f", a, b)))


@pytest.mark.parametrize("level", LEVELS)
def test_a_machine_tells_how_it_was_made(level: int) -> None:
    machine = compile_unit(plus(5), level)
    assert call(machine.address, 10) == 15
    assert set(machine.timings) == {"text", "llvm", "parse", "passes", "codegen", "load"}
    assert "define i32 @entry.plus(" in machine.ir
    assert ("alloca" in machine.optimised_ir()) is (level == 1)
    assert "ret" in machine.assembly()
    assert repr(machine).startswith(f"Machine(level={level}, ")


def test_levels_that_do_not_exist() -> None:
    with pytest.raises(ValueError, match="expected level 1, 2 or 3, not 4"):
        compile_unit(plus(1), 4)


def test_a_unit_that_makes_no_sense_is_refused() -> None:
    unit = Unit([Function("f", [], "i", blocks=[Block(1, instructions=[("ret", (0.5,))])])], 0)
    with pytest.raises(RuntimeError, match="LLVM IR parsing error"):
        compile_unit(unit, 1)


@pytest.mark.parametrize("own_loader", [False, True])
def test_equal_names_do_not_meet(own_loader: bool) -> None:
    machines = [compile_unit(plus(k), 1, EngineOptions(own_loader=own_loader)) for k in range(20)]
    assert [call(each.address, 100) for each in machines] == list(range(100, 120))
    del machines[::2]
    assert [call(each.address, 100) for each in machines] == list(range(101, 120, 2))


def vectorised(assembly: str, instruction: str) -> bool:
    return re.search(rf"\b{instruction}\b", assembly) is not None


@pytest.mark.skipif(not object_code.loads_images(), reason="looks at x86-64 instructions")
def test_stores_of_numbers_do_not_hinder_vectorisation() -> None:
    unit = counted("pppi", add_lists)
    assert vectorised(compile_unit(unit, 3).assembly(), "v?paddq")
    assert not vectorised(compile_unit(unit, 3, EngineOptions(vectorize=False)).assembly(), "v?paddq")


@pytest.mark.skipif(not object_code.loads_images(), reason="looks at x86-64 instructions")
def test_float_sums_are_reassociated_only_on_request() -> None:
    unit = counted("ppi", dot, "f")
    packed = r"v?(fmadd\d+pd|mulpd)"
    strict, fast = (compile_unit(unit, 3, EngineOptions(fast_math=flag)).assembly() for flag in (False, True))
    # Products may be packed in either; sums only where their order may change.
    assert not vectorised(strict, r"v?(fmadd\d+pd|addpd)")
    assert vectorised(fast, packed)


@pytest.mark.parametrize("fast_math", [False, True])
def test_products_and_sums_are_rounded_one_by_one_unless_fast(fast_math: bool) -> None:
    e = Emitter(Function("mac", [], "f"))
    e.function.parameters += [e.variable("f") for _ in range(3)]
    x, y, z = map(e.get, e.function.parameters)
    e.do("ret", (e.op("fadd", "f", e.op("fmul", "f", x, y), z),))
    for level in LEVELS:
        given, out = (ctypes.c_double * 3)(1 + 2**-30, 1 - 2**-30, -1.0), ctypes.c_double()
        machine = compile_unit(Unit([e.function], 0), level, EngineOptions(fast_math=fast_math))
        ENTRY(machine.address)(0, ctypes.addressof(given), ctypes.addressof(out))
        assert out.value in ((0.0, -(2**-60)) if fast_math else (0.0,))


def test_code_has_no_outside_references() -> None:
    for level in LEVELS:
        blob = compile_unit(counted("ppi", dot, "f"), level, EngineOptions(own_loader=False)).object_code
        content = object_code.unpack(blob)
        assert not isinstance(content, object_code.Image)
        assert elf.link(*content).imports == ()


def test_threads_compile_at_once() -> None:
    found: dict[int, int] = {}

    def compile_one(k: int) -> None:
        machine = compile_unit(plus(k), 1 + k % 3)
        found[k] = call(machine.address, 1000)

    threads = [threading.Thread(target=compile_one, args=(k,)) for k in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {k: 1000 + k for k in range(12)}


def test_warming_up_is_enough_for_a_fresh_process_to_compile_and_end() -> None:
    program = """
import sys
from lean_agentic.jit_runtime import llvm_engine as engine, lir
assert "llvmlite.binding" not in sys.modules
engine.warm_up()
unit = lir.Unit([lir.Function("f", [], "", blocks=[lir.Block(0, instructions=[("ret", ())])])], 0)
kept = [engine.compile_unit(unit, 1, engine.EngineOptions(own_loader=own)) for own in (False, True)]
print("compiled")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "compiled\n", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="without fork")
def test_a_child_process_compiles_while_the_parent_does() -> None:
    program = """
import os, threading
from lean_agentic.jit_runtime import llvm_engine as engine, lir
unit = lir.Unit([lir.Function("f", [], "", blocks=[lir.Block(0, instructions=[("ret", ())])])], 0)
running = True
def compile_on():
    while running:
        engine.compile_unit(unit, 3)
thread = threading.Thread(target=compile_on)
thread.start()
for _ in range(20):
    child = os.fork()
    if child == 0:
        engine.compile_unit(unit, 1)
        os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
running = False
thread.join()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_warming_up_here() -> None:
    warm_up()
