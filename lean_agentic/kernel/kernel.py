"""`lower`: from a function object and its argument types to a kernel, the typed IR of it and of what it calls.

Callees are lowered for the types they are called with; recursion is typed by a fixed point over the result types.
"""

from __future__ import annotations

import linecache
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from inspect import Parameter as SignatureParameter
from inspect import signature
from itertools import count
from types import FunctionType
from typing import Any

from lean_agentic.kernel import calls, expressions, sequences, statements  # noqa: F401  (they register their rules)
from lean_agentic.kernel.builder import Builder, constant, is_constant
from lean_agentic.kernel.errors import UnsupportedError
from lean_agentic.kernel.inference import Inference
from lean_agentic.kernel.ir import Block, Constant, Parameter, Procedure, Statement, walk
from lean_agentic.kernel.scope import Guard
from lean_agentic.kernel.source import syntax_tree
from lean_agentic.kernel.text import procedure_text
from lean_agentic.kernel.types import NEVER, Type, type_of


@dataclass(frozen=True, eq=False)
class Kernel:
    """A function for one tuple of argument types, with everything it calls."""

    function: FunctionType
    entry: Procedure
    procedures: Mapping[str, Procedure]
    """By name, the entry included; `Call.procedure` is a key."""
    guards: tuple[Guard, ...]

    @property
    def name(self) -> str:
        """The function's qualified name."""
        return self.function.__qualname__

    def is_current(self) -> bool:
        """Whether every outside value that was read still has that value."""
        return all(guard.holds() for guard in self.guards)

    def bind(self, *positional: Any, **keywords: Any) -> tuple[Any, ...]:
        """One value per parameter, in order, defaults filled in.

        Raises
        ------
        TypeError
            As the call itself would.
        """
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
    program = _Program()
    types = _parameter_types(function, argument_types)
    entry = program.solve(function, types)
    procedures = {entry: program.typed[entry]} | program.reached
    return Kernel(function, program.typed[entry], procedures, tuple(program.guards))


def _parameter_types(function: FunctionType, given: Sequence[Type] | Mapping[str, Type]) -> tuple[Type, ...]:
    parameters = signature(function).parameters
    if any(each.kind in (each.VAR_POSITIONAL, each.VAR_KEYWORD) for each in parameters.values()):
        raise UnsupportedError("functions with *args or **kwargs are not taken", function.__code__.co_firstlineno)
    named = dict(given) if isinstance(given, Mapping) else dict(zip(parameters, given, strict=False))
    if len(named) != len(given) or not set(named) <= set(parameters):
        raise TypeError(f"{len(given)} argument types for the parameters {list(parameters)} of {function.__name__}")
    return tuple(named[name] if name in named else _default_type(function, each) for name, each in parameters.items())


def _default_type(function: FunctionType, parameter: SignatureParameter) -> Type:
    if parameter.default is parameter.empty:
        raise TypeError(f"no argument type for the parameter {parameter.name} of {function.__name__}")
    return type_of(parameter.default)


class _Program:
    """All procedures of one kernel while their result types are still growing."""

    def __init__(self) -> None:
        self.typed: dict[str, Procedure] = {}
        self.guards: list[Guard] = []
        self._ids = count(1)
        self._lowered: dict[str, tuple[Builder, Block]] = {}
        self._names: dict[tuple[FunctionType, tuple[Type, ...]], str] = {}
        self._results: dict[str, Type] = {}
        self._done: set[str] = set()

    def solve(self, function: FunctionType, types: tuple[Type, ...]) -> str:
        """Type everything reached from a function until no result type changes."""
        while True:
            before = dict(self._results)
            self._done = set()
            name, _ = self.procedure(function, types)
            if before == self._results:
                return name

    @property
    def reached(self) -> dict[str, Procedure]:
        """The procedures that the last round came to."""
        return {name: self.typed[name] for name in self._names.values() if name in self._done}

    def procedure(self, function: FunctionType, types: tuple[Type, ...]) -> tuple[str, Type]:
        """Name and result type (so far) of a function for argument types."""
        name = self._name(function, types)
        if name not in self._done:
            self._done.add(name)  # before its body is typed: a recursive call takes the result type so far
            self._type(name, function, types)
        return name, self._results.get(name, NEVER)

    def _name(self, function: FunctionType, types: tuple[Type, ...]) -> str:
        text = f"{function.__qualname__}({', '.join(map(str, types))})"
        taken = set(self._names.values())
        if (function, types) not in self._names:
            self._names[function, types] = text if text not in taken else f"{text}#{len(taken)}"
            if len(taken) > 100:
                raise UnsupportedError("the function calls others with more than 100 combinations of types")
        return self._names[function, types]

    def _type(self, name: str, function: FunctionType, types: tuple[Type, ...]) -> None:
        if name not in self._lowered:
            self._lowered[name] = self._lower(function)
        builder, body = self._lowered[name]
        parameters = tuple(
            Parameter(each.name, a_type, _default(each), each.kind is each.KEYWORD_ONLY)
            for each, a_type in zip(signature(function).parameters.values(), types, strict=True)
        )
        inference = Inference(lambda handle, given: self.procedure(builder.callees[handle], given))
        try:
            typed, result = inference.procedure(body, {each.name: each.type for each in parameters})
        except UnsupportedError as error:
            if error.source or error.line is None:
                raise
            text = linecache.getline(function.__code__.co_filename, error.line).strip()
            raise UnsupportedError(error.reason, error.line, text) from None
        self.typed[name] = Procedure(name, parameters, typed, result)
        self._results[name] = result

    def _lower(self, function: FunctionType) -> tuple[Builder, Block]:
        tree = syntax_tree(function)
        builder = Builder(function, self._ids)
        builder.bound = frozenset(signature(function).parameters)
        builder.body(tree.body)
        self.guards += builder.scope.guards
        return builder, tuple(builder.statements)


def _default(parameter: SignatureParameter) -> Constant | None:
    return constant(parameter.default) if is_constant(parameter.default) else None
