"""From a kernel to callable machine code, and what happens where that code leaves.

In: a kernel and a tier. Out: `Compiled`, whose `code` is called with the values of the entry's parameters. Where a
check fails, the rest of the procedure runs in CPython from the failing statement, with the values that the locals had
there (Hölzle, Chambers, Ungar, PLDI 1992), so no effect happens twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any, Protocol

from lean_agentic.jit_runtime import _native
from lean_agentic.jit_runtime.exit_points import ExitPoint
from lean_agentic.jit_runtime.facts import Facts
from lean_agentic.jit_runtime.layout import Descriptor
from lean_agentic.jit_runtime.lir import Mode
from lean_agentic.jit_runtime.machine_code import Machine, Options, assemble
from lean_agentic.jit_runtime.range_analysis import is_called
from lean_agentic.jit_runtime.selection import Selected, select
from lean_agentic.jit_runtime.tracebacks import add_entry, show_place
from lean_agentic.kernel.evaluate import evaluate
from lean_agentic.kernel.ir import Atom, Constant, Local, atoms
from lean_agentic.kernel.kernel import Kernel
from lean_agentic.kernel.python_code import python_function


class Owner(Protocol):
    """Who is told of what compiled code cannot do; `Alone` is the one for code without tiers around it."""

    def mismatch(self, compiled: Compiled, arguments: tuple[Any, ...]) -> Any:
        """The result of a call whose argument types are not the kernel's."""

    def stale(self, compiled: Compiled, arguments: tuple[Any, ...]) -> Any:
        """The result of a call for which a guard does not hold."""

    def left(self, compiled: Compiled, point: ExitPoint, error: BaseException | None) -> None:
        """Told after each LEAVE, with the exception that the rest of the procedure raised."""

    def upgrade(self, compiled: Compiled, point: ExitPoint, locals: dict[str, Any]) -> Any:
        """At a POLL after `request_upgrade`: the procedure's result, or `_native.GO_ON`."""

    def costly(self, compiled: Compiled) -> None:
        """Told when lists take longer to come in and out than the work on them, again at each doubling."""


class Alone:
    """Answers for compiled code that stands alone: plain calls of the user's function."""

    def mismatch(self, compiled: Compiled, arguments: tuple[Any, ...]) -> Any:
        """Run the user's function, or the rest of it that a continuation is."""
        kernel = compiled.kernel
        if kernel.resumes is not None:
            return python_function(kernel)(_by_name(kernel, arguments))
        return kernel.function(*arguments)

    def stale(self, compiled: Compiled, arguments: tuple[Any, ...]) -> Any:
        """Run the user's function, which sees the new value."""
        return compiled.kernel.function(*arguments)

    def left(self, compiled: Compiled, point: ExitPoint, error: BaseException | None) -> None:
        """Nobody counts."""

    def upgrade(self, compiled: Compiled, point: ExitPoint, locals: dict[str, Any]) -> Any:
        """There is nothing better."""
        return _native.GO_ON

    def costly(self, compiled: Compiled) -> None:
        """Nobody decides."""


@dataclass(eq=False)
class Compiled:
    """A kernel as machine code of one tier."""

    kernel: Kernel
    tier: int
    selected: Selected
    machine: Machine
    facts: Facts
    """`facts.assumed` bounds int parameters: a call beyond them leaves at once."""
    owner: Owner
    timings: dict[str, float]
    """Milliseconds by phase: `analyse`, `select`, and those of the back end."""
    code: _native.Code = field(init=False)

    def __post_init__(self) -> None:
        self.code = _native.Code(
            address=self.machine.address,
            parameters=self.selected.parameters,
            result=self.selected.result,
            exits=[self._exit(point) for point in self.selected.exits],
            handler=_Handler(self),
            guards=[],
            name=self.kernel.name,
            owner=self.machine,
            lists=self.selected.lists,
        )

    def _exit(self, point: ExitPoint) -> tuple[Mode, list[Descriptor], Descriptor, bool, bool]:
        # Behind an exit of a procedure that only Python calls nothing native goes on, so nothing is reloaded.
        entry = self.kernel.entry
        outermost = point.procedure == entry.name and not is_called(entry, self.kernel)
        return (point.mode, list(point.state), point.result_descriptor, outermost, point.behind)

    @property
    def compile_ms(self) -> float:
        """Milliseconds from kernel to callable, without `lower`."""
        return sum(self.timings.values())


