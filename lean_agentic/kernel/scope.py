"""What a name outside the function means, and the guards that say it still means that.

A kernel is lowered with the values that its globals, closure cells and defaults have now. Each one read is recorded
as a guard; when one no longer holds, the kernel is stale and the function has to be lowered again.
"""

from __future__ import annotations

import builtins
from dataclasses import dataclass
from types import FunctionType
from typing import Any

from lean_agentic.kernel.errors import UnsupportedError

_MISSING = object()


@dataclass(frozen=True)
class Static:
    """A value that exists only while lowering: a module, a function, a dtype, a text."""

    value: Any


@dataclass(frozen=True, eq=False)
class Guard:
    """One outside value that the kernel relies on."""

    function: FunctionType
    kind: str
    """`global` (builtins behind it), `closure` or `default`."""
    path: tuple[str, ...]
    """The name, then the attributes read from it: ("math", "sqrt")."""
    value: Any

    def holds(self) -> bool:
        """Whether the name still has this value: the same object, or the same number."""
        now = current(self.function, self.kind, self.path)
        if type(now) in (bool, int, float, complex):
            return type(now) is type(self.value) and repr(now) == repr(self.value)
        return now is self.value

    def __str__(self) -> str:
        return f"{self.kind} {'.'.join(self.path)} is {self.value!r}"


def current(function: FunctionType, kind: str, path: tuple[str, ...]) -> Any:
    """The value a name has now, or a marker that nothing else equals when it has none."""
    name, *attributes = path
    if kind == "default":
        return getattr(function, name)
    value = _closure_value(function, name) if kind == "closure" else _global_value(function, name)
    for attribute in attributes:
        value = getattr(value, attribute, _MISSING)
    return value


def _global_value(function: FunctionType, name: str) -> Any:
    return function.__globals__.get(name, getattr(builtins, name, _MISSING))


def _closure_value(function: FunctionType, name: str) -> Any:
    cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
    try:
        return cells[name].cell_contents
    except (KeyError, ValueError):  # ValueError: the cell is still empty
        return _MISSING


class Scope:
    """The outside of one function; collects a guard for each value read from it."""

    def __init__(self, function: FunctionType) -> None:
        self.function = function
        self.locals = {*function.__code__.co_varnames, *function.__code__.co_cellvars}
        self.guards: list[Guard] = []
        for name in ("__defaults__", "__kwdefaults__"):
            if getattr(function, name):
                self.guards.append(Guard(function, "default", (name,), getattr(function, name)))

    def read(self, *path: str) -> Any:
        """The value of a global, closure or builtin name (or an attribute of one).

        Raises
        ------
        UnsupportedError
            If the name has no value at the moment.
        """
        kind = "closure" if path[0] in self.function.__code__.co_freevars else "global"
        value = current(self.function, kind, path)
        if value is _MISSING:
            raise UnsupportedError(f"the {kind} name {'.'.join(path)} has no value now")
        self.guards.append(Guard(self.function, kind, path, value))
        return value
