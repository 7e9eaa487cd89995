"""Where the locals of a procedure live: in variables of the LIR, or as temporaries under a name.

In: a procedure and what `survey` found. Out: a `Place` for each local. A local has one place for all the types that it
ever has: the slots of their union.
"""

from __future__ import annotations

from lean_agentic.jit_runtime.emitter import Emitter, Value
from lean_agentic.jit_runtime.errors import NotCompiledError
from lean_agentic.jit_runtime.layout import Descriptor, slots
from lean_agentic.jit_runtime.lir import Operand, Variable
from lean_agentic.jit_runtime.survey import Survey
from lean_agentic.jit_runtime.unit_tables import UnitTables
from lean_agentic.jit_runtime.values import placed
from lean_agentic.kernel.errors import UnsupportedError
from lean_agentic.kernel.ir import Procedure
from lean_agentic.kernel.types import ListType, Type, join

LENGTH, DATA, CAPACITY = 0, 8, 16
"""Offsets in a native list."""
PARTS = (("length", LENGTH, "n64"), ("data", DATA, "ptr"), ("capacity", CAPACITY, "n64"))


class Place:
    """One local. `state` are the values that an exit takes, `descriptor` says what they are."""

    __slots__ = ("descriptor", "flag", "held", "in_temporaries", "state", "type", "variables", "view")

    def __init__(self, a_type: Type, descriptor: Descriptor, in_temporaries: bool) -> None:
        self.type = a_type
        self.descriptor = descriptor
        self.in_temporaries = in_temporaries
        self.variables: tuple[Variable, ...] = ()
        self.held: tuple[Operand, ...] | None = None
        self.flag: Variable | None = None
        """1 once the local has a value, for locals that may have none."""
        self.view: tuple[Variable, ...] | None = None
        """Length and data address of a list, which only appending changes, so that loops need not read them each time;
        of a list that is appended to also the capacity."""
        self.state: tuple[Operand | Variable, ...] | None = None

    def hold(self, operands: tuple[Operand, ...]) -> None:
        """Give the local its only value."""
        self.held = self.state = operands

    def live_in(self, variables: tuple[Variable, ...]) -> None:
        """Keep the local in variables."""
        self.variables = self.state = variables

    def may_be_unbound(self, flag: Variable) -> None:
        """Have a flag beside the variables."""
        self.flag = flag
        self.state = (flag, *self.variables)
        self.descriptor = ("maybe", self.descriptor)


def places_of(e: Emitter, procedure: Procedure, survey: Survey, tables: UnitTables) -> dict[str, Place]:
    """The places of all locals, arguments and flags set."""
    found: dict[str, Place] = {}
    arguments = [tuple([e.variable(letter, each.name) for letter in slots(each.type)]) for each in procedure.parameters]
    e.function.parameters += [variable for group in arguments for variable in group]
    for parameter, group in zip(procedure.parameters, arguments, strict=True):
        place = found[parameter.name] = _place(e, parameter.name, survey, tables)
        _enter(e, place, parameter.type, group, tables)
    for name in survey.types:
        if name not in found and name not in survey.same:
            found[name] = _local(e, name, survey, tables)
    for name, other in survey.same.items():
        found[name] = found[other]
    return found


def _place(e: Emitter, name: str, survey: Survey, tables: UnitTables) -> Place:
    types = survey.types[name]
    try:
        whole = types[0] if len(types) == 1 else join(types)
    except UnsupportedError as error:
        raise NotCompiledError(f"{name}: {error.reason}") from None
    place = Place(whole, tables.descriptor(whole), survey.in_temporaries(name))
    if isinstance(whole, ListType) and not place.in_temporaries:
        if name in survey.appended:
            place.view = _view(e, name, "ipi")
        elif survey.looked_into_inside(name):
            place.view = _view(e, name, "ip")
    return place


def _view(e: Emitter, name: str, letters: str) -> tuple[Variable, ...]:
    return tuple(
        [e.variable(letter, f"{what} of {name}") for letter, (what, _, _) in zip(letters, PARTS, strict=False)]
    )


def _enter(e: Emitter, place: Place, a_type: Type, group: tuple[Variable, ...], tables: UnitTables) -> None:
    """Put an argument where its local lives."""
    if place.type == a_type:
        place.live_in(group)
        if place.view is not None:
            set_view(e, place.view, e.get(group[0]))
        return
    # The local is given other types later: its slots are not those of the argument.
    place.live_in(tuple([e.variable(letter) for letter in slots(place.type)]))
    from_argument = Value(a_type, tuple([e.get(variable) for variable in group]))
    for position, operand in placed(from_argument, place.type, tables.tag_of):
        e.set(place.variables[position], operand)


def set_view(e: Emitter, view: tuple[Variable, ...], address: Operand) -> list[Operand]:
    """Read the parts of a list."""
    found: list[Operand] = []
    for variable, (_, offset, width) in zip(view, PARTS, strict=False):
        found.append(e.op("load", variable.machine, address, offset, width))
        e.set(variable, found[-1])
    return found


def _local(e: Emitter, name: str, survey: Survey, tables: UnitTables) -> Place:
    place = _place(e, name, survey, tables)
    if not place.in_temporaries:
        place.live_in(tuple([e.variable(letter, name) for letter in slots(place.type)]))
    if name in survey.unsure:
        flag = e.variable("i", f"{name} is bound")
        place.may_be_unbound(flag)
        e.set(flag, 0)
    return place