def compile_kernel(
    kernel: Kernel, tier: int, *, options: Options | None = None, owner: Owner | None = None
) -> Compiled:
    """Compile a kernel.

    Parameters
    ----------
    kernel : Kernel
        From `lower` or `continuation`.
    tier : int
        1 baseline, 2 optimising, 3 max-opt.
    options : Options, optional
        Back end, fast-math, vectorisation.
    owner : Owner, optional
        Who answers calls with other types, stale guards, and upgrades.

    Raises
    ------
    NotCompiledError
        If the kernel has no machine form.
    """
    options = options or Options()
    start = time.perf_counter()
    facts = options.facts(kernel, tier)
    analysed = time.perf_counter()
    selected = select(kernel, facts)
    timings = {"analyse": 1e3 * (analysed - start), "select": 1e3 * (time.perf_counter() - analysed)}
    machine = assemble(selected.unit, tier, options)
    return Compiled(kernel, tier, selected, machine, facts, owner or Alone(), timings | machine.timings)


class _Handler:
    """What `_native.Code` calls."""

    def __init__(self, compiled: Compiled) -> None:
        self._compiled = compiled
        self._answers = [_answer(compiled, point) for point in compiled.selected.exits]

    def mismatch(self, arguments: tuple[Any, ...]) -> Any:
        return self._compiled.owner.mismatch(self._compiled, arguments)

    def stale(self, arguments: tuple[Any, ...]) -> Any:
        return self._compiled.owner.stale(self._compiled, arguments)

    def costly(self) -> None:
        self._compiled.owner.costly(self._compiled)

    def passed(self, number: int, error: BaseException) -> None:
        """An exception passes through a compiled caller."""
        point = self._compiled.selected.exits[number]
        add_entry(error, *_place(self._compiled, point))

    def on_exit(self, number: int, state: tuple[Any, ...]) -> Any:
        return self._answers[number](state)


def _answer(compiled: Compiled, point: ExitPoint) -> Callable[[Sequence[Any]], Any]:
    if point.mode is Mode.ASK:
        return _evaluation(compiled, point)
    if point.mode is Mode.POLL:
        return lambda state: _polled(compiled, point, _state(point, state))
    return lambda state: _leave(compiled, point, _state(point, state))


def _state(point: ExitPoint, values: Sequence[Any]) -> dict[str, Any]:
    """Locals by name, those without a value left out."""
    pairs = zip(point.names, values, strict=True)
    return {name: value for name, value in pairs if value is not _native.UNBOUND}


def _polled(compiled: Compiled, point: ExitPoint, locals: dict[str, Any]) -> Any:
    """Go on in CPython where an outside value was rebound while the code ran; else perhaps in better code."""
    if compiled.kernel.is_current():
        return compiled.owner.upgrade(compiled, point, locals)
    return python_function(compiled.kernel, point.procedure, point.statement, point.behind)(locals)


def _leave(compiled: Compiled, point: ExitPoint, locals: dict[str, Any]) -> Any:
    rest = python_function(compiled.kernel, point.procedure, point.statement, point.behind)
    try:
        value = rest(locals)
    except BaseException as error:
        compiled.owner.left(compiled, point, error)
        raise
    compiled.owner.left(compiled, point, None)
    return value


def _evaluation(compiled: Compiled, point: ExitPoint) -> Callable[[Sequence[Any]], Any]:
    """Evaluate the point's operation on the operands that come with the exit."""
    operation = point.operation
    assert operation is not None
    names = [atom.name for atom in atoms(operation) if isinstance(atom, Local)]
    place = _place(compiled, point)

    def answer(state: Sequence[Any]) -> Any:
        values = dict(zip(names, state, strict=True))

        def read(atom: Atom) -> Any:
            return atom.value if isinstance(atom, Constant) else values[atom.name]

        try:
            return evaluate(operation, read)
        except Exception as error:
            show_place(error, *place)
            raise

    return answer


def _place(compiled: Compiled, point: ExitPoint) -> tuple[FunctionType, int]:
    """The user's function and line that an exit belongs to."""
    _, statement = compiled.kernel.statements[point.statement]
    return compiled.kernel.functions.get(point.procedure, compiled.kernel.function), statement.line


def _by_name(kernel: Kernel, arguments: Sequence[Any]) -> dict[str, Any]:
    return {each.name: value for each, value in zip(kernel.entry.parameters, arguments, strict=True)}
