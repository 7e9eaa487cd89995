"""The text of one LLVM function: its frame, its exits and its ways to return.

In: a `lir.Function`, then the lines of its blocks from `llvm_operations`. Out: the function's lines.

Variables are stack slots at the function's entry (SROA makes registers of them); temporaries are SSA values. Exits are
cold blocks at the end, and all leave through one shared call. Blocks: `b` of the LIR, `x` exits, `s` what exits store,
`y` polls, `n` what follows a call that did not return normally, `k` where a block goes on behind a check.
"""

from __future__ import annotations

import struct
from typing import Protocol

from lean_agentic.jit_runtime.lir import Block, Exit, Function, Operand, Temporary, Variable
from lean_agentic.jit_runtime.llvm_exits import NUMBER, ExitTree
from lean_agentic.jit_runtime.runtime_functions import RUNTIME_FUNCTIONS

SLOT_BYTES = 8
STACK_LIMIT_OFFSET = 8
TABLE_OFFSET = 16
CONTEXT = "ptr noalias nonnull align 8 dereferenceable(24)"
LLVM_TYPES = {"i": "i64", "f": "double", "p": "ptr", "b": "i1"}
LIKELY = ", !prof !0"
_TABLE_INDEX = {name: index for index, name in enumerate(RUNTIME_FUNCTIONS)}
_DOUBLE = struct.Struct("<d")
_BITS = struct.Struct("<Q")


class Module(Protocol):
    """What a function needs of the module that it is in."""

    functions: dict[str, Function]
    symbols: dict[str, str]
    entry: str
    flags: str
    declarations: set[str]

    def loop(self, width: int) -> str:
        """A suffix for the branches back to a loop's head."""


def result_type(results: str) -> str:
    """LLVM type that a procedure returns: its status and its results."""
    return f"{{ {', '.join(['i32', *(LLVM_TYPES[each] for each in results)])} }}"


def text_of(value: Operand) -> str:
    """An operand without its type."""
    if isinstance(value, Temporary):
        return f"%t{value[0]}"
    if value is None:
        return "null"
    if isinstance(value, float):
        return f"0x{_BITS.unpack(_DOUBLE.pack(value))[0]:016X}"
    return str(int(value))


def type_of(value: Operand | Variable) -> str:
    """LLVM type of an operand or a variable."""
    if isinstance(value, (Temporary, Variable)):
        return LLVM_TYPES[value[1]]
    if value is None:
        return "ptr"
    return "double" if isinstance(value, float) else "i64"


