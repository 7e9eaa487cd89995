"""The reference interpreter: runs a kernel from its start, or from any statement with given locals.

It is the oracle that compiled code is tested against and the place where deoptimised code goes on, so it works in
place on the caller's own lists and arrays and performs every effect once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lean_agentic.kernel import evaluate
from lean_agentic.kernel.ir import (
    Append,
    Assign,
    Atom,
    Block,
    Break,
    Call,
    CheckBound,
    Constant,
    Continue,
    ForRange,
    If,
    Local,
    Pop,
    Procedure,
    Raise,
    Return,
    Statement,
    Store,
    While,
    blocks,
    walk,
)
from lean_agentic.kernel.kernel import Kernel
from lean_agentic.kernel.outcome import Ending, Outcome
from lean_agentic.kernel.types import NEVER, ListType, TupleType, Type, type_of


class TypeSoundnessError(Exception):
    """A value is not of the type that inference gave: a defect of the kernel, never the user's."""


class _OutOfSteps(BaseException):
    """Unwinds the run when the budget is spent; no `except Exception` may take it for the user's."""

    def __init__(self, frame: _Frame) -> None:
        self.frame = frame


def interpret(
    kernel: Kernel,
    arguments: Sequence[Any] = (),
    *,
    at: int | None = None,
    after: int | None = None,
    locals: Mapping[str, Any] | None = None,
    budget: int | None = None,
    check_types: bool = False,
) -> Outcome:
    """Run a kernel, from its start or from a statement.

    Parameters
    ----------
    kernel : Kernel
        What to run.
    arguments : sequence
        One value per parameter (`kernel.bind` fills defaults in); with `at` or `after` they are only passed on to the
        outcome.
    at, after : int, optional
        Go on with this statement, or just behind it, of whichever procedure has it.
    locals : mapping, optional
        Values of the live locals there (`live_before` and `live_after` name them).
    budget : int, optional
        Statements to execute at most.
    check_types : bool
        Check every assigned value against its inferred type.

    Raises
    ------
    TypeError
        If the number of arguments is wrong, or both `at` and `after` are given.
    KeyError
        If no statement has the number given.
    TypeSoundnessError
        If `check_types` finds a value outside its type.
    """
    run = _Run(kernel, budget, check_types)
    point = at if after is None else after
    if point is None:
        procedure, frame = kernel.entry, run.frame(kernel.entry, arguments)
    else:
        if at is not None and after is not None:
            raise TypeError("give `at` or `after`, not both")
        procedure, frame = kernel.statements[point][0], _Frame(run, dict(locals or {}))
        frame.resume(procedure, point, behind=after is not None)
    return run.outcome(procedure, frame, tuple(arguments))


class _Run:
    """What all frames of a run share."""

    def __init__(self, kernel: Kernel, budget: int | None, check_types: bool) -> None:
        self.kernel = kernel
        self.budget = budget
        self.check_types = check_types
        self.steps = 0

    def frame(self, procedure: Procedure, arguments: Sequence[Any]) -> _Frame:
        """A frame at the start of a procedure."""
        if len(arguments) != len(procedure.parameters):
            raise TypeError(f"{procedure.name} takes {len(procedure.parameters)} arguments, {len(arguments)} given")
        names = [parameter.name for parameter in procedure.parameters]
        return _Frame(self, dict(zip(names, arguments, strict=True)))

    def outcome(self, procedure: Procedure, frame: _Frame, arguments: tuple[Any, ...]) -> Outcome:
        """Run to the end, the exception or the end of the budget."""
        try:
            value = frame.run(procedure)
        except TypeSoundnessError:
            raise
        except _OutOfSteps as stop:
            at = frame.current if stop.frame is frame else None
            return Outcome(Ending.OUT_OF_STEPS, arguments=arguments, steps=self.steps, at=at, locals=frame.values)
        except Exception as error:
            return Outcome(Ending.RAISED, exception=error, arguments=arguments, steps=self.steps)
        return Outcome(Ending.RETURNED, value, arguments=arguments, steps=self.steps)

    def count(self, frame: _Frame, statement: Statement) -> None:
        """Spend one step on a statement that a frame is about to execute."""
        frame.current = statement.id
        if self.budget is not None and self.steps >= self.budget:
            raise _OutOfSteps(frame)
        self.steps += 1


