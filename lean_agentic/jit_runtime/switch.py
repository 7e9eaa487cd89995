"""The exchange of a function object's `__code__`.

In: a user's function. Out: the same object, made to run its own bytecode, the profiled form of it, or a trampoline.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from functools import cached_property
from types import CodeType, FunctionType
from typing import Any

from lean_agentic.jit_runtime.instrument import Site, profiled, trampoline
from lean_agentic.jit_runtime.tracebacks import clean


class Switch:
    """One function and the codes that it can have. Callers hold the lock of the function's state."""

    def __init__(self, function: FunctionType) -> None:
        self._function = weakref.ref(function)
        self._code = function.__code__
        self._profiled = self._code
        self.original = _copy(function, self._code)
        """Another function with the user's bytecode; it is what is lowered."""
        self.original.__dict__["__called_as__"] = self._function
        self.parameters = self._code.co_varnames[: self._code.co_argcount + self._code.co_kwonlyargcount]

    def user_function(self) -> FunctionType | None:
        """The user's function object, as long as it exists."""
        return self._function()

    def profile(self, counter: Iterator[None], resume: Callable[[], Any], site: Site) -> None:
        """Make the profiled form."""
        self._profiled = profiled(self._code, counter, resume, clean, site)
        self.__dict__.pop("interpreted", None)

    @cached_property
    def interpreted(self) -> FunctionType:
        """The profiled form as a function that takes all arguments by position."""
        return _copy(self.original, _positional(self._profiled))

    def to_original(self) -> None:
        """Run the user's own bytecode."""
        self._set(self._code)

    def to_profiled(self) -> None:
        """Run the profiled form."""
        self._set(self._profiled)

    def to(self, target: Callable[..., Any], site: Site) -> None:
        """Call a target with all arguments by position."""
        self._set(trampoline(self._code, target, clean, site))

    def _set(self, code: CodeType) -> None:
        function = self._function()
        if function is not None:
            function.__code__ = code


def _copy(function: FunctionType, code: CodeType) -> FunctionType:
    """Another function object with the same surroundings."""
    copied = FunctionType(code, function.__globals__, function.__name__, function.__defaults__, function.__closure__)
    copied.__kwdefaults__ = function.__kwdefaults__
    copied.__qualname__, copied.__module__ = function.__qualname__, function.__module__
    return copied


def _positional(code: CodeType) -> CodeType:
    """The same code taking keyword-only parameters by position."""
    if not code.co_kwonlyargcount:
        return code
    return code.replace(co_argcount=code.co_argcount + code.co_kwonlyargcount, co_kwonlyargcount=0)