class FunctionText:
    """A function under construction. Operations append to `lines`: warm or cold blocks of the LIR, or others."""

    def __init__(self, module: Module, function: Function, is_entry: bool) -> None:
        self.module = module
        self.function = function
        self.is_entry = is_entry
        self.lines: list[str] = []
        self.scratch: list[str] = []
        self.polls = False
        self.raises = function.recursive
        self.answer_slots = 0 if is_entry else max(1, len(function.results))
        self._warm = self.lines
        self._cold: list[str] = []
        self._outside: list[str] = []
        self._state_slots = int(function.recursive)
        self._names = 0
        self._exits = ExitTree()
        self._labels: dict[int, str] = {}
        self._done: list[str] = []
        self._begun: set[int] = set()
        self._loops: dict[int, str] = {}

    def begin(self, block: Block) -> None:
        """Go on with a block of the LIR."""
        self.lines = self._cold if block.cold else self._warm
        self._begun.add(block.label)
        self.lines.append(f"b{block.label}:")

    def finish(self) -> list[str]:
        """All lines of the function."""
        self.lines = self._outside
        if self.function.recursive:
            self._too_deep()
        if self._labels:
            self._leave()
        if self._done:
            self._return_status()
        if self.raises:
            self.lines.append("raised:")
            self.give("1", ["poison"] * len(self.function.results))
        return [self._head(), *self._prologue(), *self._warm, *self._cold, *self._outside, "}"]

    def name(self, prefix: str) -> str:
        """A fresh name for a value or a block."""
        self._names += 1
        return f"{prefix}.{self._names}"

    def back_edge(self, label: int) -> str:
        """Suffix of a branch to a block: the wishes for the loop if it is the loop's head."""
        width = self.function.vector_width.get(label)
        if width is None or label not in self._begun:
            return ""
        if label not in self._loops:
            self._loops[label] = self.module.loop(width)
        return self._loops[label]

    def give(self, status: str, values: list[str]) -> None:
        """Return; the values of an entry are already where they belong."""
        if self.is_entry:
            self.lines.append(f" ret i32 {status}")
            return
        kind = result_type(self.function.results)
        whole = "poison"
        types = ["i32", *(LLVM_TYPES[each] for each in self.function.results)]
        for k, (machine, value) in enumerate(zip(types, [status, *values], strict=True)):
            name = self.name("%r")
            self.lines.append(f" {name} = insertvalue {kind} {whole}, {machine} {value}, {k}")
            whole = name
        self.lines.append(f" ret {kind} {whole}")

    def store_slot(self, base: str, index: int, value: str) -> None:
        """Store a typed value into a buffer."""
        place = base
        if index:
            place = self.name("%s")
            self.lines.append(f" {place} = getelementptr i8, ptr {base}, i64 {SLOT_BYTES * index}")
        self.lines.append(f" store {value}, ptr {place}")

    def load_slot(self, target: str, base: str, index: int, machine: str) -> None:
        """Load a value of a machine type's letter from a buffer."""
        self.lines.append(f" {target}.at = getelementptr i8, ptr {base}, i64 {SLOT_BYTES * index}")
        self.lines.append(f" {target} = load {LLVM_TYPES[machine]}, ptr {target}.at")

    def runtime(self, name: str, result: str, arguments: str, attributes: str = " #0") -> str:
        """Call a runtime function; the name of its result."""
        target = self.name("%c")
        self.lines += [
            f" {target}.t = getelementptr i8, ptr %ctx, i64 {TABLE_OFFSET}",
            f" {target}.u = load ptr, ptr {target}.t, !invariant.load !1",
            f" {target}.v = getelementptr i8, ptr {target}.u, i64 {SLOT_BYTES * _TABLE_INDEX[name]}",
            f" {target}.f = load ptr, ptr {target}.v, !invariant.load !1",
            f" {target} = call {result} {target}.f({arguments}){attributes}",
        ]
        return target

    # -- exits ---------------------------------------------------------------------------------------------------------

    def step_outside(self) -> list[str]:
        """Switch to the blocks outside of the LIR's; what to assign to `lines` afterwards."""
        before, self.lines = self.lines, self._outside
        return before

    def exit_label(self, leave: Exit) -> str:
        """The cold block that leaves by an exit; several checks share it."""
        label = self._labels.get(id(leave))
        if label is None:
            label = self._labels[id(leave)] = self.name(f"x{leave.number}")
            self._exits.add(leave, label)
        return label

    def store_states(self, leave: Exit) -> None:
        """Store an exit's values into the buffer for them."""
        self._state_slots = max(self._state_slots, len(leave.values), 1)
        for slot, value in enumerate(leave.values):
            self.store_state(value, slot)

    def store_state(self, value: Operand | Variable, slot: int) -> None:
        """Store one of an exit's values."""
        machine = type_of(value)
        if isinstance(value, Variable):
            text = self.name("%s")
            self.lines.append(f" {text} = load {machine}, ptr %v{value[0]}")
        else:
            text = text_of(value)
        if machine == "i1":
            wide, machine = self.name("%s"), "i64"
            self.lines.append(f" {wide} = zext i1 {text} to i64")
            text = wide
        self.store_slot("%state", slot, f"{machine} {text}")

    def exit_call(self, number: str, out: str, attributes: str = " #2") -> str:
        """Call the runtime's exit with the stored state; the name of its status, an i32."""
        return self.runtime("exit", "i32", f"ptr %ctx, i64 {number}, ptr %state, ptr {out}", attributes)

    def answer(self) -> str:
        """Where an exit puts the procedure's results."""
        return "%out" if self.is_entry else "%answer"

    def done_with(self, status: str, label: str) -> str:
        """The block that returns a status, with the results that an exit gave, for a branch from this block."""
        self._done.append(f"[ {status}, %{label} ]")
        return "done"

    # -- the frame -----------------------------------------------------------------------------------------------------

    def _head(self) -> str:
        if self.is_entry:
            return f"define i32 @{self.module.entry}({CONTEXT} %ctx, ptr %in, ptr %out) #0 {{"
        parameters = [f"{LLVM_TYPES[each.machine]} %a{k}" for k, each in enumerate(self.function.parameters)]
        symbol = self.module.symbols[self.function.name]
        kind = result_type(self.function.results)
        return f"define internal fastcc {kind} @{symbol}({', '.join([f'{CONTEXT} %ctx', *parameters])}) #0 {{"

    def _prologue(self) -> list[str]:
        self.lines = ["start:"]
        self.lines += [f" %v{each.number} = alloca {LLVM_TYPES[each.machine]}" for each in self.function.variables]
        self.lines += self.scratch
        for buffer, count in (("state", self._state_slots), ("answer", self.answer_slots)):
            if count:
                self.lines.append(f" %{buffer} = alloca [{count} x i64]")
        if self._labels:
            self.lines.append(f" {NUMBER} = alloca i64")
        if self.polls:
            self.lines.append(" %poll = load ptr, ptr %ctx, !invariant.load !1")
        for k, each in enumerate(self.function.parameters):
            if self.is_entry:
                self.load_slot(f"%a{k}", "%in", k, each.machine)
            self.lines.append(f" store {LLVM_TYPES[each.machine]} %a{k}, ptr %v{each.number}")
        self._begin_body(f"b{self.function.blocks[0].label}")
        return self.lines

    def _begin_body(self, first: str) -> None:
        if not self.function.recursive:
            self.lines.append(f" br label %{first}")
            return
        self.lines += [
            f" %limit.at = getelementptr i8, ptr %ctx, i64 {STACK_LIMIT_OFFSET}",
            " %limit = load ptr, ptr %limit.at, !invariant.load !1",
            " %deep = icmp uge ptr %state, %limit",
            f" br i1 %deep, label %{first}, label %too_deep{LIKELY}",
        ]

    def _too_deep(self) -> None:
        self.lines.append("too_deep:")
        self.runtime("recursion_error", "i32", "ptr %ctx", " #2")
        self.lines.append(" br label %raised")

    def _leave(self) -> None:
        """The blocks of the exits, and the call that they share."""
        self._state_slots = max(self._state_slots, self._exits.slots, 1)
        self._exits.write(self, "leave")
        self.lines += ["leave:", f" {NUMBER}.v = load i64, ptr {NUMBER}"]
        status = self.exit_call(f"{NUMBER}.v", self.answer())
        self.lines.append(f" br label %{self.done_with(status, 'leave')}")

    def _return_status(self) -> None:
        """Return with the status of an exit and the results that it gave."""
        self.lines += ["done:", f" %status = phi i32 {', '.join(self._done)}"]
        values = [f"%d{k}" for k in range(len(self.function.results))]
        if not self.is_entry:
            for k, letter in enumerate(self.function.results):
                self.load_slot(values[k], "%answer", k, letter)
        self.give("%status", values)
