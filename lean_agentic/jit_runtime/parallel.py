"""Code whose independent loops run on several threads.

In: a kernel. Out: `Parallel`, compiled code of tier 3 in which each loop that `independence` proves is one operation
that Python is asked for: it runs the loop, compiled as a kernel of its own, on threads (`threaded_loop`). All else is
as in other compiled code. Statement ids are those of the given kernel, so where the code leaves, CPython goes on in the
given kernel, with the loop as it was written.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from lean_agentic.jit_runtime import _native, survey
from lean_agentic.jit_runtime.compiled import Alone, Compiled, Owner, compile_kernel
from lean_agentic.jit_runtime.exception_freedom import exception_freedom
from lean_agentic.jit_runtime.exit_points import ExitPoint
from lean_agentic.jit_runtime.independence import Independence, independent_loops
from lean_agentic.jit_runtime.machine_code import Options, assemble
from lean_agentic.jit_runtime.range_analysis import is_called
from lean_agentic.jit_runtime.selection import select
from lean_agentic.jit_runtime.selector import selects
from lean_agentic.jit_runtime.threaded_loop import ThreadedLoop, usable_cpus
from lean_agentic.kernel import evaluate, ir, operation_types
from lean_agentic.kernel.ir import (
    Assign,
    Atom,
    Block,
    Constant,
    Copy,
    ForRange,
    Local,
    Operation,
    Parameter,
    Return,
    changed,
    walk,
)
from lean_agentic.kernel.kernel import Kernel
from lean_agentic.kernel.program import Program, Source
from lean_agentic.kernel.python_code import python_function
from lean_agentic.kernel.types import INT, NEVER, NONE, ArrayType, Type

FIRST, BEHIND = "%first", "%behind"
"""Parameters of a loop's own kernel: its bounds."""
_TIER = 3


@dataclass(frozen=True)
class RunLoop(Operation):
    """A whole loop as an operation: its bounds, its inputs, and its sum so far."""

    loop: ThreadedLoop
    arguments: tuple[Atom, ...]


ir.OPERANDS[RunLoop] = ("arguments",)
survey.OPERANDS[RunLoop] = lambda operation: operation.arguments
operation_types.RULES[RunLoop] = lambda operation: INT if operation.loop.has_total else NONE
evaluate.RULES[RunLoop] = lambda operation, read: operation.loop(*map(read, operation.arguments))
selects(RunLoop)(lambda s, operation, result: None)  # Python is asked for it


@dataclass(eq=False, repr=False)
class Parallel(Compiled):
    """Compiled code, some of whose loops run on threads."""

    loops: tuple[ThreadedLoop, ...] = field(default=(), kw_only=True)

    def __repr__(self) -> str:
        lines = ", ".join(str(each.line) for each in self.loops)
        return f"<Parallel {self.kernel.name}, loops in lines {lines}>"


def reasons_against(kernel: Kernel) -> list[str]:
    """Why no loop of a kernel runs on threads; empty if one does."""
    taken, refused = independent_loops(kernel)
    if is_called(kernel.entry, kernel):
        return ["it calls itself"]
    if taken:
        return []
    return [str(each) for each in refused] or ["it has no loop over a range that is long enough to be worth it"]


def parallel_version(
    kernel: Kernel, options: Options | None = None, owner: Owner | None = None, threads: int | None = None
) -> Parallel | None:
    """Compile with loops on threads, in tier 3.

    Parameters
    ----------
    kernel : Kernel
        From `lower` or `continuation`.
    options, owner
        As for `compile_kernel`.
    threads : int, optional
        By default the processors that the process may use.

    Returns
    -------
    Parallel or None
        None if no loop is to run on threads: `reasons_against` says why, or there is one thread.

    Raises
    ------
    NotCompiledError
        If the kernel has no machine form.
    """
    threads = usable_cpus() if threads is None else threads
    if threads < 2 or reasons_against(kernel):
        return None
    proofs, _ = independent_loops(kernel)
    options, owner = options or Options(), owner or Alone()
    loops = {proof.loop.id: _threaded(kernel, proof, threads) for proof in proofs}
    outer = _with_operations(kernel, proofs, loops)
    begun = time.perf_counter()
    for proof in proofs:
        _give_code(loops[proof.loop.id], _chunk(kernel, outer, proof), options, owner)
    return _compiled(kernel, outer, options, owner, tuple(loops.values()), 1e3 * (time.perf_counter() - begun))


def _threaded(kernel: Kernel, proof: Independence, threads: int) -> ThreadedLoop:
    types = {each.name: each.type for statement in walk(proof.loop.body) for each in _locals(statement)}
    arrays = tuple(place for place, name in enumerate(proof.inputs) if isinstance(types[name], ArrayType))
    written = tuple((proof.inputs.index(name), distance) for name, distance in sorted(proof.written.items()))
    return ThreadedLoop(proof.loop.line, len(proof.inputs), arrays, written, bool(proof.total), threads)


def _locals(statement: ir.Statement) -> list[Local]:
    return [each for each in ir.atoms(statement) if isinstance(each, Local)]


