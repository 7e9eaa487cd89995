"""The procedures of one kernel while their types are being found.

In: functions with argument types, or a body made elsewhere with the types of its parameters. Out: typed procedures,
the untyped bodies they come from, and the guards on what was read. Callees are typed for the types they are called
with; recursion is typed by a fixed point over the result types.
"""

from __future__ import annotations

import linecache
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import FunctionType

from lean_agentic.kernel import calls, expressions, sequences, statements  # noqa: F401  (they register their rules)
from lean_agentic.kernel.builder import Builder, constant, is_constant
from lean_agentic.kernel.errors import UnsupportedError
from lean_agentic.kernel.growth import check_growth, growing_names
from lean_agentic.kernel.inference import Inference
from lean_agentic.kernel.ir import Block, Parameter, Procedure, renumbered
from lean_agentic.kernel.loops import Loop
from lean_agentic.kernel.scope import Guard
from lean_agentic.kernel.signatures import parameters_of
from lean_agentic.kernel.source import syntax_tree
from lean_agentic.kernel.types import NEVER, Type

MOST_PROCEDURES = 100


@dataclass(frozen=True, eq=False)
class Source:
    """What a procedure is made from."""

    function: FunctionType
    """The user's function that the body belongs to."""
    parameters: tuple[Parameter, ...]
    """Without types."""
    body: Block
    """Untyped; `Call.procedure` is a key of `callees`."""
    callees: Mapping[str, FunctionType]
    loops: tuple[Loop, ...] = ()
    """The loop statements."""
    whole: bool = True
    """Whether the body is all of the function, not a continuation."""


def lower_source(function: FunctionType, ids: Iterator[int]) -> tuple[Source, list[Guard]]:
    """The untyped body of a function, its statements numbered by `ids`."""
    tree = syntax_tree(function)
    builder = Builder(function, ids)
    parameters = tuple(
        Parameter(name, NEVER, constant(default) if is_constant(default) else None, keyword_only)
        for name, default, keyword_only in parameters_of(function)
    )
    builder.bound = frozenset(each.name for each in parameters)
    builder.growing = growing_names(function, tree)
    with _refusals_quote(function):
        builder.body(tree.body)
        check_growth(tuple(builder.statements), builder.growing)
    body, loops = tuple(builder.statements), tuple(builder.loops)
    return Source(function, parameters, body, builder.callees, loops), builder.scope.guards


@contextmanager
def _refusals_quote(function: FunctionType) -> Iterator[None]:
    """Add the source line to a refusal that names only its number."""
    try:
        yield
    except UnsupportedError as error:
        if error.source or error.line is None:
            raise
        text = linecache.getline(function.__code__.co_filename, error.line).strip()
        raise UnsupportedError(error.reason, error.line, text) from None


class Program:
    """All procedures of one kernel while their result types are still growing.

    `ids` numbers new statements. `known` are sources of an earlier kernel by procedure name: they are taken as they
    are, but for those of the functions in `renumber`, which are copied with new numbers (`origin` says from which).
    """

    def __init__(
        self, ids: Iterator[int], known: Mapping[str, Source] | None = None, renumber: Iterable[FunctionType] = ()
    ) -> None:
        self.typed: dict[str, Procedure] = {}
        self.sources: dict[str, Source] = {}
        self.guards: list[Guard] = []
        self.origin: dict[int, int] = {}
        self._ids = ids
        self._known = dict(known or {})
        self._renumber = set(renumber)
        self._names: dict[tuple[FunctionType, tuple[Type, ...]], str] = {}
        self._inferences: dict[str, Inference] = {}
        self._results: dict[str, Type] = {}
        self._begun: set[str] = set()
        self._finished: set[str] = set()
        self._assumed = False

    def solve(self, function: FunctionType, types: tuple[Type, ...]) -> str:
        """Type a function and everything reached from it; its procedure name."""
        name = self._name(function, types)
        self._settle(lambda: self.procedure(function, types))
        return name

    def solve_source(self, name: str, source: Source, types: tuple[Type, ...]) -> None:
        """The same for a body that no call leads to."""
        self.sources[name] = source

        def once() -> None:
            self._begun.add(name)
            self._type(name, source, types)

        self._settle(once)

    def _settle(self, once: Callable[[], object]) -> None:
        """Type everything until no result type that a recursive call assumed has changed since."""
        while True:
            before = dict(self._results)
            self._begun, self._finished, self._assumed = set(), set(), False
            once()
            if not self._assumed or before == self._results:
                self._inferences.clear()  # they refer to this: without a cycle all is freed at once
                return

    @property
    def procedures(self) -> dict[str, Procedure]:
        """The procedures that the last round came to."""
        return {name: self.typed[name] for name in self.sources if name in self._begun}

    def procedure(self, function: FunctionType, types: tuple[Type, ...]) -> tuple[str, Type]:
        """Name and result type (so far) of a function for argument types."""
        name = self._name(function, types)
        if name not in self._begun:
            self._begun.add(name)  # before its body is typed: a recursive call takes the result type so far
            if name not in self.sources:
                self.sources[name] = self._source(name, function)
            self._type(name, self.sources[name], types)
            self._finished.add(name)
        elif name not in self._finished:
            self._assumed = True
        return name, self._results.get(name, NEVER)

    def _name(self, function: FunctionType, types: tuple[Type, ...]) -> str:
        name = self._names.get((function, types))
        if name is None:
            name, taken = f"{function.__qualname__}({', '.join(map(str, types))})", set(self._names.values())
            if len(taken) > MOST_PROCEDURES:
                raise UnsupportedError(
                    f"the function calls others with more than {MOST_PROCEDURES} combinations of types"
                )
            self._names[function, types] = name = name if name not in taken else f"{name}#{len(taken)}"
        return name

    def _source(self, name: str, function: FunctionType) -> Source:
        same = self._known.get(name)
        if same and same.function is function and function not in self._renumber:
            return same
        known = next((each for each in self._known.values() if each.whole and each.function is function), None)
        if known:
            body, origin = renumbered(known.body, self._ids)
            self.origin |= origin
            numbers = {old: new for new, old in origin.items()}
            loops = tuple(replace(each, statement=numbers[each.statement]) for each in known.loops)
            return replace(known, body=body, loops=loops)
        source, guards = lower_source(function, self._ids)
        self.guards += guards
        return source

    def _type(self, name: str, source: Source, types: tuple[Type, ...]) -> None:
        inference = self._inferences.get(name)
        if inference is None:
            inference = Inference(source.body, lambda handle, given: self.procedure(source.callees[handle], given))
            self._inferences[name] = inference
        given = {each.name: a_type for each, a_type in zip(source.parameters, types, strict=True)}
        with _refusals_quote(source.function):
            typed, result = inference.procedure(given)
        parameters = tuple(replace(each, type=inference.parameters[each.name]) for each in source.parameters)
        self.typed[name] = Procedure(name, parameters, typed, result)
        self._results[name] = result
