"""The selection of one procedure: its locals, the statement at hand, and the exits from it.

The rules for statements and operations live in the `select_*` modules; they register here with `@selects(Binary)` and
call each other through `Selector.block` and `Selector.value`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from lean_agentic.jit_runtime.emitter import Emitter, Value
from lean_agentic.jit_runtime.exit_states import ExitStates
from lean_agentic.jit_runtime.layout import slots
from lean_agentic.jit_runtime.lir import Block, Exit, Function, Operand, Temporary, Variable
from lean_agentic.jit_runtime.live_masks import live_masks
from lean_agentic.jit_runtime.local_places import Place, places_of, set_view
from lean_agentic.jit_runtime.survey import Survey
from lean_agentic.jit_runtime.unit_tables import UnitTables
from lean_agentic.jit_runtime.unsure_locals import unsure_locals
from lean_agentic.jit_runtime.values import FILLER, NoMachineFormError, constant_value, placed, positions, widened
from lean_agentic.kernel.ir import Atom, Constant, Operation, Procedure, Statement
from lean_agentic.kernel.ir import Block as KernelBlock
from lean_agentic.kernel.types import Type

OperationRule = Callable[["Selector", Any, Type], Value | None]
"""Selects an operation with a result type. The value's type is that or one of its members; None: ask Python."""
StatementRule = Callable[["Selector", Any], bool]
"""Selects a statement; whether control goes on behind it."""
OPERATIONS: dict[type[Operation], OperationRule] = {}
STATEMENTS: dict[type[Statement], StatementRule] = {}
SomeRule = TypeVar("SomeRule", bound=Callable[..., Any])


def selects(kind: type[Operation] | type[Statement]) -> Callable[[SomeRule], SomeRule]:
    """Register a function as the rule for a kind of operation or statement."""

    def register(rule: SomeRule) -> SomeRule:
        rules: dict[Any, Any] = OPERATIONS if issubclass(kind, Operation) else STATEMENTS
        rules[kind] = rule
        return rule

    return register


class Loop(NamedTuple):
    """Where `continue` and `break` of the innermost loop go; labels that are used are entered in `Selector.used`."""

    again: Block
    end: Block


