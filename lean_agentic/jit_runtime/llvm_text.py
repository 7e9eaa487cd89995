"""LIR to LLVM IR, as text, since parsing text is ten times faster than building IR through bindings.

In: a `lir.Unit`. Out: the text of a module without external symbols, whose one visible function
`i32 entry(ptr context, ptr in, ptr out)` runs the unit's first function. Every other procedure returns a structure of
its status (0 returned, 1 raised, 2 pending) and its results; the first function, unless it is recursive, is the entry
itself and keeps its results where `out` points.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lean_agentic.jit_runtime.lir import Function, Unit
from lean_agentic.jit_runtime.llvm_function import CONTEXT, LLVM_TYPES, SLOT_BYTES, FunctionText, result_type
from lean_agentic.jit_runtime.llvm_operations import HANDLERS

_TRAILER = """
attributes #0 = { nounwind }
attributes #1 = { nounwind willreturn memory(none) }
attributes #2 = { nounwind cold }
!0 = !{!"branch_weights", i32 1048576, i32 1}
!1 = !{}
!2 = !{!"branch_weights", i32 1, i32 1048576}
!3 = !{!5, !5, i64 0}
!4 = !{!6, !6, i64 0}
!5 = !{!"address", !7, i64 0}
!6 = !{!"number", !7, i64 0}
!7 = !{!"memory"}
!8 = !{!9, !9, i64 0}
!9 = !{!"length", !7, i64 0}
"""
_FIRST_LOOP = 10


@dataclass(frozen=True)
class EngineOptions:
    """What the LLVM back end may do beyond the levels."""

    fast_math: bool = False
    """Reassociate and contract floating-point arithmetic. NaN and infinities stay exact, as checks rely on them."""
    vectorize: bool = True
    """Let level 3 vectorise loops."""
    own_loader: bool = True
    """Load the code without LLVM where that is possible, rather than through LLVM's own linker."""


def unit_text(unit: Unit, options: EngineOptions | None = None) -> str:
    """The module's text.

    Parameters
    ----------
    unit : Unit
        What is compiled; its first function is the entry.
    options : EngineOptions, optional
        Only `fast_math` changes the text.
    """
    return _ModuleText(unit, options or EngineOptions()).text()


def entry_name(unit: Unit) -> str:
    """Name of the module's visible function: `entry.` and the first function's name."""
    return f"entry.{_identifier(unit.functions[0].name)}"


def _identifier(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.]", "_", name)


class _ModuleText:
    """What the functions of a module share: symbols, metadata, declarations."""

    def __init__(self, unit: Unit, options: EngineOptions) -> None:
        self.functions = {each.name: each for each in unit.functions}
        self.symbols = {each.name: f"p{k}.{_identifier(each.name)}" for k, each in enumerate(unit.functions)}
        self.entry = entry_name(unit)
        self.flags = "reassoc nsz arcp contract afn " if options.fast_math else ""
        self.declarations: set[str] = set()
        self.metadata: list[str] = []

    def loop(self, width: int) -> str:
        """A suffix for the branches back to a loop's head that wishes a vectorisation factor."""
        number = _FIRST_LOOP + len(self.metadata)
        self.metadata += [
            f"!{number} = distinct !{{!{number}, !{number + 1}}}",
            f'!{number + 1} = !{{!"llvm.loop.vectorize.width", i32 {width}}}'
            if width
            else f'!{number + 1} = !{{!"llvm.loop.disable_nonforced"}}',
        ]
        return f", !llvm.loop !{number}"

    def text(self) -> str:
        parts = []
        for k, function in enumerate(self.functions.values()):
            parts += self._function(function, is_entry=k == 0 and not function.recursive)
        first = next(iter(self.functions.values()))
        if first.recursive:
            parts += self._entry(first)
        return "\n".join([*parts, *sorted(self.declarations), _TRAILER, *self.metadata, ""])

    def _function(self, function: Function, is_entry: bool) -> list[str]:
        under_way = FunctionText(self, function, is_entry)
        handlers = HANDLERS
        for block in function.blocks:
            under_way.begin(block)
            for instruction in block.instructions:
                handlers[instruction[0]](under_way, instruction)
        return under_way.finish()

    def _entry(self, function: Function) -> list[str]:
        """The entry of a unit whose first function is also called from within."""
        lines = [f"define i32 @{self.entry}({CONTEXT} %ctx, ptr %in, ptr %out) #0 {{"]
        arguments = ["ptr %ctx"]
        for k, each in enumerate(function.parameters):
            machine = LLVM_TYPES[each.machine]
            lines.append(f" %a{k} = getelementptr i8, ptr %in, i64 {SLOT_BYTES * k}")
            lines.append(f" %v{k} = load {machine}, ptr %a{k}")
            arguments.append(f"{machine} %v{k}")
        kind = result_type(function.results)
        lines.append(f" %r = call fastcc {kind} @{self.symbols[function.name]}({', '.join(arguments)})")
        for k, letter in enumerate(function.results):
            lines.append(f" %r{k} = extractvalue {kind} %r, {k + 1}")
            lines.append(f" %o{k} = getelementptr i8, ptr %out, i64 {SLOT_BYTES * k}")
            lines.append(f" store {LLVM_TYPES[letter]} %r{k}, ptr %o{k}")
        return [*lines, f" %s = extractvalue {kind} %r, 0", " ret i32 %s", "}"]