# The code around the loops


def _with_operations(kernel: Kernel, proofs: list[Independence], loops: Mapping[int, ThreadedLoop]) -> Kernel:
    """The kernel with an operation in place of each loop."""
    name = kernel.entry.name
    source = kernel.sources[name]
    instead = {proof.loop.id: _operation(proof, loops[proof.loop.id]) for proof in proofs}
    body = _replaced(source.body, instead)
    types = tuple(each.type for each in kernel.entry.parameters)
    return _kernel(kernel, name, replace(source, body=body, loops=(), whole=False), types)


def _operation(proof: Independence, threaded: ThreadedLoop) -> Assign:
    loop = proof.loop
    names = [*proof.inputs, *([proof.total] if proof.total else [])]
    arguments = (_untyped(loop.start), _untyped(loop.stop), *map(Local, names))
    return Assign(loop.id, loop.line, proof.total or f"%threads{loop.id}", RunLoop(threaded, arguments))


def _untyped(atom: Atom) -> Atom:
    return Local(atom.name) if isinstance(atom, Local) else atom


def _replaced(block: Block, instead: Mapping[int, Assign]) -> Block:
    made: list[ir.Statement] = []
    for statement in block:
        inner = {
            each: _replaced(getattr(statement, each), instead)
            for each in ("test", "body", "orelse")
            if hasattr(statement, each)
        }
        made.append(instead.get(statement.id) or changed(statement, **inner))
    return tuple(made)


def _kernel(kernel: Kernel, name: str, source: Source, types: tuple[Type, ...]) -> Kernel:
    """A kernel with another entry."""
    program = Program(kernel.ids, kernel.sources)
    program.solve_source(name, source, types)
    return Kernel(
        source.function, program.typed[name], program.procedures, (*kernel.guards, *program.guards), program.sources,
        kernel.ids, kernel.last_lowered, kernel.origin, kernel.resumes,
    )  # fmt: skip


def _compiled(
    kernel: Kernel, outer: Kernel, options: Options, owner: Owner, loops: tuple[ThreadedLoop, ...], loops_ms: float
) -> Parallel:
    """As `compile_kernel`, but for the kernel in which CPython goes on."""
    begun = time.perf_counter()
    facts = options.facts(outer, _TIER)
    selected = select(outer, facts)
    timings = {"loops": loops_ms, "select": 1e3 * (time.perf_counter() - begun)}
    machine = assemble(selected.unit, _TIER, options)
    return Parallel(kernel, _TIER, selected, machine, facts, owner, timings | machine.timings, loops=loops)


# A loop's own code


def _chunk(kernel: Kernel, outer: Kernel, proof: Independence) -> Kernel:
    """Some iterations of a loop as a kernel of the bounds and the inputs, which returns their sum."""
    name = kernel.entry.name
    source = kernel.sources[name]
    loop = next(each for each in walk(source.body) if each.id == proof.loop.id)
    _, made = outer.statements[loop.id]
    assert isinstance(loop, ForRange)
    assert isinstance(made, Assign)
    assert isinstance(made.operation, RunLoop)
    iterations = replace(loop, start=Local(FIRST), stop=Local(BEHIND))
    body: Block = (iterations,)
    if proof.total:
        zero = Assign(next(kernel.ids), loop.line, proof.total, Copy(Constant(0, INT)))
        body = (zero, iterations, Return(next(kernel.ids), loop.line, Local(proof.total)))
    names = (FIRST, BEHIND, *proof.inputs)
    inputs = made.operation.arguments[2 : len(names)]
    parameters = tuple(Parameter(each, NEVER) for each in names)
    part = Source(source.function, parameters, body, source.callees, whole=False)
    found = _kernel(kernel, f"{name} loop {loop.id}", part, (INT, INT, *(each.type for each in inputs)))
    return replace(found, resumes=loop.id)


def _give_code(loop: ThreadedLoop, kernel: Kernel, options: Options, owner: Owner) -> None:
    made = compile_kernel(kernel, _TIER, options=replace(options, observed=None), owner=_Chunks(owner))
    made.code.release_gil = True
    loop.chunk = made.code
    loop.raises_nothing = exception_freedom(kernel, made.facts).holds


class _Chunks(Alone):
    """Answers for chunks: the owner of the whole code is told where they leave."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner

    def mismatch(self, compiled: Compiled, arguments: tuple[Any, ...]) -> Any:
        """A value that has no machine form: the chunk runs in CPython."""
        names = [each.name for each in compiled.kernel.entry.parameters]
        return python_function(compiled.kernel)(dict(zip(names, arguments, strict=True)))

    def left(self, compiled: Compiled, point: ExitPoint, error: BaseException | None) -> None:
        """The rest of a chunk ran in CPython."""
        self._owner.left(compiled, point, error)

    def upgrade(self, compiled: Compiled, point: ExitPoint, locals: dict[str, Any]) -> Any:
        """There is nothing better."""
        return _native.GO_ON