class Selector:
    """Fills one LIR function."""

    def __init__(self, tables: UnitTables, procedure: Procedure, survey: Survey, recursive: bool) -> None:
        self.tables = tables
        self.facts = tables.facts
        self.tag_of = tables.tag_of
        self.procedure = procedure
        self.survey = survey
        self.function = Function(procedure.name, [], slots(procedure.result), recursive=recursive)
        self.e = Emitter(self.function)
        self.loops: list[Loop] = []
        self.used: set[int] = set()
        self.statement: Statement = procedure.body[0] if procedure.body else Statement(0, 0)
        live = live_masks(procedure, survey)
        survey.unsure = unsure_locals(procedure, survey, live)
        self.places: dict[str, Place] = places_of(self.e, procedure, survey, tables)
        self.within: frozenset[tuple[int, int]] = tables.facts.within
        self._exits = ExitStates(tables, procedure, survey, live, self.places)
        self._leave: Exit | None = None
        self._known: dict[int, Operand] = {}
        self._assigned: set[int] = set()
        self.nonnegative: set[str] = set()
        """Ints that are surely not negative."""

    # -- blocks --------------------------------------------------------------------------------------------------------

    def begin(self, block: Block) -> None:
        """Fill a block; nothing is known of variables at its beginning."""
        self.e.begin(block)
        self._known = {}

    def branch(self, block: Block) -> None:
        """End the block by going to another."""
        self.used.add(block.label)
        self.e.branch(block)

    def choose(self, condition: Operand, yes: Block, no: Block) -> None:
        """End the block by going to one of two; the condition may be known."""
        if isinstance(condition, int):
            self.branch(yes if condition else no)
            return
        self.used.add(yes.label)
        self.used.add(no.label)
        self.e.choose(condition, yes, no)

    def block(self, block: KernelBlock) -> bool:
        """Select the statements of a block; whether control leaves it at its end."""
        rules = STATEMENTS
        for statement in block:
            self.statement = statement
            self._leave = None
            try:
                goes_on = rules[type(statement)](self, statement)
            except NoMachineFormError:
                goes_on = self.give_up()
            if not goes_on:
                return False
        return True

    def select_again(self) -> None:
        """Prepare for selecting statements a second time: their temporaries are other ones."""
        self._exits.forget()

    def finish(self) -> Function:
        """The function; what no statement assigns though exits show it (a part of a union, say) has some value."""
        never = [
            ("set", variable, FILLER[variable.machine])
            for place in dict.fromkeys(self.places.values())
            for variable in place.variables
            if variable.number not in self._assigned and variable.number >= len(self.function.parameters)
        ]
        self.function.blocks[0].instructions[:0] = never
        return self.function

    # -- locals --------------------------------------------------------------------------------------------------------

    def get(self, variable: Variable) -> Operand:
        """A variable's value; not emitted again where it is known."""
        known = self._known
        number = variable.number
        if number not in known:
            known[number] = self.e.get(variable)
        return known[number]

    def set(self, variable: Variable, operand: Operand) -> None:
        """Assign a variable."""
        self.e.set(variable, operand)
        self._known[variable.number] = operand
        self._assigned.add(variable.number)

    def read(self, atom: Atom, large: bool = False) -> Value:
        """The value of an operand, in the type that it has here.

        Raises
        ------
        NoMachineFormError
            For a constant that does not fit, unless it is `large` and may be.
        """
        if isinstance(atom, Constant):
            return constant_value(atom, large)
        place = self.places[atom.name]
        wanted = atom.type
        whole = place.type
        if place.held is not None:
            operands = place.held
            if wanted is not whole and wanted != whole:
                operands = tuple([operands[position] for position in positions(whole, wanted)])
        elif wanted is whole or wanted == whole:
            operands = tuple([self.get(variable) for variable in place.variables])
        else:
            operands = tuple([self.get(place.variables[position]) for position in positions(whole, wanted)])
        return Value(wanted, operands)

    def write(self, name: str, value: Value) -> None:
        """Assign a local."""
        place = self.places[name]
        if place.in_temporaries:
            place.hold(widened(value, place.type, self.tag_of))
            return
        for position, operand in placed(value, place.type, self.tag_of):
            self.set(place.variables[position], operand)
        if place.flag is not None:
            self.set(place.flag, 1)
        if place.view is not None:
            self.look_into(place.view, value.operands[0])

    def look_into(self, view: tuple[Variable, ...], address: Operand) -> None:
        """Read the parts of a list into a local's variables for them."""
        found = set_view(self.e, view, address)
        self._known.update(zip([each.number for each in view], found, strict=True))

    def widened(self, value: Value, whole: Type) -> tuple[Operand, ...]:
        """The value in all slots of a wider type."""
        return widened(value, whole, self.tag_of)

    def variables(self, a_type: Type, hint: str = "") -> tuple[Variable, ...]:
        """New variables for a value of a type."""
        return tuple([self.e.variable(letter, hint) for letter in slots(a_type)])

    def assign(self, variables: Sequence[Variable], whole: Type, value: Value) -> None:
        """Set the variables of a wider type that a value sets."""
        for position, operand in placed(value, whole, self.tag_of):
            self.set(variables[position], operand)

    def taken(self, variables: Sequence[Variable], a_type: Type) -> Value:
        """What variables hold, as a value."""
        return Value(a_type, tuple([self.get(variable) for variable in variables]))

    # -- exits ---------------------------------------------------------------------------------------------------------

    def leave(self) -> Exit:
        """The exit that goes on with the present statement in Python."""
        if self._leave is None:
            self._leave = self._exits.leave(self.statement)
        return self._leave

    def leave_because(self, reason: str) -> Exit:
        """Such an exit of its own, with a reason that the statement does not show."""
        return self._exits.leave(self.statement, reason)

    def give_up(self) -> bool:
        """Always leave here."""
        self.e.do("leave", self.leave())
        return False

    def leaves(self) -> None:
        """Always leave here, where a value would be given otherwise."""
        self.give_up()

    def behind(self) -> Exit:
        """The exit behind the present assignment, with its result pending."""
        return self._exits.behind(self.statement)

    def poll(self, at: Statement, weight: int) -> None:
        """Poll, standing at a statement."""
        self.e.do("poll", self._exits.poll(at), weight)

    def ask(self, operation: Operation, result: Type) -> Value:
        """Let Python evaluate an operation."""
        targets: tuple[Temporary, ...] = tuple([self.e.temporary(letter) for letter in slots(result)])
        self.e.do("ask", targets, self._exits.ask(self.statement, operation, result, self.read))
        return Value(result, targets)
