"""Small pieces of machine code for the tests of the boundary, written as LLVM text.

In: the body of `int32_t entry(Context *ctx, const Slot *in, Slot *out)`. Out: its address. `Recorder` is a handler that
notes what it is asked and answers from functions given to it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import llvmlite.binding as llvm

from lean_agentic.jit_runtime import _native
from lean_agentic.jit_runtime.layout import Descriptor
from lean_agentic.jit_runtime.runtime_functions import RUNTIME_FUNCTIONS

INT, FLOAT, BOOL, NONE, COMPLEX = ("int",), ("float",), ("bool",), ("none",), ("complex",)
PENDING, NEVER = ("pending",), ("never",)
RETURNED, RAISED, PENDING_STATUS, GOES_ON = range(4)
_engines: list[Any] = []
_LLVM = {"i": "i64", "f": "double", "p": "ptr", "c": "ptr"}


def list_of(child: Descriptor, written: bool = True) -> Descriptor:
    """Descriptor of a list."""
    return ("list", child, written)


@cache
def machine(body: str) -> int:
    """Address of the entry with this body."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    text = f"define i32 @entry(ptr %ctx, ptr %in, ptr %out) {{\nbegin:\n{body}\n}}"
    module = llvm.parse_assembly("declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)\n" + text)
    module.verify()
    engine = llvm.create_mcjit_compiler(module, llvm.Target.from_default_triple().create_target_machine(opt=1))
    engine.finalize_object()
    _engines.append(engine)
    return int(engine.get_function_address("entry"))


def identity(slots: int) -> int:
    """Returns its arguments."""
    copy = f"call void @llvm.memcpy.p0.p0.i64(ptr %out, ptr %in, i64 {8 * slots}, i1 false)"
    return machine(f"{copy}\nret i32 0")


def call(target: str, name: str, *arguments: str) -> str:
    """Text that calls a runtime function; arguments are operands of its machine types, the context left out."""
    signature = RUNTIME_FUNCTIONS[name]
    operands = (["%ctx"] if signature.arguments[0] == "c" else []) + list(arguments)
    typed = ", ".join(f"{_LLVM[letter]} {each}" for letter, each in zip(signature.arguments, operands, strict=True))
    return f"""
    %{target}.a = getelementptr i8, ptr %ctx, i64 16
    %{target}.t = load ptr, ptr %{target}.a
    %{target}.p = getelementptr ptr, ptr %{target}.t, i64 {list(RUNTIME_FUNCTIONS).index(name)}
    %{target}.f = load ptr, ptr %{target}.p
    %{target} = call {_LLVM[signature.result]} %{target}.f({typed})
    """


def take(target: str, number: int, state: str = "%in", out: str = "%out") -> str:
    """Text that takes an exit; `%target` is its status as i32."""
    return call(f"{target}.w", "exit", str(number), state, out) + f"%{target} = trunc i64 %{target}.w to i32\n"


def slot(target: str, index: int, letter: str, base: str = "%in") -> str:
    """Text that loads a slot."""
    return f"""
    %{target}.s = getelementptr i64, ptr {base}, i64 {index}
    %{target} = load {_LLVM[letter]}, ptr %{target}.s
    """


def put(value: str, index: int, letter: str, base: str = "%out") -> str:
    """Text that stores a slot; use each value and index once."""
    name = f"put.{value.strip('%')}.{index}"
    return f"""
    %{name} = getelementptr i64, ptr {base}, i64 {index}
    store {_LLVM[letter]} {value}, ptr %{name}
    """


def data_of(target: str, pointer: str) -> str:
    """Text that loads the address of a native list's elements."""
    return f"""
    %{target}.d = getelementptr i8, ptr {pointer}, i64 8
    %{target} = load ptr, ptr %{target}.d
    """


class Recorder:
    """A handler that notes calls; `answers` by exit number, each called with the state."""

    def __init__(self, *answers: Callable[[tuple[Any, ...]], Any]) -> None:
        self.answers = answers
        self.exits: list[tuple[int, tuple[Any, ...]]] = []
        self.mismatches: list[tuple[Any, ...]] = []
        self.reviews = 0
        self.stales: list[tuple[Any, ...]] = []

    def mismatch(self, arguments: tuple[Any, ...]) -> Any:
        self.mismatches.append(arguments)
        return "mismatch"

    def costly(self) -> None:
        self.reviews += 1

    def stale(self, arguments: tuple[Any, ...]) -> Any:
        self.stales.append(arguments)
        return "stale"

    def on_exit(self, number: int, state: tuple[Any, ...]) -> Any:
        self.exits.append((number, state))
        return self.answers[number](state)


def code(
    address: int,
    parameters: Sequence[Descriptor],
    result: Descriptor,
    exits: Sequence[Any] = (),
    handler: Any = None,
    guards: Sequence[Any] = (),
    lists: Sequence[Descriptor] = (),
) -> _native.Code:
    """A Code with defaults for what a test does not care about."""
    return _native.Code(address, parameters, result, exits, handler or Recorder(), guards, "f", None, lists)
