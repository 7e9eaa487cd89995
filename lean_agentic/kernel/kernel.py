"""`lower`: from a function object and its argument types to a kernel, the typed IR of it and of what it calls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from inspect import signature
from itertools import count
from types import FunctionType
from typing import Any

from lean_agentic.kernel.errors import UnsupportedError
from lean_agentic.kernel.ir import Procedure, Statement, walk
from lean_agentic.kernel.program import Program, Source
from lean_agentic.kernel.scope import Guard
from lean_agentic.kernel.signatures import NO_DEFAULT, parameters_of, takes_any
from lean_agentic.kernel.text import procedure_text
from lean_agentic.kernel.types import Type, type_of


@dataclass(frozen=True, eq=False)
class Kernel:
    """A function for one tuple of argument types, with everything it calls."""

    function: FunctionType
    entry: Procedure
    procedures: Mapping[str, Procedure]
    """By name, the entry included; `Call.procedure` is a key."""
    guards: tuple[Guard, ...]
    sources: Mapping[str, Source]
    """The untyped body that each procedure was made from."""
    ids: Iterator[int]
    """Numbers for new statements, shared with all continuations, so that an id means one statement in all of them."""
    last_lowered: int
    """Larger ids are of statements that continuations made."""
    origin: Mapping[int, int] = field(default_factory=dict)
    """In a continuation: the statement of the lowered function that a statement with a new id is a copy of."""
    resumes: int | None = None
    """In a continuation: the statement that it was made to go on at, or behind."""

    @property
    def name(self) -> str:
        """The function's qualified name."""
        return self.function.__qualname__

    @cached_property
    def functions(self) -> Mapping[str, FunctionType]:
        """The user's function object for each procedure name."""
        return {name: source.function for name, source in self.sources.items()}

    def is_current(self) -> bool:
        """Whether every outside value that was read still has that value."""
        return all(guard.holds() for guard in self.guards)

    def bind(self, *positional: Any, **keywords: Any) -> tuple[Any, ...]:
        """One value per parameter, in order, defaults filled in.

        Raises
        ------
        TypeError
            As the call itself would; always for a continuation, whose parameters are locals.
        """
        if self.resumes is not None:
            raise TypeError(f"{self.entry.name} is a continuation: give the locals {self.entry.parameters} in order")
        given = signature(self.function).bind(*positional, **keywords)
        given.apply_defaults()
        return tuple(given.arguments[parameter.name] for parameter in self.entry.parameters)

    @cached_property
    def statements(self) -> Mapping[int, tuple[Procedure, Statement]]:
        """Every statement by its id, with the procedure it is in."""
        return {each.id: (found, each) for found in self.procedures.values() for each in walk(found.body)}

    def __str__(self) -> str:
        return "\n\n".join(procedure_text(each) for each in self.procedures.values())

    def __repr__(self) -> str:
        types = ", ".join(str(parameter.type) for parameter in self.entry.parameters)
        return f"<Kernel {self.name}({types}) -> {self.entry.result}, {len(self.statements)} statements>"


def lower(function: FunctionType, argument_types: Sequence[Type] | Mapping[str, Type]) -> Kernel:
    """Lower a function for given argument types.

    Parameters
    ----------
    function : function
        A plain Python function; `function_from_source` makes one from text.
    argument_types : sequence or mapping of Type
        One per parameter in order, or by name; a parameter left out has its default's type.

    Raises
    ------
    UnsupportedError
        For whatever is outside the kernel language, with line, source and reason.
    TypeError
        If the types do not fit the function's parameters.
    """
    ids = count(1)
    program = Program(ids)
    entry = program.solve(function, _parameter_types(function, argument_types))
    guards = tuple(program.guards)
    return Kernel(function, program.typed[entry], program.procedures, guards, program.sources, ids, next(ids))


def _parameter_types(function: FunctionType, given: Sequence[Type] | Mapping[str, Type]) -> tuple[Type, ...]:
    if takes_any(function):
        raise UnsupportedError("functions with *args or **kwargs are not taken", function.__code__.co_firstlineno)
    defaults = {each.name: each.default for each in parameters_of(function)}
    named = dict(given) if isinstance(given, Mapping) else dict(zip(defaults, given, strict=False))
    if len(named) != len(given) or not named.keys() <= defaults.keys():
        raise TypeError(f"{len(given)} argument types for the parameters {list(defaults)} of {function.__name__}")
    for name, default in defaults.items():
        if name not in named and default is NO_DEFAULT:
            raise TypeError(f"no argument type for the parameter {name} of {function.__name__}")
    return tuple(named[name] if name in named else type_of(default) for name, default in defaults.items())