class _Frame:
    """The locals of one procedure that is running."""

    def __init__(self, run: _Run, values: dict[str, Any]) -> None:
        self.values = values
        self.current: int | None = None
        self._run = run
        self._result: Any = None
        # While resuming: the statements around the target, the target itself, and whether to start behind it.
        self._around: frozenset[int] = frozenset()
        self._target: int | None = None
        self._behind = False

    def resume(self, procedure: Procedure, target: int, behind: bool) -> None:
        """Make `run` begin at, or behind, a statement."""
        inside = [
            each.id for each in walk(procedure.body) if any(s.id == target for b in blocks(each) for s in walk(b))
        ]
        self._around, self._target, self._behind = frozenset(inside), target, behind

    def run(self, procedure: Procedure) -> Any:
        """Execute the body; the value returned."""
        signal = self._block(procedure.body)
        return self._result if signal is Return else None

    def _read(self, atom: Atom) -> Any:
        return atom.value if isinstance(atom, Constant) else self.values[atom.name]

    def _block(self, block: Block) -> type[Statement] | None:
        """Execute statements; the kind of jump that leaves the block, or None."""
        for statement in block:
            if self._target is not None and not self._enters(statement):
                continue
            signal = self._statement(statement)
            if signal is not None:
                return signal
        return None

    def _enters(self, statement: Statement) -> bool:
        """While resuming: whether this statement is to be executed, as the target or on the way to it."""
        if statement.id == self._target:
            self._target = None
            return not self._behind
        return statement.id in self._around

    def _inside(self, block: Block) -> bool:
        """While resuming: whether the target lies in this block of the statement being entered."""
        return self._target is not None and any(each.id == self._target for each in walk(block))

    def _statement(self, statement: Statement) -> type[Statement] | None:
        if self._target is None:
            self._run.count(self, statement)
        match statement:
            case If():
                return self._if(statement)
            case While():
                return self._while(statement)
            case ForRange():
                return self._for(statement)
            case Return():
                self._result = self._read(statement.value)
                return Return
            case Raise():
                raise evaluate.exception(statement, self._read)
            case Break() | Continue():
                return type(statement)
        self._simple(statement)
        return None

    def _simple(self, statement: Statement) -> None:
        if isinstance(statement, Assign):
            self.values[statement.target] = self._evaluate(statement)
        elif isinstance(statement, Store):
            evaluate.store(statement, self._read)
        elif isinstance(statement, Append):
            self._read(statement.container).append(self._read(statement.value))
        elif isinstance(statement, Pop):
            self._read(statement.container).pop()
        elif isinstance(statement, CheckBound) and statement.name not in self.values:
            raise UnboundLocalError(f"cannot access local variable '{statement.name}' where it has no value")

    def _evaluate(self, statement: Assign) -> Any:
        operation = statement.operation
        if isinstance(operation, Call):
            callee = self._run.kernel.procedures[operation.procedure]
            value = self._run.frame(callee, [self._read(each) for each in operation.arguments]).run(callee)
        else:
            value = evaluate.evaluate(operation, self._read)
        if self._run.check_types and not fits(value, statement.type):
            raise TypeSoundnessError(f"statement {statement.id}: {value!r} is not of type {statement.type}")
        return value

    def _if(self, statement: If) -> type[Statement] | None:
        resuming = self._target is not None
        taken = self._inside(statement.body) if resuming else bool(self._read(statement.condition))
        return self._block(statement.body if taken else statement.orelse)

    def _while(self, statement: While) -> type[Statement] | None:
        while not self._inside(statement.orelse):
            if not self._inside(statement.body):
                if self._target is None:  # an iteration counts, so that an empty endless loop ends
                    self._run.count(self, statement)
                self._block(statement.test)
                if not self._read(statement.condition):
                    break
            signal = self._block(statement.body)
            if signal is Break:
                return None
            if signal is Return:
                return Return
        return self._block(statement.orelse)

    def _for(self, statement: ForRange) -> type[Statement] | None:
        start = statement.start
        if self._inside(statement.body) and not self._known(Local(statement.counter), statement.stop, statement.step):
            return self._last_iteration(statement)
        if self._inside(statement.body):
            start = Local(statement.counter)
        elif self._inside(statement.orelse):
            return self._block(statement.orelse)
        for count in range(*map(self._read, (start, statement.stop, statement.step))):
            self.values[statement.counter] = count
            signal = self._block(statement.body)
            if signal is Break:
                return None
            if signal is Return:
                return Return
        return self._block(statement.orelse)

    def _known(self, *atoms: Atom) -> bool:
        return all(isinstance(atom, Constant) or atom.name in self.values for atom in atoms)

    def _last_iteration(self, statement: ForRange) -> type[Statement] | None:
        """Go on in a body that every path from the target leaves: its counter and bounds need not be live there."""
        signal = self._block(statement.body)
        if signal in (Break, Return):
            return None if signal is Break else Return
        raise KeyError(f"going on in the loop of line {statement.line} takes {statement.counter} and its bounds")


def fits(value: Any, a_type: Type) -> bool:
    """Whether a value is of a type; elements of lists may be of fewer types than the list's type allows."""
    if isinstance(value, list):
        lists = [member for member in a_type.members if isinstance(member, ListType)]
        return any(all(fits(item, member.element) for item in value) for member in lists)
    if isinstance(value, tuple):
        tuples = [each for each in a_type.members if isinstance(each, TupleType) and len(each.elements) == len(value)]
        return any(all(map(fits, value, member.elements)) for member in tuples)
    return a_type != NEVER and type_of(value) in a_type.members
