"""The exits of one procedure: which locals they carry, and where they go on.

In: a statement. Out: an `Exit` for the LIR, entered as an `ExitPoint` in the tables of the unit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from lean_agentic.jit_runtime.emitter import Value
from lean_agentic.jit_runtime.exit_points import ExitPoint
from lean_agentic.jit_runtime.layout import Descriptor
from lean_agentic.jit_runtime.lir import Exit, Mode, Operand, Variable
from lean_agentic.jit_runtime.live_masks import LiveMasks
from lean_agentic.jit_runtime.local_places import Place
from lean_agentic.jit_runtime.survey import OPERANDS, Survey
from lean_agentic.jit_runtime.unit_tables import UnitTables
from lean_agentic.kernel.ir import (
    Assign,
    Atom,
    Binary,
    Call,
    CheckBound,
    Constant,
    Index,
    Intrinsic,
    Operation,
    Procedure,
    Raise,
    Statement,
    Store,
    Unary,
)
from lean_agentic.kernel.types import Type


class State(NamedTuple):
    """Locals in machine form."""

    names: tuple[str, ...]
    descriptors: tuple[Descriptor, ...]
    values: tuple[Operand | Variable, ...]


class ExitStates:
    """Makes the exits of one procedure."""

    def __init__(
        self,
        tables: UnitTables,
        procedure: Procedure,
        survey: Survey,
        live: LiveMasks,
        places: Mapping[str, Place],
    ) -> None:
        self._tables = tables
        self._procedure = procedure
        self._places = places
        self._bits = survey.bits
        self._live = live
        self._result = (procedure.result, tables.descriptor(procedure.result))
        self._states: dict[int, State] = {}

    def forget(self) -> None:
        """Locals in temporaries are about to get others."""
        self._states.clear()

    def leave(self, statement: Statement, reason: str = "") -> Exit:
        """Go on with the statement."""
        state = self._state(self._live.before[statement.id])
        return self._exit(Mode.LEAVE, statement, False, state, reason or reason_of(statement))

    def poll(self, statement: Statement) -> Exit:
        """Look after signals and tier changes, standing at the statement."""
        return self._exit(Mode.POLL, statement, False, self._state(self._live.before[statement.id]), "")

    def behind(self, statement: Statement) -> Exit:
        """Go on behind an assignment whose result is pending."""
        assert isinstance(statement, Assign)
        live = self._state(self._live.after[statement.id] & ~self._bits[statement.target])
        state = State((*live.names, statement.target), (*live.descriptors, ("pending",)), live.values)
        return self._exit(Mode.LEAVE, statement, True, state, "a result without machine form")

    def ask(self, statement: Statement, operation: Operation, result: Type, read: Callable[[Atom], Value]) -> Exit:
        """Let Python evaluate the statement's operation."""
        operands = [atom for atom in OPERANDS[type(operation)](operation) if not isinstance(atom, Constant)]
        point = ExitPoint(
            Mode.ASK, self._procedure.name, statement.id, False,
            tuple([f"#{k}" for k in range(len(operands))]),
            tuple([self._tables.descriptor(atom.type) for atom in operands]),
            result, self._tables.descriptor(result), operation, reason_of(statement),
        )  # fmt: skip
        values = tuple([operand for atom in operands for operand in read(atom).operands])
        return Exit(self._tables.add(point), Mode.ASK, values, self.behind(statement))

    def _exit(self, mode: Mode, statement: Statement, behind: bool, state: State, reason: str) -> Exit:
        point = ExitPoint(
            mode,
            self._procedure.name,
            statement.id,
            behind,
            state.names,
            state.descriptors,
            *self._result,
            None,
            reason,
        )
        return Exit(self._tables.add(point), mode, state.values)

    def _state(self, mask: int) -> State:
        found = self._states.get(mask)
        if found is None:
            names: list[str] = []
            descriptors: list[Descriptor] = []
            values: list[Operand | Variable] = []
            for name, bit in self._bits.items():
                if mask & bit and name in self._places:
                    place = self._places[name]
                    assert place.state is not None, f"{name} has no value yet"
                    names.append(name)
                    descriptors.append(place.descriptor)
                    values += place.state
            found = self._states[mask] = State(tuple(names), tuple(descriptors), tuple(values))
        return found


def reason_of(statement: Statement) -> str:
    """Why a statement is left, for people."""
    if isinstance(statement, Assign):
        return _reason_of_operation(statement.operation)
    if isinstance(statement, Store):
        return "store out of range, into a read-only array, or of what does not fit"
    if isinstance(statement, Raise):
        return f"raise {statement.exception}"
    if isinstance(statement, CheckBound):
        return f"{statement.name} may have no value"
    return type(statement).__name__


def _reason_of_operation(operation: Operation) -> str:
    if isinstance(operation, Unary | Binary):
        return f"overflow or error of {operation.operator}"
    if isinstance(operation, Index):
        return "index out of range"
    if isinstance(operation, Intrinsic):
        return operation.name
    return "a constant without machine form" if isinstance(operation, Call) else type(operation).__name__
